"""`python -m towpath` is the `towpath` command."""

from __future__ import annotations

from towpath.cli.main import main

if __name__ == "__main__":
    main()
