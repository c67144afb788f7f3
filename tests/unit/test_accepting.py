from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from towpath.accepting import Accepting
from towpath.config import SecretRef
from towpath.errors import ConfigError
from towpath.signatures import NotAuthenticError, Verifier
from towpath.vault import KeyPlace, Vault

NOW = datetime.now(UTC)
OLD, NEW, THIRD = ("whsec_" + base64.b64encode(word * 8).decode() for word in (b"old ", b"new ", b"3rd "))
BODY = b'{"type": "order.placed"}'


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    vault = Vault(tmp_path / "vault", KeyPlace("file", str(tmp_path / "vault.key")))
    vault.make()
    vault.set("hook", OLD, NOW)
    return vault


@pytest.fixture
def accepting(vault: Vault) -> Accepting:
    return Accepting(SecretRef("vault", "hook", vault), Verifier)


def accepts(accepting: Accepting, secret: str, seconds: float = 0) -> bool:
    """Tell whether a webhook that was signed with `secret` is taken so many seconds after the first moment."""
    now = NOW + timedelta(seconds=seconds)
    signed = {"webhook-id": "m", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": Webhook(secret).sign("m", now, BODY.decode())}
    try:
        return accepting.verify(BODY, signed, now) == "m"
    except NotAuthenticError:
        return False


def test_a_new_secret_counts_within_a_second_and_the_old_one_no_more(vault: Vault, accepting: Accepting) -> None:
    assert [accepts(accepting, OLD), accepts(accepting, NEW)] == [True, False]
    vault.set("hook", NEW, NOW)
    assert [accepts(accepting, OLD, 1), accepts(accepting, NEW, 1)] == [False, True]


def test_both_count_while_the_old_one_is_kept(vault: Vault, accepting: Accepting) -> None:
    vault.set("hook", NEW, NOW, keep_old=timedelta(hours=1))
    assert [accepts(accepting, secret, 1) for secret in (OLD, NEW, THIRD)] == [True, True, False]
    vault.set("hook", NEW, NOW - timedelta(hours=2), keep_old=timedelta(hours=1))
    assert [accepts(accepting, secret, 2) for secret in (OLD, NEW, THIRD)] == [False, True, False]


@pytest.mark.parametrize("harm", ["gone", "no secret"])
def test_a_vault_that_breaks_is_logged_once_and_webhooks_go_on_to_be_taken(vault: Vault, accepting: Accepting, harm: str) -> None:
    if harm == "gone":
        (vault.folder / "vault.json").rename(vault.folder / "away")
    else:
        vault.set("hook", "whsec_canary!", NOW)
    with capture_logs() as logged:
        assert [accepts(accepting, OLD, seconds) for seconds in (1, 2, 3)] == [True] * 3
    (line,) = logged
    assert line["event"] == "webhooks are verified by the secret from before"
    assert "canary" not in str(line)
    if harm == "gone":
        (vault.folder / "away").rename(vault.folder / "vault.json")
    vault.set("hook", NEW, NOW)
    assert [accepts(accepting, OLD, 4), accepts(accepting, NEW, 4)] == [False, True]


def test_a_clock_that_was_set_back_does_not_keep_a_new_secret_out(vault: Vault, accepting: Accepting) -> None:
    assert accepts(accepting, OLD, 100)
    vault.set("hook", NEW, NOW)
    assert accepts(accepting, NEW, 50)


def test_what_is_wrong_at_the_start_is_refused(vault: Vault) -> None:
    with pytest.raises(ConfigError, match='no entry called "hok"'):
        Accepting(SecretRef("vault", "hok", vault), Verifier)
    vault.set("hook", "no base64!", NOW)
    with pytest.raises(binascii.Error):
        Accepting(SecretRef("vault", "hook", vault), Verifier)
