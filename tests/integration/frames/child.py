"""One supervised process: `child.py <behaviour>`; prints a line once it is set up."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from towpath.runtime.guardian import ERROR_FILE_VARIABLE, die_with_parent

if __name__ == "__main__":
    behaviour = sys.argv[1]
    die_with_parent()
    if behaviour == "misconfigured":
        Path(os.environ[ERROR_FILE_VARIABLE]).write_text("connections.erp.url: must be another one", encoding="utf-8")
        sys.exit(2)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.write(f"{behaviour} child {os.getpid()} is up\n")  # in one piece, whether buffered or not: others write to the same pipe
    sys.stdout.flush()
    if behaviour == "failing":
        sys.exit(3)
    signal.pause()
