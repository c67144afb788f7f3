"""A process that changes a vault, for tests that kill it or run several: `python changer.py FOLDER KEY set PREFIX COUNT|rotate`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from towpath.failpoints import Failpoints
from towpath.vault import KeyPlace, Vault

folder, key, what = sys.argv[1:4]
vault = Vault(Path(folder), KeyPlace("file", key))
if what == "set":
    for number in range(int(sys.argv[5])):
        vault.set(f"{sys.argv[4]}-{number}", f"value-{number}", datetime.now(UTC))
elif what == "rotate":
    vault.rotate(datetime.now(UTC), Failpoints.from_environment())
else:
    while True:
        vault.rotate(datetime.now(UTC), Failpoints())
