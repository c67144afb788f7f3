"""What the commands of the workbench tell to do does what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from towpath.cli._dlq_told import all_the_same, tell, tell_followers
from towpath.errors import ConfigError
from towpath.index.queries import Letter
from towpath.records import DEAD_LETTER, ORIGIN
from towpath.topic_reader import Place


def told(**values: object) -> dict[str, Any]:
    texts = {"dead_letter_id": "d15f75dc-1", "reason": "unknown SKU", "group": "sink.erp", "flow": "orders", "topic": "deliver.erp"}
    return {**texts, "business_key": "shop/order/1001", "replays": 0, "offset": 7, **values}


def original(topic: str, *headers: tuple[str, bytes]) -> dict[str, Any]:
    return {"topic": topic, "partition": 2, "offset": 7, "headers": [{"name": name, "value": value} for name, value in headers]}


@pytest.mark.parametrize(
    ("of", "first"),
    [
        (original("inbox.shop"), 7),
        (original("deliver.shop", ("ce_id", b"e1")), 7),
        (original("received.orders", (ORIGIN, b"4"), (DEAD_LETTER, b"d15f")), 4),
    ],
)
def test_the_command_told_for_what_is_closed_plays_its_record_and_no_other(of: dict[str, Any], first: int) -> None:
    (command,) = re.findall("`(.*)`", all_the_same(iter([of])))
    assert ["towpath", "replay", of["topic"], "--partition", "2", "--from", str(first), "--to", str(first + 1)] == shlex.split(command)


def gone() -> Iterator[dict[str, Any]]:
    raise ConfigError("dead letter d15f is gone, past the topic's retention")
    yield {}


@pytest.mark.parametrize("originals", [iter([original("connect.errors")]), iter([original("deliver.shop", (DEAD_LETTER, b"d15f"))]), gone()])
def test_no_command_is_told_that_would_play_nothing(originals: Iterator[dict[str, Any]]) -> None:
    assert not all_the_same(originals)


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
