"""Writing to the 3PL: one request, whatever is lost, late or repeated; and a cancellation, while nothing has left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.sinks.conftest import Played, Sink
from towpath.errors import DataError, OutcomeUnknownError
from towpath.testing.clock import VirtualClock

KEY = "shop/order/1001/request/12447605"
SHIP_TO = {"name": "Zoë Müller", "street": "Hauptstr. 5", "city": "Berlin", "zip": "10115", "country": "DE"}
POST = "POST fulfilment-requests"


@pytest.fixture
async def threepl(play: Callable[[str], Awaitable[Played]]) -> Played:
    return await play("threepl")


@pytest.fixture
def sink(threepl: Played, sink_to: Callable[..., Sink]) -> Sink:
    return sink_to(threepl)


def request(clock: VirtualClock, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    lines = [{"sku": "TP-0001", "quantity": 2}]
    asked_at = clock.now().isoformat()
    return {"reference": "BP-12447605", "RequestedAt": asked_at, "service": "standard", "shipTo": SHIP_TO, "lines": lines, **changes}


async def test_a_request_stands_once_and_a_second_delivery_changes_nothing(threepl: Played, sink: Sink, clock: VirtualClock) -> None:
    outcomes = [(await sink.insist("create_request", KEY, request(clock))).outcome for _ in range(2)]
    (row,) = await threepl.rows("requests")
    assert (["applied", "unchanged"], "BP-12447605", "accepted") == (outcomes, row["reference"], row["status"])
    assert [POST] == threepl.calls


@pytest.mark.parametrize("how", ["lost", "unsent"])
async def test_a_request_whose_answer_is_lost_is_sent_again_and_is_one(threepl: Played, sink: Sink, clock: VirtualClock, how: str) -> None:
    threepl.cut(POST, how)
    effected = await sink.insist("create_request", KEY, request(clock))
    (row,) = await threepl.rows("requests")
    assert (row["id"], [POST, POST]) == (effected.external_id, threepl.calls)


async def test_a_request_of_unknown_outcome_is_not_repeated_once_its_key_may_be_forgotten(threepl: Played, sink: Sink, clock: VirtualClock) -> None:
    document = request(clock)
    threepl.cut(POST, "lost")
    with pytest.raises(OutcomeUnknownError):
        await clock.run(sink.apply("create_request", KEY, document))
    await clock.advance(timedelta(hours=24).total_seconds())
    with pytest.raises(DataError, match="ask it") as caught:
        await clock.run(sink.apply("create_request", KEY, document))
    assert ("RequestedAt", [POST]) == (caught.value.field, threepl.calls)
    assert "applied" == (await sink.insist("create_request", KEY, {**document, "RequestedAt": clock.now().isoformat()})).outcome


async def test_an_old_request_that_was_never_sent_is_sent(threepl: Played, sink: Sink, clock: VirtualClock) -> None:
    document = request(clock)
    await clock.advance(timedelta(days=3).total_seconds())
    assert "applied" == (await sink.insist("create_request", KEY, document)).outcome
    assert 1 == len(await threepl.rows("requests"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reference": ""}, "reference"),
        ({"reference": "Zoë"}, "reference"),
        ({"lines": []}, "lines"),
        ({"shipTo": {**SHIP_TO, "country": "D"}}, "shipTo.country"),
    ],
)
async def test_what_the_3pl_does_not_take_is_a_data_error_that_names_the_field(
    threepl: Played,
    sink: Sink,
    clock: VirtualClock,
    change: Any,  # noqa: ANN401 - any field
    field: str,
) -> None:
    with pytest.raises(DataError) as caught:
        await clock.run(sink.apply("create_request", KEY, request(clock, **change)))
    assert (field, []) == (caught.value.field, await threepl.rows("requests"))


async def test_a_key_that_was_used_with_another_body_is_a_data_error_and_no_second_request(threepl: Played, sink: Sink, clock: VirtualClock) -> None:
    await sink.insist("create_request", KEY, request(clock))
    with pytest.raises(DataError, match="key_reused"):
        await clock.run(sink.apply("create_request", f"{KEY}-2", request(clock, service="express")))
    assert 1 == len(await threepl.rows("requests"))


async def test_every_request_of_an_order_is_cancelled_once_whichever_answer_is_lost(threepl: Played, sink: Sink, clock: VirtualClock) -> None:
    ids = [(await sink.insist("create_request", f"{KEY}-{n}", request(clock, reference=f"BP-{n}"))).external_id for n in (1, 2)]
    threepl.cut(f"POST fulfilment-requests/{ids[1]}/cancel")
    await sink.insist("cancel_requests", "shop/order/1001", {"Requests": ids})
    assert {"cancelled"} == {row["status"] for row in await threepl.rows("requests")}
    assert 2 == len([call for call in threepl.calls if call.endswith("/cancel")])


async def test_what_has_left_is_not_cancelled_and_neither_is_the_rest(threepl: Played, sink: Sink, clock: VirtualClock) -> None:
    ids = [(await sink.insist("create_request", f"{KEY}-{n}", request(clock, reference=f"BP-{n}"))).external_id for n in (1, 2)]
    await threepl.control("POST", "ship", {"request": ids[1], "parcels": [{"lines": {"TP-0001": 1}}]})
    with pytest.raises(DataError, match="partially_shipped") as caught:
        await clock.run(sink.apply("cancel_requests", "shop/order/1001", {"Requests": ids}))
    assert "Requests" == caught.value.field
    assert ["accepted", "partially_shipped"] == [row["status"] for row in await threepl.rows("requests")]


@pytest.mark.parametrize("requests", [None, [], ["../x"], ["FR-9"]])
async def test_a_cancellation_of_what_is_no_request_is_a_data_error(sink: Sink, clock: VirtualClock, requests: object) -> None:
    with pytest.raises(DataError) as caught:
        await clock.run(sink.apply("cancel_requests", "shop/order/1001", {"Requests": requests}))
    assert "Requests" == caught.value.field
