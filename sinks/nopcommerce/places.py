"""Countries and states as the shop numbers them; they hardly ever change, so they are read once a process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from sinks.nopcommerce.shop import Row, Shop
from towpath.delivery.gate import Gate
from towpath.errors import DataError


@dataclass(eq=False)
class Places:
    """The countries of one shop by their two letters, and the states of each by abbreviation and by name."""

    shop: Shop
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    countries: dict[str, int] = field(default_factory=dict)
    states: dict[int, dict[str, int]] = field(default_factory=dict)

    async def located(self, address: Mapping[str, Any], name: str) -> Row:
        """Return where an address is as the shop's row has it; raises DataError naming the country where the shop has none such."""
        country, state = str(address.get("Country") or "").upper(), str(address.get("State") or "").strip()
        async with self.lock:
            if country not in self.countries:
                rows = await self.shop.listed("Country/GetAllCountries")
                self.countries = {str(row.get("two_letter_iso_code")).upper(): row["id"] for row in rows}
            number = self.countries.get(country)
            if number is None:
                raise DataError(f"{name}.Country: the shop has no country {country!r}", field=f"{name}.Country", value=country)
            if state and number not in self.states:
                rows = await self.shop.listed(f"StateProvince/GetStateProvincesByCountryId/{number}")
                self.states[number] = {str(row.get(part)).casefold(): row["id"] for part in ("name", "abbreviation") for row in rows}
        found = self.states[number].get(state.casefold()) if state else None
        texts = {"address1": "Address1", "address2": "Address2", "city": "City", "zip_postal_code": "Zip"}
        row = {part: str(address.get(given) or "").strip() or None for part, given in texts.items()}
        return {**row, "country_id": number, "state_province_id": found, "county": None if found is not None or not state else state}


_SHOPS: Final[WeakKeyDictionary[Gate, Places]] = WeakKeyDictionary()


def places_of(shop: Shop) -> Places:
    """Return what is known of a shop's places."""
    return _SHOPS.setdefault(shop.gate, Places(shop))
