"""The types of the DTOs that a call can write (swagger of the Web API Backend v1.06), and what a body becomes.

A PUT makes its row anew from the body, as the API does (`FromDto`, then the update of every column): a field that is left out falls back to
the default of its type. So a client has to send back all that it read, and overwrites what others changed in between.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from towpath.sandbox.kit.messages import Call, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.nopcommerce.query import EVERYTHING, moment

NEVER: Final = "0001-01-01T00:00:00"
NO_GUID: Final = "00000000-0000-0000-0000-000000000000"


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > EVERYTHING:
        raise ValueError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError  # noqa: TRY004 - one error for all that a type refuses
    return float(value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - the same
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - the same
    return value


def _time(value: object) -> str:
    text = _text(value)
    return text if text == NEVER else moment("date", text)


TYPES: Final[Mapping[str, tuple[Any, Callable[[object], Any]]]] = {
    "int": (0, _whole),
    "int?": (None, _whole),
    "double": (0.0, _number),
    "double?": (None, _number),
    "bool": (False, _truth),
    "text?": (None, _text),
    "uuid": (NO_GUID, lambda value: str(uuid.UUID(_text(value)))),
    "time": (NEVER, _time),
    "time?": (None, _time),
}
"""The default of a type and what reads a value of it; those with a question mark can be null."""

ORDER: Final = {
    "uuid": "order_guid",
    "int": """id store_id customer_id billing_address_id order_status_id shipping_status_id payment_status_id customer_tax_display_type_id
        customer_language_id affiliate_id""",
    "int?": "shipping_address_id pickup_address_id reward_points_history_entry_id redeemed_reward_points_entry_id",
    "double": """currency_rate order_subtotal_incl_tax order_subtotal_excl_tax order_sub_total_discount_incl_tax order_sub_total_discount_excl_tax
        order_shipping_incl_tax order_shipping_excl_tax payment_method_additional_fee_incl_tax payment_method_additional_fee_excl_tax
        order_tax order_discount order_total refunded_amount""",
    "bool": "pickup_in_store allow_storing_credit_card_number deleted",
    "text?": """payment_method_system_name customer_currency_code vat_number tax_rates checkout_attribute_description checkout_attributes_xml
        customer_ip card_type card_name card_number masked_credit_card_number card_cvv2 card_expiration_month card_expiration_year
        authorization_transaction_id authorization_transaction_code authorization_transaction_result capture_transaction_id
        capture_transaction_result subscription_transaction_id shipping_method shipping_rate_computation_method_system_name custom_values_xml
        custom_order_number""",
    "time": "created_on_utc",
    "time?": "paid_date_utc",
}
PRODUCT: Final = {
    "int": """id product_type_id parent_grouped_product_id vendor_id tax_category_id manage_inventory_method_id warehouse_id stock_quantity""",
    "double": "price old_price product_cost weight length width height",
    "bool": """visible_individually is_gift_card is_download is_ship_enabled is_free_shipping is_tax_exempt use_multiple_warehouses published
        deleted""",
    "text?": "name short_description full_description sku manufacturer_part_number gtin",
    "time": "created_on_utc updated_on_utc",
}
SHIPMENT: Final = {
    "int": "id order_id",
    "double?": "total_weight",
    "text?": "tracking_number admin_comment",
    "time": "created_on_utc",
    "time?": "shipped_date_utc delivery_date_utc",
}
CUSTOMER: Final = {
    "uuid": "customer_guid",
    "int": "id affiliate_id vendor_id failed_login_attempts registered_in_store_id",
    "int?": "billing_address_id shipping_address_id",
    "bool": "is_tax_exempt has_shopping_cart_items require_re_login active deleted is_system_account",
    "text?": "username email email_to_revalidate admin_comment system_name last_ip_address",
    "time": "created_on_utc last_activity_date_utc",
    "time?": "cannot_login_until_date_utc last_login_date_utc",
}
ADDRESS: Final = {
    "int": "id",
    "int?": "country_id state_province_id",
    "text?": """first_name last_name email company county city address1 address2 zip_postal_code phone_number fax_number custom_attributes""",
    "time": "created_on_utc",
}
KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "order": ORDER,
    "product": PRODUCT,
    "shipment": SHIPMENT,
    "customer": CUSTOMER,
    "address": ADDRESS,
    "generic_attribute": {"int": "id entity_id store_id", "text?": "key_group key value", "time?": "created_or_updated_date_utc"},
    "customer_role_mapping": {"int": "id customer_id customer_role_id"},
    "return_request": {
        "int": "id store_id order_item_id customer_id quantity return_request_status_id",
        "text?": "custom_number reason_for_return requested_action customer_comments staff_notes",
        "time": "created_on_utc updated_on_utc",
    },
    "shipment_item": {"int": "id shipment_id order_item_id quantity warehouse_id"},
    "product_warehouse": {"int": "id product_id warehouse_id stock_quantity reserved_quantity"},
    "specification_attribute": {"int": "id display_order", "int?": "specification_attribute_group_id", "text?": "name"},
    "specification_attribute_option": {"int": "id specification_attribute_id display_order", "text?": "name color_squares_rgb"},
    "product_specification_attribute": {
        "int": "id product_id attribute_type_id specification_attribute_option_id display_order",
        "text?": "custom_value",
        "bool": "allow_filtering show_on_product_page",
    },
}


def names(kind: str) -> list[str]:
    """Return the fields of a kind."""
    return [name for listed in KINDS[kind].values() for name in listed.split()]


def row(kind: str, call: Call) -> Doc:
    """Return the whole row that a body makes; what the DTO does not have is ignored. Raises Refusal(400) that names the wrong field."""
    body = call.json()
    if not isinstance(body, dict):
        raise Refusal(400, "invalid", "A non-empty request body is required.")
    made: Doc = {}
    for type_, listed in KINDS[kind].items():
        default, read = TYPES[type_]
        for name in listed.split():
            given = body.get(name, default)
            try:
                made[name] = given if given is None and type_.endswith("?") else read(given)
            except (ValueError, Refusal):
                raise Refusal(400, "invalid", f"{name}: {given!r} is no {type_}", field=name) from None
    return made
