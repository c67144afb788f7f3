"""A merchant's own fields: custom values of an order, and what was chosen of the attributes of a checkout or a customer.

The shop keeps them as XML that names attributes, and what was chosen from a list, by id (Nop.Core: CheckoutAttributeParser,
CustomerAttributeParser, CustomValuesXml); a bundle has what the ids mean under `attributes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from producers.wire import Json
from towpath.errors import DataError

CHECKOUT, CUSTOMER = "CheckoutAttribute", "CustomerAttribute"
UNNAMED: Final = {CHECKOUT: "checkout attribute", CUSTOMER: "customer attribute"}
CHOSEN_OF_CUSTOMER: Final = "CustomCustomerAttributes"
PLAIN: Final = ("Customer Type", "Order Source")
KEPT: Final = frozenset({*PLAIN, CHOSEN_OF_CUSTOMER, "FirstName", "LastName", "Company"})
"""Generic attributes of a customer that are read. The shop keeps others beside them: tokens, coupons, the last page visited."""
LISTS: Final = (1, 2, 3, 40, 45, 50)
"""Control types whose values are ids: drop-down and radio list, check boxes, colour and image squares, read-only check boxes."""


class Chosen(NamedTuple):
    """One attribute by its kind and id, with the values as they stand in the XML: ids, or what was typed."""

    kind: str
    id: str
    values: Sequence[str]


def chosen_at_checkout(order: Json) -> list[Chosen]:
    """Return what was chosen for an order; raises DataError for XML that is not safe to read."""
    return _chosen(CHECKOUT, "checkout_attributes_xml", order.get("checkout_attributes_xml"))


def chosen_of_customer(own: Json) -> list[Chosen]:
    """Return what was chosen for a customer, from what `generic` returned; raises DataError for XML that is not safe to read."""
    return _chosen(CUSTOMER, CHOSEN_OF_CUSTOMER, own.get(CHOSEN_OF_CUSTOMER))


def generic(rows: Sequence[Json], store: object) -> dict[str, str]:
    """Return a customer's generic attributes by name, as they are in one store; those of all stores (0) are below its own."""
    there = sorted((row for row in rows if row.get("store_id") in (0, store)), key=lambda row: row.get("store_id") != 0)
    return {str(row["key"]): str(row["value"]) for row in there if row.get("value") and str(row.get("key")) in KEPT}


def of_order(bundle: Json, order: Json, own: Json) -> dict[str, str]:
    """Return the fields of an order by name: its customer's, those of its checkout, its custom values; the later win."""
    values = {str(item.findtext("key", "")): str(item.findtext("value", "")) for item in _items("custom_values_xml", order, "item")}
    return {**of_customer(bundle, own), **_named(bundle, chosen_at_checkout(order)), **values}


def of_customer(bundle: Json, own: Json) -> dict[str, str]:
    """Return the fields of a customer by name."""
    return {**{name: own[name] for name in PLAIN if name in own}, **_named(bundle, chosen_of_customer(own))}


def is_list(attribute: object) -> bool:
    """Tell whether the values of an attribute are ids."""
    return isinstance(attribute, dict) and attribute.get("attribute_control_type_id") in LISTS


def _named(bundle: Json, chosen: Sequence[Chosen]) -> dict[str, str]:
    """Return names with values; what the shop knows no more keeps its id."""
    known: Any = bundle.get("attributes")
    names = known if isinstance(known, dict) else {}
    fields = {}
    for one in chosen:
        attribute = names.get(f"{one.kind}/{one.id}")
        values = [_name(names.get(f"{one.kind}Value/{value}"), value) if is_list(attribute) else value for value in one.values]
        fields[_name(attribute, f"{UNNAMED[one.kind]} {one.id}")] = ", ".join(values)
    return fields


def _name(entity: object, otherwise: str) -> str:
    name = entity.get("name") if isinstance(entity, dict) else None
    return name if isinstance(name, str) and name else otherwise


def _chosen(kind: str, field: str, text: object) -> list[Chosen]:
    found = _items(field, {field: text}, kind)
    return [Chosen(kind, item.get("ID", ""), [str(value.text or "") for value in item.iterfind(f"{kind}Value/Value")]) for item in found]


def _items(field: str, record: Json, tag: str) -> Iterator[Element]:
    text = record.get(field)
    if not text:
        return iter(())
    try:
        root: Element = fromstring(str(text), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise DataError(f"{field} is no XML that is safe to read: {error}", field=field, value=str(text)) from error
    return root.iter(tag)
