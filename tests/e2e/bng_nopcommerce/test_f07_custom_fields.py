from __future__ import annotations

from xml.sax.saxutils import escape

from towpath.demo.pairs import SHOP
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.testing.played import Played


def custom_values(**values: str) -> str:
    rows = "".join(f"<item><key>{escape(key.replace('_', ' '))}</key><value>{escape(value)}</value></item>" for key, value in values.items())
    return f'<?xml version="1.0" encoding="utf-16"?><DictionarySerializer>{rows}</DictionarySerializer>'


def is_of_company(bundle: Bundle) -> bool:
    return "Company" in bundle.attributes


def source_of(bundle: Bundle) -> str:
    return str(bundle.order["checkout_attribute_description"]).partition(": ")[2]


async def test_f07_customer_type_and_order_source_are_custom_fields_of_the_sales_order(pair: Played) -> None:
    bundle = await pair.buy(7101, lambda bundle: bundle.attributes["Customer Type"] == "Wholesale")
    fields = (await pair.sales_order(7101))["CustomFields"]
    assert (fields["Customer Type"], fields["Order Source"]) == ("Wholesale", source_of(bundle))
    bundle = await pair.buy(7102, lambda bundle: bundle.attributes["Customer Type"] == "VIP")
    fields = (await pair.sales_order(7102))["CustomFields"]
    assert (fields["Customer Type"], fields["Order Source"]) == ("VIP", source_of(bundle))


async def test_f07_dimensions_and_cost_centre_are_the_orders_own_and_else_those_of_the_flow(pair: Played) -> None:
    bundle = await pair.buy(7201, is_of_company)
    order = await pair.sales_order(7201)
    assert order["CostCentre"] == order["CustomFields"]["Cost Centre"] != "CC-WEB"
    assert order["Dimensions"] == {"Region": "North", "Channel": source_of(bundle), "Country": order["BillingAddress"]["Country"]}
    await pair.buy(7202, lambda bundle: not is_of_company(bundle))
    assert (await pair.sales_order(7202))["CostCentre"] == "CC-WEB"


async def test_f07_what_the_staff_made_of_a_customer_is_in_the_customers_next_order(pair: Played) -> None:
    first = await pair.buy(7301)
    customer = first.customer["id"]
    await pair.sales_order(7301)
    await pair.shop("POST", f"customers/{customer}", {"attributes": {"Customer Type": "Partner <1>"}})
    await pair.buy(7302, lambda bundle: bool(bundle.customer["id"] == customer))
    assert (await pair.sales_order(7302))["CustomFields"]["Customer Type"] == "Partner <1>"
    assert (await pair.sales_order(7301))["CustomFields"]["Customer Type"] == first.attributes["Customer Type"]


async def test_f07_custom_values_changed_at_the_shop_change_at_bng(pair: Played) -> None:
    await pair.buy(7401)
    number = (await pair.sales_order(7401))["SalesOrderID"]
    await pair.shop("POST", "orders/7401", {"custom_values_xml": custom_values(Order_Source="Fair & Friends", Gift_Note="für Zoë")})

    async def source() -> str:
        return str((await pair.sales_order(7401))["CustomFields"]["Order Source"])

    await pair.becomes(source, "Fair & Friends")
    order = await pair.sales_order(7401)
    assert (order["SalesOrderID"], order["CustomFields"]["Gift Note"]) == (number, "für Zoë")


async def test_f07_custom_values_that_are_not_safe_to_read_are_a_dead_letter_until_they_are_mended(pair: Played) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><DictionarySerializer>&b;</DictionarySerializer>'
    await pair.buy(7501)
    await pair.sales_order(7501)
    await pair.shop("POST", "orders/7501", {"custom_values_xml": bomb})
    letter = await pair.letter(f"{SHOP}/order/7501")
    assert (letter["hop"], letter["field"]) == ("adapter", "custom_values_xml")
    await pair.shop("POST", "orders/7501", {"custom_values_xml": custom_values(Order_Source="Phone, mended")})

    async def source() -> str:
        return str((await pair.sales_order(7501))["CustomFields"]["Order Source"])

    await pair.becomes(source, "Phone, mended")
