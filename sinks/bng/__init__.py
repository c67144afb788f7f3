"""BNG as a target: none of its external ids is unique there, so every create is preceded by a look-up."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.base import Document, Operation
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.bng import Bng


def _reference(document: Document, field: str) -> str:
    """Return what a record is looked up by; without one, every record of BNG would be found."""
    value = document.get(field)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"the mapped document has no {field}", field=field, value=repr(value))
    return value


async def _find_customer(api: ApiClient, document: Document) -> str | None:
    return await Bng(api).find_customer(_reference(document, "ExternalID"))


async def _find_customer_again(api: ApiClient, document: Document) -> str | None:
    """One that was deleted or merged may live on under another id, and then under an ExternalID that is not ours."""
    return await _find_customer(api, document) or await Bng(api).find_customer_by_email(_reference(document, "Email"))


async def _create_customer(api: ApiClient, document: Document) -> str:
    return await Bng(api).create_customer(document)


async def _find_order(api: ApiClient, document: Document) -> str | None:
    return await Bng(api).find_sales_order(_reference(document, "ExternalOrderID"))


async def _create_order(api: ApiClient, document: Document) -> str:
    return await Bng(api).create_sales_order(document)


class BngTarget:
    """What BNG can be asked to do."""

    operations: Mapping[str, Operation] = {
        "create_customer": Operation(_find_customer, _create_customer, find_again=_find_customer_again),
        "create_order": Operation(_find_order, _create_order, stale={"CustomerID": "customer"}),
    }
    creates: Mapping[str, str] = {"customer": "create_customer"}


TARGET = BngTarget()
