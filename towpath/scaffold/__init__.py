"""Writing the folder of a new system from templates: what has to be said of it is marked, and its contract suites list what is left."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Final

from towpath.config.connections import system_names
from towpath.errors import ConfigError

TEMPLATES: Final = Path(__file__).parent / "system"
ENDING: Final = ".txt"
NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,30}")


def write_system(name: str, folder: Path) -> list[Path]:
    """Return the files that were written; raises ConfigError for a name that none can have, or that one has, and for a folder that is not empty."""
    if NAME.fullmatch(name) is None or keyword.iskeyword(name) or name == "base":
        raise ConfigError(f"a system cannot be called {name!r}: use small letters, digits and _, such as acme or acme_wms")
    if name in system_names():
        raise ConfigError(f"there is a system called {name} already; choose another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty; name another folder with --dir")
    written = []
    for template in sorted(TEMPLATES.rglob(f"*{ENDING}")):
        path = folder / str(template.relative_to(TEMPLATES)).removesuffix(ENDING).replace("NAME", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        title = "".join(part.capitalize() for part in name.split("_"))
        path.write_text(template.read_text(encoding="utf-8").replace("NAME", name).replace("TITLE", title), encoding="utf-8")
        written.append(path)
    return written
