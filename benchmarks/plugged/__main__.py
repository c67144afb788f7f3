"""The `towpath` command, which here knows the system `slow` too."""

from __future__ import annotations

from benchmarks.plugged import plug_in
from towpath.cli.main import main

if __name__ == "__main__":
    plug_in()
    main()
