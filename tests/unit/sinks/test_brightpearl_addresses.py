"""Addresses at Brightpearl: the city and the state stand in lines of their own, the country in three letters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sinks.test_brightpearl import Brightpearl, To, erp, sink, sink_as
from towpath.errors import DataError

__all__ = ["erp", "sink", "sink_as"]
ADDRESS: dict[str, Any] = {
    "addressLine1": "Hauptstr. 5",
    "addressLine3": "Berlin",
    "addressLine4": "BE",
    "postalCode": "10115",
    "countryIsoCode": "de",
}


async def test_an_address_is_written_with_its_country_in_three_letters(erp: Brightpearl, sink: To) -> None:
    await sink.apply("create_address", "shop/customer/7", ADDRESS)
    (row,) = await erp.rows("addresses")
    assert ADDRESS | {"countryIsoCode": "DEU"} == {name: row[name] for name in ADDRESS}


@pytest.mark.parametrize("code", ["", "XX", "Germany", None])
async def test_a_country_that_is_none_is_refused_before_anything_is_written(erp: Brightpearl, sink: To, code: str | None) -> None:
    with pytest.raises(DataError) as caught:
        await sink.apply("create_address", "shop/customer/7", ADDRESS | {"countryIsoCode": code})
    assert "countryIsoCode" == caught.value.field
    assert [] == erp.calls
