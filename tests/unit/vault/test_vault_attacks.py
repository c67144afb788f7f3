"""What a stranger may do to a vault's file or key, and what Towpath then answers: the entry or file by its name, and what to do."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from towpath.errors import ConfigError
from towpath.failpoints import Failpoints
from towpath.vault import KeyPlace, Vault

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
RANDOM = base64.b64encode(bytes(range(7, 39))).decode()


def altered(vault: Vault, change: Callable[[dict[str, Any]], object]) -> None:
    file = vault.folder / "vault.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def flipped(sealed: str, bit: int = 100) -> str:
    raw = bytearray(base64.b64decode(sealed))
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    return base64.b64encode(raw).decode()


def refusal(vault: Vault, name: str = "erp-key") -> str:
    with pytest.raises(ConfigError) as caught:
        vault.held(name)
    assert "canary" not in str(caught.value)
    return str(caught.value)


def swap(content: dict[str, Any]) -> None:
    entries = content["entries"]
    entries["erp-key"], entries["shop-key"] = entries["shop-key"], entries["erp-key"]


def flip(part: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["entries"]["erp-key"][part] = flipped(content["entries"]["erp-key"][part])

    return change


ENTRY_ATTACKS: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("swapped", swap, "was altered, or swapped with another"),
    ("value flipped", flip("value"), "was altered, or swapped with another"),
    ("data key flipped", flip("data_key"), "was altered, or swapped with another"),
    ("emptied", lambda content: content["entries"]["erp-key"].update(value=""), "was altered, or swapped with another"),
    ("shortened", lambda content: content["entries"]["erp-key"].update(value=content["entries"]["erp-key"]["value"][:-4]), "was altered"),
    ("no base64", lambda content: content["entries"]["erp-key"].update(value="ä!"), "was altered, or swapped with another"),
    ("backdated", lambda content: content["entries"]["erp-key"].update(set_at="2025-01-01T00:00:00+00:00"), "was altered, or swapped with another"),
    ("half swapped", lambda content: content["entries"]["erp-key"].update(value=content["entries"]["shop-key"]["value"]), "was altered"),
    ("taken out", lambda content: content["entries"].pop("erp-key"), "was taken out of the vault's file"),
]


@pytest.mark.parametrize(("change", "told"), [case[1:] for case in ENTRY_ATTACKS], ids=[case[0] for case in ENTRY_ATTACKS])
def test_an_entry_that_is_not_as_it_was_set_is_refused_by_name_and_can_be_set_again(
    vault: Vault, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    altered(vault, change)
    message = refusal(vault)
    assert message.startswith('the entry "erp-key" ')
    assert told in message
    assert message.endswith("bring the file back from its backup, or set it again with `towpath vault set erp-key`")
    assert vault.verify()[0]["erp-key"] == message
    vault.set("erp-key", "new", NOON)
    assert vault.held("erp-key").value == "new"


def test_an_older_entry_of_the_same_name_is_refused(vault: Vault) -> None:
    older = json.loads((vault.folder / "vault.json").read_text())["entries"]["erp-key"]
    vault.set("erp-key", "changed since", NOON)
    altered(vault, lambda content: content["entries"].update({"erp-key": older}))
    assert "is not the one that was set last" in refusal(vault)


def test_an_entry_of_another_vault_is_refused_though_the_key_is_the_same(vault: Vault, tmp_path: Path) -> None:
    other = Vault(tmp_path / "other", vault.place)
    other.make()
    other.set("erp-key", "of another", NOON)
    theirs = json.loads((other.folder / "vault.json").read_text())["entries"]["erp-key"]
    altered(vault, lambda content: content["entries"].update({"erp-key": theirs, "planted": theirs}))
    assert "was altered, or swapped with another" in refusal(vault)
    assert "was put into the vault's file by other means" in refusal(vault, "planted")


def test_an_attack_on_one_entry_leaves_the_others_and_no_change_of_them_makes_it_good(vault: Vault) -> None:
    altered(vault, flip("value"))
    assert vault.held("shop-key").value == "canary-shop"
    vault.set("shop-key", "changed", NOON)
    assert "was altered" in refusal(vault)
    with pytest.raises(ConfigError, match='is not whole, so it is not rotated; erp-key: the entry "erp-key" was altered'):
        vault.rotate(NOON, Failpoints())
    vault.remove("erp-key")
    assert vault.verify() == ({"shop-key": ""}, [])


HEADS: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("index flipped", lambda content: content.update(index=flipped(content["index"])), r"was altered: its index does not open with its key"),
    ("id changed", lambda content: content.update(vault="0" * 32), r"was altered: its index does not open with its key"),
    ("key id changed", lambda content: content.update(key="0" * 12), r"was sealed with the key 000000000000, and .* put the right key there"),
    ("later format", lambda content: content.update(format="towpath-vault/2"), r"is damaged or cut off: it is no towpath-vault/1"),
    ("field added", lambda content: content.update(more=1), r"is damaged or cut off"),
    ("field gone", lambda content: content.pop("index"), r"is damaged or cut off"),
]


@pytest.mark.parametrize(("change", "told"), [case[1:] for case in HEADS], ids=[case[0] for case in HEADS])
def test_a_file_whose_head_was_altered_opens_no_entry_and_is_never_written_over(
    vault: Vault, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    altered(vault, change)
    before = (vault.folder / "vault.json").read_bytes()
    attempts: list[Callable[[], object]] = [
        lambda: vault.held("erp-key"),
        lambda: vault.set("erp-key", "x", NOON),
        lambda: vault.remove("erp-key"),
        lambda: vault.rotate(NOON, Failpoints()),
        vault.verify,
        vault.names,
        vault.make,
    ]
    for attempt in attempts[:-1]:
        with pytest.raises(ConfigError, match=told):
            attempt()
    with pytest.raises(ConfigError, match="there is a vault in"):
        attempts[-1]()
    assert (vault.folder / "vault.json").read_bytes() == before


@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_told_as_such(vault: Vault, keep: float) -> None:
    file = vault.folder / "vault.json"
    raw = file.read_bytes()
    file.write_bytes(raw[: int(len(raw) * keep)] if keep < 1 else raw[:1])
    assert "is damaged or cut off" in refusal(vault)


@pytest.mark.parametrize("rubbish", [b"\xff\xfe", b"null", b"[]", b'{"format": "towpath-vault/1"}', b"[" * 100_000])
def test_rubbish_is_no_vault(vault: Vault, rubbish: bytes) -> None:
    (vault.folder / "vault.json").write_bytes(rubbish)
    assert "is damaged or cut off" in refusal(vault)


def test_a_vault_that_is_gone_is_told_with_both_remedies(vault: Vault) -> None:
    (vault.folder / "vault.json").unlink()
    assert "bring the file back from its backup, or make a new one with `towpath vault init`" in refusal(vault)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610, 0o777])
def test_a_key_that_others_may_read_or_change_is_refused(vault: Vault, tmp_path: Path, mode: int) -> None:
    (tmp_path / "vault.key").chmod(mode)
    assert f"is open to others (mode {mode:04o}); `chmod 600` it" in refusal(vault)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_that_its_owner_alone_may_read_opens(vault: Vault, tmp_path: Path, mode: int) -> None:
    (tmp_path / "vault.key").chmod(mode)
    vault.rotate(NOON, Failpoints())
    assert (vault.held("erp-key").value, (tmp_path / "vault.key").stat().st_mode & 0o777) == ("canary-erp", mode)


@pytest.mark.parametrize("place", ["vault/key", "vault/deep/key", "link", "elsewhere/../vault/key"])
def test_a_key_in_the_vaults_own_folder_is_refused_before_it_is_made(tmp_path: Path, place: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "vault" / "key")
    vault = Vault(tmp_path / "vault", KeyPlace("file", str(tmp_path / place)))
    with pytest.raises(ConfigError, match=r"lies in the vault's own folder, .* move it elsewhere and change vault\.key"):
        vault.make()
    assert [file.name for file in (tmp_path / "vault").iterdir()] == ["lock"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no key: it must be 32 random bytes in base64"),
        ("hunter2", "is no key: it must be"),
        ("canary" * 20, "is no key: it must be"),
        (base64.b64encode(bytes(32)).decode(), "it is not random"),
        (base64.b64encode(bytes(range(31))).decode(), "is no key: it must be"),
        (f"{RANDOM}\ncanary", r"is no key (the 2. word): it must be"),
        (RANDOM, "was sealed with the key"),
    ],
)
def test_what_is_no_key_or_another_is_told_and_never_shown(vault: Vault, tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "vault.key").write_text(content)
    message = refusal(vault)
    assert told in message
    assert not content.strip() or content not in message


def test_a_key_that_is_gone_or_no_file_is_told(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "vault.key").unlink()
    assert "vault.key is not there; bring it back from its backup" in refusal(vault)
    os.mkfifo(tmp_path / "vault.key", 0o600)
    assert "is no file" in refusal(vault)
    (tmp_path / "vault.key").unlink()
    (tmp_path / "vault.key").mkdir(mode=0o700)
    assert "vault.key" in refusal(vault)


def test_a_variable_that_is_not_set_is_named(vault: Vault) -> None:
    assert "the environment variable NO_SUCH_KEY, which holds the vault's key, is not set" in refusal(
        Vault(vault.folder, KeyPlace("env", "NO_SUCH_KEY"))
    )
