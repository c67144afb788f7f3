"""Systems that stand outside the tree: a folder with `systems`, `producers`, `sinks`, `sandbox`, `testing`, `mappings` and `validators`, as inside.

A distribution names its folder as the entry point `towpath.plugins`; the variable TOWPATH_PLUGINS names folders, as PATH does. What is plugged
in is found as every other system is, under the same names (`towpath.systems.x`, `producers.x`, …).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, MutableSequence
from pathlib import Path
from typing import Final

from towpath.errors import ConfigError

GROUP: Final = "towpath.plugins"
VARIABLE: Final = "TOWPATH_PLUGINS"
PLACES: Final = {
    "systems": "towpath.systems",
    "producers": "producers",
    "sinks": "sinks",
    "sandbox": "towpath.sandbox",
    "testing": "towpath.testing.systems",
    "validators": "processors.validators",
}
"""The packages that are searched besides, by the name of a folder's part."""
MAPPINGS: Final = Path(__file__).resolve().parents[1] / "processors" / "mappings"
SAMPLES: Final = ".samples.json"
_mappings: Final = [MAPPINGS]
"""The mappings that ship, and those of each folder that is plugged in."""


def folders() -> list[Path]:
    """Return the folders that are installed or named; raises ConfigError for one that is not there."""
    named = [Path(text).expanduser() for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    for folder in named:
        if not folder.is_dir():
            raise ConfigError(f"{VARIABLE}: there is no folder {folder}; name folders that hold systems/, producers/ and so on")
    return named + [_folder_of(entry) for entry in importlib.metadata.entry_points(group=GROUP)]


def plug_in(*more: Path) -> None:
    """Have this process know the systems of these folders, and of those that are installed or named."""
    found = [*folders(), *more]
    for folder in found:
        for part, package in PLACES.items():
            path = str(folder.resolve() / part)
            if Path(path).is_dir() and path not in _paths(package):
                _paths(package).append(path)
        if (mappings := folder.resolve() / "mappings").is_dir() and mappings not in _mappings:
            _mappings.append(mappings)
    if found:
        _look_again()


@contextlib.contextmanager
def plugged_in(*more: Path) -> Iterator[None]:
    """Plug folders in while entered; what was imported of them stays."""
    before, mappings = {package: list(_paths(package)) for package in PLACES.values()}, list(_mappings)
    plug_in(*more)
    try:
        yield
    finally:
        for package, paths in before.items():
            _paths(package)[:] = paths
        _mappings[:] = mappings
        _look_again()


def mapping_file(name: str, own: Path | None = None) -> Path:
    """Return the file of a mapping: in the folder `own`, else of those that ship, and where it is not there, of what is plugged in.

    Where it is nowhere, this is where it should be.
    """
    places = [own or MAPPINGS, *_mappings[1:]]
    return next((path for place in places if (path := place / f"{name}.json").exists()), places[0] / f"{name}.json")


def mapping_names() -> list[str]:
    """Return the names of the mappings that ship and of those that are plugged in."""
    return sorted({name for folder in _mappings for name in names_in(folder)})


def names_in(folder: Path) -> list[str]:
    """Return the names of a folder's mappings, `<source>-<target>/<event>`."""
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.json") if not path.name.endswith(SAMPLES))


def _look_again() -> None:
    """Have the systems be looked for anew; who plugs nothing in need not wait for the configuration to be imported."""
    from towpath.config.connections import system_names  # noqa: PLC0415

    importlib.invalidate_caches()
    system_names.cache_clear()


def _paths(package: str) -> MutableSequence[str]:
    return importlib.import_module(package).__path__


def _folder_of(entry: importlib.metadata.EntryPoint) -> Path:
    found = importlib.util.find_spec(entry.module)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"the entry point {GROUP} {entry.name} names {entry.value}, which is no package that can be imported")
    return Path(next(iter(found.submodule_search_locations)))
