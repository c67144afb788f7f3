"""What the commands of the workbench tell to do does what it says."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from towpath.cli._dlq_told import all_the_same, tell, tell_followers
from towpath.index.queries import Letter
from towpath.records import Record
from towpath.replaying import Selection
from towpath.topic_reader import Place


def told(**values: object) -> dict[str, Any]:
    texts = {"dead_letter_id": "d15f75dc-1", "reason": "unknown SKU", "group": "sink.erp", "flow": "orders", "topic": "deliver.erp"}
    return {**texts, "business_key": "shop/order/1001", "replays": 0, "offset": 7, **values}


@pytest.mark.parametrize(
    ("topic", "key", "business_key"),
    [
        ("inbox.shop", b"order/1001", "shop/order/1001"),
        ("received.orders", b"shop/order/1001", "shop/order/1001"),
        ("deliver.erp", b"shop/order/1001", "shop/order/1001"),
        ("received.stock", b"A 7", "erp/stock/A 7"),
        ("deliver.shop", b"product/A-7", "erp/stock/A-7"),
    ],
)
def test_the_command_told_for_what_is_closed_plays_its_record_and_no_other(topic: str, key: bytes, business_key: str) -> None:
    (command,) = re.findall("`(.*)`", all_the_same(told(topic=topic, business_key=business_key)))
    *_, named, _, wanted = shlex.split(command)
    chosen = Selection((named,), key=wanted)
    assert [True, False] == [chosen.fits(Record(topic, 0, 0, 0.0, one, b"v")) for one in (key, key + b"0")]
    assert not chosen.fits(Record(topic, 0, 0, 0.0, None, b"v"))


@pytest.mark.parametrize(
    ("values", "whom"),
    [
        ({}, "the processor, to be mapped anew for orders: unknown SKU"),
        ({"topic": "received.orders", "group": "processor"}, "processor on received.orders: unknown SKU"),
    ],
)
def test_what_is_mapped_anew_goes_to_the_processor(capsys: pytest.CaptureFixture[str], values: dict[str, str], whom: str) -> None:
    tell([Letter(Place("dlq.erp", 0), 0, told(**values))], "to", remap=True)
    assert f"d15f75dc  shop/order/1001  to {whom}\n" == capsys.readouterr().out


def a_letter(number: int, key: str) -> Letter:
    return Letter(Place("parked.erp", 0), number, told(dead_letter_id=f"letter-{number}", business_key=key))


def test_what_may_wait_for_what_is_discarded_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    parked = [a_letter(number, f"shop/order/{order}") for number, order in enumerate((1001, 1001, 1001, 1002))]
    tell_followers([parked[0], a_letter(9, "")], [*parked, a_letter(8, "")])
    waiting = "what waits for the discarded one waits for ever; see `towpath dlq list --where business_key=shop/order/1001`"
    assert f"2 records of shop/order/1001 still parked: {waiting}\n" == capsys.readouterr().err
