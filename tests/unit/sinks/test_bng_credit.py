"""A refund at BNG: one credit memo and one entry that balances, whatever happens to the calls, and never more than was sold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from sinks.effects import Effected
from towpath.delivery.ledger import Effect
from towpath.errors import DataError, OutcomeUnknownError

Erp = Any
Sink = Any
KEY = "shop/order/1001"
REFUND = f"{KEY}/refund/9"


@pytest.fixture
async def erp(play: Callable[[str], Awaitable[Any]]) -> Erp:
    """A BNG with one sales order, SO1001, of 119.70 GBP."""
    erp = await play("bng")
    customer = await erp.ask("POST", "customers", {"Email": "ann@example.com"})
    line = {"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 3, "UnitPrice": "39.90"}
    order = {"CustomerID": customer["CustomerID"], "OrderDate": "2026-11-20", "Currency": "GBP", "Total": "119.70", "Lines": [line]}
    await erp.ask("POST", "sales-orders", order)
    erp.calls.clear()
    return erp


@pytest.fixture
async def sink(erp: Erp, sink_to: Callable[..., Sink]) -> Sink:
    sink = sink_to(erp)
    order = Effect("to", "create_order", KEY)
    await sink.ledger.begin(order, digest="", lease=timedelta(0), settle=timedelta(0))
    await sink.ledger.complete(order, "SO1001")
    return sink


def a_memo(total: str = "39.90", **changes: object) -> dict[str, Any]:
    line = {"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 1, "UnitPrice": "39.90", "TaxAmount": "0.00"}
    reference = {"SalesOrderID": {"$ref": "order", "key": KEY}, "Reference": f"{KEY} refund 9"}
    return {**reference, "Currency": "GBP", "Total": total, "Lines": [line], **changes}


async def refund(sink: Sink, memo: dict[str, Any] | None = None, *, number: int = 9, insist: bool = False) -> Effected:
    """Apply a refund as its mapping asks for it."""
    key, memo = f"{KEY}/refund/{number}", {**(memo or a_memo()), "Reference": f"{KEY} refund {number}"}
    lines = [{"Account": "1200", "Debit": memo["Total"], "Credit": "0.00"}, {"Account": "1020", "Debit": "0.00", "Credit": memo["Total"]}]
    entry = {"EntryDate": "2026-11-20", "Reference": memo["Reference"], "Lines": lines}
    document = {"CreditMemoID": {"$ref": "credit_memo", "key": key}, "Entry": entry}
    related = {f"credit_memo {key}": orjson.dumps(memo).decode()}
    done: Effected = await (sink.insist if insist else sink.apply)("create_gl_entry", key, document, related=related)
    return done


async def test_a_refund_is_one_credit_memo_and_one_entry(erp: Erp, sink: Sink) -> None:
    assert Effected("applied", "GL1001") == (await refund(sink))._replace(external_at=None)
    [memo], [entry] = await erp.rows("credit_memos"), await erp.rows("gl_entries")
    assert ("SO1001", "39.90", f"{KEY} refund 9") == (memo["SalesOrderID"], memo["Total"], memo["Reference"])
    assert [("1200", "39.90", "0.00"), ("1020", "0.00", "39.90")] == [(one["Account"], one["Debit"], one["Credit"]) for one in entry["Lines"]]
    assert "CM1001" == (await sink.ledger.peek(Effect("to", "create_credit_memo", REFUND))).external_id


@pytest.mark.parametrize("how", ["lost", "unsent", "late"])
@pytest.mark.parametrize("call", ["POST credit-memos", "POST gl-entries"])
async def test_whatever_happens_to_a_call_there_is_one_of_each(erp: Erp, sink: Sink, call: str, how: str) -> None:
    erp.cut(call, how)
    with pytest.raises(OutcomeUnknownError):
        await refund(sink)
    if how == "late":
        await erp.late.pop()()
    assert (await refund(sink, insist=True)).outcome in {"applied", "found"}
    assert (1, 1) == (len(await erp.rows("credit_memos")), len(await erp.rows("gl_entries")))


async def test_two_refunds_of_an_order_are_two_and_a_third_beyond_what_was_sold_is_refused(erp: Erp, sink: Sink) -> None:
    for number in (1, 2):
        await refund(sink, a_memo("59.85"), number=number)
    with pytest.raises(DataError, match=r"0\.00 are left to credit") as caught:
        await refund(sink, a_memo("0.02"), number=3)
    assert "Total" == caught.value.field
    assert (2, 2) == (len(await erp.rows("credit_memos")), len(await erp.rows("gl_entries")))


async def test_one_minor_unit_beyond_is_rounding(erp: Erp, sink: Sink) -> None:
    await refund(sink, a_memo("119.71"))
    assert ["119.71"] == [memo["Total"] for memo in await erp.rows("credit_memos")]


async def test_a_credit_memo_with_our_reference_and_another_amount_is_for_a_person(erp: Erp, sink: Sink) -> None:
    await erp.ask("POST", "credit-memos", a_memo("1.00", SalesOrderID="SO1001"))
    with pytest.raises(DataError, match="has the reference") as caught:
        await refund(sink)
    assert "Total" == caught.value.field
    assert [] == await erp.rows("gl_entries")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Currency": "EUR"}, "Currency"),
        ({"Total": "NaN"}, "Total"),
        ({"SalesOrderID": ""}, "SalesOrderID"),
        ({"SalesOrderID": "SO9"}, "SalesOrderID"),
    ],
)
async def test_what_cannot_be_credited_is_a_data_error_that_names_the_field(erp: Erp, sink: Sink, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DataError) as caught:
        await refund(sink, a_memo(**changes))
    assert field == caught.value.field
    assert [] == erp.sent("POST")
