"""The lock is fresh, hash-pinned and names no registry; checked without a network, against what it installed."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
OWN = {"pip", "setuptools"}  # every environment has its own before the lock is read


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pins(lock: str) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PIN.findall(lock)}


def _declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]


def _requirements(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:  # then the comparison with the lock names it
        return []


def _needed(requirement: Requirement, seen: dict[str, set[str]]) -> None:
    """Add to `seen` all that the requirement brings, by what the installed distributions say; the extras asked for stand beside."""
    name, extras = canonicalize_name(requirement.name), {"", *requirement.extras}
    if extras <= seen.get(name, set()):
        return
    seen.setdefault(name, set()).update(extras)
    for further in _requirements(name):
        if any(further.marker is None or further.marker.evaluate({"extra": extra}) for extra in extras):
            _needed(further, seen)


def test_every_declared_dependency_is_pinned_to_a_version_it_allows(pins: dict[str, str]) -> None:
    unmet = [str(one) for one in _declared() if not one.specifier.contains(pins.get(canonicalize_name(one.name), "0"), prereleases=True)]
    missing = [str(one) for one in _declared() if canonicalize_name(one.name) not in pins]
    assert ([], []) == (missing, unmet), "run `make lock`"


def test_nothing_is_missing_from_the_lock_and_nothing_is_left_over(pins: dict[str, str]) -> None:
    seen: dict[str, set[str]] = {}
    for requirement in _declared():
        _needed(requirement, seen)
    assert sorted(seen.keys() - OWN) == sorted(pins.keys() - OWN), "run `make lock`"


def test_what_is_installed_is_what_is_locked(pins: dict[str, str]) -> None:
    assert {name: version for name, version in pins.items() if name not in OWN} == {name: metadata.version(name) for name in pins if name not in OWN}


def test_every_pin_has_a_digest_and_no_line_names_a_registry(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n?", "", lock, flags=re.MULTILINE).strip())
    assert [] == [entry for entry in entries if "--hash=sha256:" not in entry]
    assert "://" not in lock
    assert not re.search(r"^\s*--(index|extra|find|trusted)", lock, re.MULTILINE)
