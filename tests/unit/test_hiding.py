from __future__ import annotations

import base64
import html
import io
import json
import logging
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from towpath import hiding, logs
from towpath.config import SecretRef
from towpath.hiding import HIDDEN, LONG, MOST, hide, remember

SECRET = 'ca nary/ü+"<7>&-3f9a'


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hiding, "_forms", {})


WRITTEN: list[Callable[[str], str]] = [
    str,
    repr,
    json.dumps,
    html.escape,
    quote,
    quote_plus,
    lambda secret: quote(secret, safe=""),
    lambda secret: secret.encode().hex(),
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: f"Basic {base64.b64encode(f'id:{secret}'.encode()).decode()}",
    lambda secret: f"x{base64.b64encode(f'user:{secret}:more'.encode()).decode()}y",
    lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    lambda secret: f"{secret}{secret}",
]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_secret_is_hidden_however_it_is_written(written: Callable[[str], str]) -> None:
    remember(SECRET)
    found = hide(f"before {written(SECRET)} after")
    assert HIDDEN in found
    assert found.startswith("before ")
    assert found.endswith(" after")
    assert "3f9a" not in found
    assert base64.b64encode(SECRET.encode()).decode()[4:20] not in found


@given(st.binary(min_size=16, max_size=40), st.binary(max_size=7), st.binary(max_size=7))
def test_no_part_of_eight_bytes_is_left_of_a_secret_within_base64(secret: bytes, before: bytes, after: bytes) -> None:
    text = secret.hex()
    remember(text)
    left = hide(base64.b64encode(before + text.encode() + after).decode()).split(HIDDEN)
    assert len(left) == 2
    assert len(left[0]) <= len(base64.b64encode(before))
    assert len(left[1]) <= len(base64.b64encode(after)) + 4


def test_what_is_too_short_to_be_told_from_words_is_left_and_so_is_business_data_with_a_word_as_a_password() -> None:
    remember("admin")
    remember("password")
    assert hide("admin: the password is wrong", shortest=LONG) == "admin: the password is wrong"
    assert hide("admin: the password is wrong") == f"admin: the {HIDDEN} is wrong"


def test_the_oldest_are_forgotten() -> None:
    for number in range(MOST + 1):
        remember(f"canary-{number:04}")
    assert [hide("canary-0000"), hide("canary-0001"), hide(f"canary-{MOST:04}")] == ["canary-0000", HIDDEN, HIDDEN]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Give what is logged."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    logs.configure("test", stream=stream, console=False)
    yield stream
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_secret_that_was_read_is_in_no_log_line_nor_traceback(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "canary-3f9a")
    SecretRef("env", "SHOP_KEY").resolve()
    try:
        int("b'X: canary-3f9a'")
    except ValueError:
        structlog.get_logger("a").exception("calling canary-3f9a", reply=["canary-3f9a", {"x": "canary-3f9a"}])
        logging.getLogger("b").exception("of %s", "canary-3f9a")
    assert lines.getvalue().count(HIDDEN) >= 6
    assert "canary" not in lines.getvalue()
