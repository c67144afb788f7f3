"""Models load or say what to change; what they answer is a document without floats, or a data error that names the field."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.context import plain
from processors.mapping import Mapped, Model, load_model
from processors.rules import PLACES, decimal_places
from towpath.errors import ConfigError, DataError
from towpath.events import Event
from towpath.plugging import MAPPINGS
from towpath.testing.events import an_address, an_order

NAME = "nopcommerce-bng/order_placed"
SHIPPED = json.loads((MAPPINGS / f"{NAME}.json").read_text(encoding="utf-8"))
FLOW = {"name": "orders", "reference_prefix": "TP-", "options": {}}
Edit = Callable[[dict[str, Any]], object]
Load = Callable[[Edit], Model]


@pytest.fixture
def edited(tmp_path: Path) -> Load:
    """Give a function that loads the shipped model after an edit of its JSON."""

    def load(edit: Edit) -> Model:
        content = copy.deepcopy(SHIPPED)
        edit(content)
        (tmp_path / "edited.json").write_text(json.dumps(content), encoding="utf-8")
        return load_model("edited", tmp_path)

    return load


def node(content: dict[str, Any], identity: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in content["nodes"] if one["id"] == identity)
    return found


def setting(key: str, expression: str) -> Edit:
    """Return an edit that sets one expression of the document's node."""

    def edit(content: dict[str, Any]) -> None:
        expressions = node(content, "document")["content"]["expressions"]
        expressions[:] = [one for one in expressions if one["key"] != key] + [{"id": "new", "key": key, "value": expression}]

    return edit


def applied(model: Model, **changes: Any) -> Mapped:  # noqa: ANN401 - any field of an order
    mapped = model.apply(Event("OrderPlaced", an_order(**changes)), FLOW)
    assert isinstance(mapped, Mapped)
    return mapped


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any part of a document
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, f"{path}[]")
    else:
        yield path, value


# --- the model alone decides


def test_a_change_of_the_file_alone_brings_a_custom_field_into_the_document(edited: Load) -> None:
    model = edited(setting("document.CustomFields", "{Channel: custom_fields['Order Source']}"))
    assert {"Discount": "1.00", "Order Source": "web"} == applied(load_model(NAME)).document["CustomFields"]
    assert {"Channel": "web"} == applied(model).document["CustomFields"]
    assert load_model(NAME).version != model.version


def test_a_new_row_of_a_table_makes_a_status_known(edited: Load) -> None:
    rows = [{"_id": "new", "in": "'25'", "out": "20"}]
    model = edited(lambda content: node(content, "order-status")["content"]["rules"].extend(rows))
    assert 20 == applied(model, status="25").document["OrderStatus"]


def test_a_null_is_not_sent_at_any_depth(edited: Load) -> None:
    model = edited(setting("document.Dimensions", "{a: null, b: {c: null, d: 'x'}, e: [{f: null}]}"))
    assert {"b": {"d": "x"}, "e": [{}]} == applied(model).document["Dimensions"]


def test_effect_key_and_write_unit_are_the_business_key_unless_the_model_says_otherwise(edited: Load) -> None:
    default = applied(load_model(NAME))
    own = applied(edited(setting("effect_key", "'mine'")))
    assert ("shop/order/1001", "shop/order/1001") == (default.effect_key, default.write_unit)
    assert ("mine", "mine") == (own.effect_key, own.write_unit)


# --- what may not run


def refused(edited: Load, edit: Edit) -> str:
    with pytest.raises(ConfigError) as caught:
        edited(edit)
    assert str(caught.value).startswith("mapping edited: ")
    return str(caught.value)


def as_node(kind: str, content: Any) -> Edit:  # noqa: ANN401 - a node's content
    return lambda model: node(model, "order-status").update(type=kind, content=content)


def test_javascript_is_refused_by_the_name_of_its_node(edited: Load) -> None:
    message = refused(edited, as_node("functionNode", {"source": "export const handler = async () => ({})"}))
    assert "node 'order status' is JavaScript, which is refused; use an expression, a table or a switch" in message


@pytest.mark.parametrize("kind", ["decisionNode", "customNode", "httpNode"])
def test_a_node_that_nothing_here_can_run_is_refused_by_name(edited: Load, kind: str) -> None:
    assert f"node 'order status' is a {kind}" in refused(edited, as_node(kind, {"key": "other", "kind": "x", "config": {}}))


def cell(table: str, column: str, text: str) -> Edit:
    return lambda model: node(model, table)["content"]["rules"][0].update({column: text})


BROKEN: dict[str, tuple[Edit, str]] = {
    "an expression": (setting("document.Total", "total +"), "node 'sales order', document.Total: 'total +'"),
    "a condition of a table": (cell("order-status", "in", "'10' ++ ("), "node 'order status', status, row 1"),
    "a result of a table": (cell("payment-status", "out", "'Paid"), "node 'payment status', paid, row 1"),
    "the input of a table": (
        lambda model: node(model, "order-status")["content"]["inputs"][0].update(field="status ++ ("),
        "node 'order status', input status",
    ),
    "a switch": (as_node("switchNode", {"statements": [{"id": "s1", "condition": "status =="}]}), "node 'order status', statement s1"),
}


@pytest.mark.parametrize(("edit", "where"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_expression_is_refused_with_its_place_before_it_can_map_to_null(edited: Load, edit: Edit, where: str) -> None:
    assert where in refused(edited, edit)


def test_a_table_may_hold_lists_comparisons_and_empty_cells(edited: Load) -> None:
    listed = edited(cell("order-status", "in", "'10', '20'"))
    assert 10 == applied(listed, status="20").document["OrderStatus"]
    assert 10 == applied(edited(cell("order-status", "in", "")), status="99").document["OrderStatus"]
    edited(cell("order-status", "in", "> 5"))


def test_a_cycle_is_refused(edited: Load) -> None:
    edge = {"id": "back", "type": "edge", "sourceId": "document", "targetId": "order-status"}
    assert "cyclicGraph" in refused(edited, lambda model: model["edges"].append(edge))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", "{}", '{"nodes": 3}', '{"nodes": [{}]}', '{"nodes": [], "edges": []}', '{"nodes": [3]}']
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mapping m: m\.json is not a decision model that can run"):
        load_model("m", tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"mapping m: m\.json is not a decision model"):
        load_model("m", tmp_path)


def test_a_missing_file_says_where_it_should_be_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model("pair/event", tmp_path)
    expected = f"mapping pair/event: there is no event.json in {tmp_path / 'pair'}; write it or name another mapping in the flow"
    assert expected == str(caught.value)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").mkdir()
    with pytest.raises(ConfigError, match=r"mapping m: .*write it or name another mapping"):
        load_model("m", tmp_path)


# --- what a model may answer

ANSWERS: dict[str, tuple[Edit, str]] = {
    "a text for a document": (setting("related", "'x'"), "related"),
    "a text among the related": (setting("related", "{a: 'x'}"), "related.a"),
    "a number for a key": (setting("effect_key", "7"), "effect_key"),
    "errors that are no list": (setting("errors", "{a: 1}"), "errors"),
    "an error without a message": (setting("errors", "[{field: 'x'}]"), "errors.0.message"),
}


@pytest.mark.parametrize(("edit", "where"), ANSWERS.values(), ids=list(ANSWERS))
def test_an_answer_of_another_shape_is_a_data_error_and_no_crash(edited: Load, edit: Edit, where: str) -> None:
    with pytest.raises(DataError) as caught:
        applied(edited(edit))
    assert ("mapping", where) == (caught.value.field, caught.value.value)


def test_an_answer_without_an_operation_is_a_data_error(edited: Load) -> None:
    with pytest.raises(DataError, match=r"no `document` or no `operation`"):
        applied(edited(setting("operation", "null")))


def test_an_expression_that_fails_on_this_event_is_a_data_error_on_one_line(edited: Load) -> None:
    with pytest.raises(DataError) as caught:
        applied(edited(setting("document.Total", "number(order_number)")), order_number="no number")
    assert ("mapping", 1) == (caught.value.field, len(str(caught.value).splitlines()))


# --- money

ZONES = ["EUR", "USD", "RSD", *PLACES]
amounts = st.decimals(0, 10**14, places=6)


@given(st.sampled_from(ZONES), amounts, amounts, st.integers(1, 10**9))
def test_money_is_text_in_the_currency_s_places_and_nothing_is_a_float(currency: str, amount: Decimal, price: Decimal, quantity: int) -> None:
    first = {**an_order()["lines"][0], "quantity": Decimal(quantity), "unit_price": price, "line_total": amount, "tax_amount": amount}
    totals = dict.fromkeys(["total", "tax_total", "shipping_amount", "discount_total"], amount)
    mapped = applied(MODEL, currency=currency, lines=[first], **totals)
    found = dict(leaves({"document": mapped.document, "related": mapped.related}))
    assert {} == {path: value for path, value in found.items() if isinstance(value, float)}
    exact = Decimal(1).scaleb(-decimal_places(currency))
    rounded = f"{amount.quantize(exact):f}"
    for name in ("Total", "TaxTotal", "ShippingAmount", "Lines[].TaxAmount"):
        assert rounded == found[f".document.{name}"]
    assert (rounded if Decimal(rounded) else None) == found.get(".document.CustomFields.Discount")
    assert abs(Decimal(found[".document.Lines[].UnitPrice"]) - price) <= Decimal("0.00005")
    assert quantity == found[".document.Lines[].Quantity"]


MODEL = load_model(NAME)


@given(st.sampled_from(ZONES), amounts)
def test_prices_keep_every_place_that_the_source_gave_and_amounts_exactly_their_currency_s(currency: str, amount: Decimal) -> None:
    places = decimal_places(currency)
    found = plain({"unit_price": amount, "total": amount, "quantity": amount}, currency)
    assert amount == Decimal(found["unit_price"]) == Decimal(found["quantity"])
    assert places <= -int(Decimal(found["unit_price"]).as_tuple().exponent)
    assert places == -int(Decimal(found["total"]).as_tuple().exponent)


def test_an_amount_rounded_to_nothing_has_no_minus() -> None:
    assert {"total": "0.00", "quantity": "0"} == plain({"total": Decimal("-0.001"), "quantity": Decimal("-0")}, "EUR")


def test_an_amount_that_cannot_be_rounded_is_a_data_error_naming_it() -> None:
    with pytest.raises(DataError) as caught:
        plain({"lines": [{"tax_amount": Decimal("1e31")}]}, "EUR")
    assert "tax_amount" == caught.value.field


@pytest.mark.parametrize("changes", [{}, {"shipping_address": None}, {"billing_address": an_address(lines=[])}], ids=["whole", "pick-up", "bare"])
def test_applying_changes_nothing_of_the_event(changes: dict[str, Any]) -> None:
    order = an_order(**changes)
    before = copy.deepcopy(order)
    one, other = (MODEL.apply(Event("OrderPlaced", order), FLOW) for _ in range(2))
    assert (before, one) == (order, other)
