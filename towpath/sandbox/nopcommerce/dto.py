"""The shapes of the official API v1.06, with every field it has; numbers are doubles, as there."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.catalogue import STOCK, Item
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.nopcommerce.places import COUNTRIES, STATES

ORDER: Final[dict[str, Any]] = {
    "order_guid": "00000000-0000-0000-0000-000000000000",
    "store_id": 1,
    "pickup_address_id": None,
    "pickup_in_store": False,
    "payment_method_system_name": "Payments.Manual",
    "currency_rate": 1.0,
    "customer_tax_display_type_id": 10,
    "vat_number": None,
    "order_sub_total_discount_incl_tax": 0.0,
    "order_sub_total_discount_excl_tax": 0.0,
    "payment_method_additional_fee_incl_tax": 0.0,
    "payment_method_additional_fee_excl_tax": 0.0,
    "refunded_amount": 0.0,
    "reward_points_history_entry_id": None,
    "checkout_attribute_description": "",
    "checkout_attributes_xml": None,
    "customer_language_id": 1,
    "affiliate_id": 0,
    "customer_ip": "203.0.113.7",
    "allow_storing_credit_card_number": True,
    "authorization_transaction_id": None,
    "authorization_transaction_code": None,
    "authorization_transaction_result": None,
    "capture_transaction_id": None,
    "capture_transaction_result": None,
    "subscription_transaction_id": None,
    "paid_date_utc": None,
    "shipping_method": "Ground",
    "shipping_rate_computation_method_system_name": "Shipping.FixedByWeightByTotal",
    "custom_values_xml": None,
    "deleted": False,
    "redeemed_reward_points_entry_id": None,
}
ORDER_ITEM: Final[dict[str, Any]] = {
    "discount_amount_incl_tax": 0.0,
    "discount_amount_excl_tax": 0.0,
    "original_product_cost": 0.0,
    "attribute_description": "",
    "attributes_xml": "",
    "download_count": 0,
    "is_download_activated": False,
    "license_download_id": 0,
    "item_weight": 0.5,
    "rental_start_date_utc": None,
    "rental_end_date_utc": None,
}
ADDRESS: Final[dict[str, Any]] = {
    "first_name": None,
    "last_name": None,
    "email": None,
    "company": None,
    "country_id": None,
    "state_province_id": None,
    "county": None,
    "city": None,
    "address1": None,
    "address2": None,
    "zip_postal_code": None,
    "phone_number": None,
    "fax_number": None,
    "custom_attributes": None,
}
CUSTOMER: Final[dict[str, Any]] = {
    "email_to_revalidate": None,
    "admin_comment": None,
    "is_tax_exempt": False,
    "affiliate_id": 0,
    "vendor_id": 0,
    "has_shopping_cart_items": False,
    "require_re_login": False,
    "failed_login_attempts": 0,
    "cannot_login_until_date_utc": None,
    "active": True,
    "deleted": False,
    "is_system_account": False,
    "system_name": None,
    "last_ip_address": "203.0.113.7",
    "last_login_date_utc": None,
    "registered_in_store_id": 1,
    "billing_address_id": None,
    "shipping_address_id": None,
}


def product(item: Item, moment: str) -> Doc:
    """Return the product of a catalogue item: the fields that matter to a sale, not all 120."""
    return {
        "product_type_id": 5,
        "parent_grouped_product_id": 0,
        "visible_individually": True,
        "name": item.name,
        "short_description": None,
        "full_description": None,
        "vendor_id": 0,
        "sku": item.sku,
        "manufacturer_part_number": None,
        "gtin": None,
        "is_gift_card": False,
        "is_download": False,
        "is_ship_enabled": True,
        "is_free_shipping": False,
        "is_tax_exempt": False,
        "tax_category_id": 1,
        "manage_inventory_method_id": 1,
        "use_multiple_warehouses": False,
        "warehouse_id": 0,
        "stock_quantity": STOCK,
        "price": float(item.price),
        "old_price": 0.0,
        "product_cost": 0.0,
        "weight": 0.5,
        "length": 0.0,
        "width": 0.0,
        "height": 0.0,
        "published": True,
        "deleted": False,
        "created_on_utc": moment,
        "updated_on_utc": moment,
        "id": item.number,
    }


def warehouses() -> list[Doc]:
    """Return the shop's warehouses, for products that use several."""
    return [{"name": name, "admin_comment": None, "address_id": 0, "id": number} for number, name in ((1, "Main"), (2, "Second"))]


def countries() -> list[Doc]:
    """Return the shop's countries."""
    rest = {"allows_billing": True, "allows_shipping": True, "published": True, "display_order": 1, "limited_to_stores": False}
    return [
        {
            "name": c.name,
            "two_letter_iso_code": c.two,
            "three_letter_iso_code": c.three,
            "numeric_iso_code": c.numeric,
            "subject_to_vat": c.vat,
            **rest,
            "id": c.id,
        }
        for c in COUNTRIES
    ]


def states() -> list[Doc]:
    """Return the shop's states and provinces."""
    return [
        {"country_id": country, "name": name, "abbreviation": short, "published": True, "display_order": 1, "id": number}
        for number, country, name, short in STATES
    ]
