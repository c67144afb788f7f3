"""Reading Magento's fields: numbers in REST, texts in events; ids are numbers in both, and what is unset is left out."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from producers.wire import Json, moment, text
from towpath.errors import DataError
from towpath.events import Address

NONE: Final = Decimal(0)


def saved_at(record: Json) -> datetime:
    """Return when a record was saved last: UTC, whose zone Magento leaves out."""
    return moment(record, "updated_at")


def address_of(record: Json, field: str) -> Address:
    """Return an address of an order or of a customer: the street is a list, the region a text or an object; raises DataError for what is none."""
    street, region = record.get("street") or [], record.get("region")
    if isinstance(street, str):
        street = street.split("\n")
    if not isinstance(street, list):
        raise DataError(f"{field}.street is no list", field=f"{field}.street", value=str(street))
    named: Json = region if isinstance(region, dict) else record
    return {
        "first_name": text(record, "firstname"),
        "last_name": text(record, "lastname"),
        "company": text(record, "company"),
        "email": text(record, "email"),
        "phone": text(record, "telephone"),
        "lines": [str(line) for line in street if line],
        "city": text(record, "city"),
        "region": text(named, "region_code") or text(named, "region"),
        "postcode": text(record, "postcode"),
        "country": text(record, "country_id"),
    }
