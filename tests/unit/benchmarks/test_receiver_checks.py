from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from benchmarks.http_load import Told, whole_answer
from benchmarks.receiver import stored_wrongly, taken
from benchmarks.webhooks import BODY_BYTES, body_of, requests
from producers.base import WEBHOOK_ID
from towpath.records import Record


def stored(number: int, body: bytes | None = None) -> Record:
    return Record("inbox.shop", 0, number, 0.0, b"key", body_of(number) if body is None else body, [(WEBHOOK_ID, f"run0-{number}".encode())])


ACCEPTED = {"run0-0": 1, "run0-1": 1}


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([stored(0), stored(1)], []),
        ([stored(0)], ["1 accepted webhooks are not in the inbox"]),
        ([stored(0), stored(1), stored(1)], ["1 records were never accepted"]),
        ([stored(0), stored(1, b"{}")], ["1 records are not what was sent"]),
    ],
)
def test_the_inbox_holds_exactly_what_was_accepted(records: list[Record], told: list[str]) -> None:
    assert told == stored_wrongly(records, ACCEPTED)


def test_an_answer_other_than_2xx_or_none_at_all_is_a_problem() -> None:
    found = taken(Told({0: 2}, {204: 2, 503: 1, 0: 3}, [0.001, 0.002], 1.0), {"cpu_s": 1.0}, 50.0)
    assert ["1 requests were answered 503", "3 requests were answered not at all"] == found.problems
    assert 2.0 == found.figures["requests_per_s"]


def test_a_load_that_nobody_answered_is_a_problem() -> None:
    assert ["nothing was answered"] == taken(Told(seconds=1.0), {"cpu_s": 1.0}, 50.0).problems


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n", 204),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", 200),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nO", None),
        (b"HTTP/1.1 200 OK\r\nContent-Le", None),
        (b"", None),
    ],
)
def test_an_answer_counts_once_it_is_whole(data: bytes, status: int | None) -> None:
    assert status == whole_answer(data)


def test_requests_are_signed_and_of_the_stated_size() -> None:
    key = b"k" * 32
    (request,) = requests("/hooks/shop", "whsec_" + base64.b64encode(key).decode(), "run0", 1)
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert (expected, BODY_BYTES) == (headers["webhook-signature"], len(body))
