"""Brightpearl as a target (vendor-apis.md, section 2): of its creates, only sales orders of an instance app are protected from a second one."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.base import Operation, Twins, Update
from sinks.brightpearl.change import change_order
from sinks.brightpearl.contact import create_address, create_contact, find_address, find_contact, put_contact
from sinks.brightpearl.note import find_shipped, find_tracked, ship_note, track_note
from sinks.brightpearl.order import create_order, find_order, reserve, set_order_status
from sinks.brightpearl.payment import create_journal, create_payment, find_journal, find_journals, find_payment
from sinks.brightpearl.product import put_product
from sinks.brightpearl.returned import create_credit, create_goods_in, find_credit, find_goods_in
from sinks.goods import brought


class BrightpearlTarget:
    """What Brightpearl can be asked to do."""

    operations: Mapping[str, Operation | Update] = {
        "create_address": Operation(find_address, create_address),
        "create_customer": Operation(find_contact, create_contact, stale={"postAddressIds": "address"}),
        "put_customer": Update(put_contact, stale={"CustomerID": "customer"}),
        "create_order": Operation(find_order, create_order, stale={"customer.id": "customer"}, resume=reserve),
        "change_order": Update(change_order),
        "set_order_status": Update(set_order_status),
        "ship_note": Operation(find_shipped, ship_note),
        "track_note": Operation(find_tracked, track_note),
        "create_sales_credit": Operation(find_credit, create_credit),
        "create_goods_in": Operation(find_goods_in, create_goods_in),
        "create_payment": Operation(find_payment, create_payment),
        "create_journal_entry": Operation(find_journal, create_journal, twins=Twins(find_journals)),
        "put_product": Update(put_product, brings=brought),
    }
    creates: Mapping[str, str] = {
        "address": "create_address",
        "customer": "create_customer",
        "order": "create_order",
        "sales_credit": "create_sales_credit",
        "payment": "create_payment",
        "journal_entry": "create_journal_entry",
    }


TARGET = BrightpearlTarget()
