from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from towpath.errors import ConfigError
from towpath.failpoints import Failpoints
from towpath.vault import KeyPlace, Vault

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY, OTHER_KEY = (base64.b64encode(bytes(range(start, start + 32))).decode() for start in (1, 2))


def values(vault: Vault) -> dict[str, str]:
    return {name: vault.held(name).value for name in vault.names()}


HELD = {"erp-key": "canary-erp", "shop-key": "canary-shop"}


def test_a_secret_is_read_as_it_was_set_and_the_file_does_not_show_it(vault: Vault) -> None:
    vault.set("erp-key", "  whole\nwith lines, ümlaute and 🔑 ", NOON)
    assert vault.held("erp-key").value == "  whole\nwith lines, ümlaute and 🔑 "
    assert "whole" not in (vault.folder / "vault.json").read_text()
    assert "canary" not in f"{vault!r} {vault} {vault.held('shop-key')!r} {vault.names()}"


def test_each_change_of_a_secret_has_a_data_key_and_a_nonce_of_its_own(vault: Vault) -> None:
    first = (vault.folder / "vault.json").read_text()
    vault.set("erp-key", "canary-erp", NOON)
    sealed = [line for line in first.splitlines() if '"data_key"' in line or '"value"' in line]
    again = [line for line in (vault.folder / "vault.json").read_text().splitlines() if '"data_key"' in line or '"value"' in line]
    assert (4, 2) == (len(sealed), len(set(sealed) & set(again))), "those of shop-key alone stayed"


@pytest.mark.parametrize("name", ["", "Erp", "a b", "../x", "a/b", "-a", "a--b", "x" * 65, "ä", "a\n"])
def test_a_name_that_could_be_taken_for_something_else_is_refused(vault: Vault, name: str) -> None:
    with pytest.raises(ConfigError, match="a name must be small letters"):
        vault.set(name, "x", NOON)


@pytest.mark.parametrize("value", ["", " \n", "a\0b", "\ud800", "x" * 65_537])
def test_a_secret_that_is_none_is_refused_and_the_old_one_stays(vault: Vault, value: str) -> None:
    with pytest.raises(ConfigError, match="nothing was changed"):
        vault.set("erp-key", value, NOON)
    assert values(vault) == HELD


def test_what_is_not_there_is_named_with_the_nearest_entry(vault: Vault) -> None:
    with pytest.raises(ConfigError, match='no entry called "erp-kye"; did you mean "erp-key"\\?'):
        vault.held("erp-kye")


def test_a_vault_is_not_made_over_another(vault: Vault) -> None:
    with pytest.raises(ConfigError, match=r"there is a vault in .* already"):
        vault.make()
    assert values(vault) == HELD


def test_a_removed_entry_is_gone_and_the_others_stay(vault: Vault) -> None:
    vault.remove("erp-key")
    assert values(vault) == {"shop-key": "canary-shop"}
    with pytest.raises(ConfigError, match='no entry called "erp-key"'):
        vault.remove("erp-key")


def test_an_old_value_is_kept_for_as_long_as_was_said_and_no_longer(vault: Vault) -> None:
    vault.set("erp-key", "new", NOON, keep_old=timedelta(hours=2))
    held = vault.held("erp-key")
    assert [("new", "canary-erp"), ("new", None)] == [(at.value, at.previous) for at in (held.at(NOON), held.at(NOON + timedelta(hours=2)))]
    vault.rotate(NOON + timedelta(hours=2), Failpoints())
    assert (vault.held("erp-key").previous, vault.held("erp-key").until) == (None, None)


def test_a_rotation_leaves_the_secrets_and_makes_the_old_key_useless(vault: Vault, tmp_path: Path) -> None:
    old_key, old_file = (tmp_path / "vault.key").read_text(), (vault.folder / "vault.json").read_text()
    assert vault.rotate(NOON, Failpoints()) == 2
    assert values(vault) == HELD
    sealed = {line for line in old_file.splitlines() if "data_key" in line or '"value"' in line}
    assert sealed.isdisjoint((vault.folder / "vault.json").read_text().splitlines()), "every data key is a new one"
    (tmp_path / "vault.key").write_text(old_key)
    with pytest.raises(ConfigError, match=r"was sealed with the key \w{12}, and file:.*vault\.key holds \w{12}; put the right key there"):
        vault.held("erp-key")


def test_data_keys_alone_are_renewed_where_the_key_is_to_stay(vault: Vault, tmp_path: Path) -> None:
    key, before = (tmp_path / "vault.key").read_text(), (vault.folder / "vault.json").read_text()
    vault.rotate(NOON, Failpoints(), keep_key=True)
    assert (key, values(vault)) == ((tmp_path / "vault.key").read_text(), HELD)
    assert len(set(before.splitlines()) & {line for line in (vault.folder / "vault.json").read_text().splitlines() if "data_key" in line}) == 0


def test_a_key_in_the_environment_is_changed_by_putting_the_new_one_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault(tmp_path / "vault", KeyPlace("env", "VAULT_KEY"))
    monkeypatch.setenv("VAULT_KEY", KEY)
    vault.make()
    vault.set("erp-key", "canary", NOON)
    with pytest.raises(ConfigError, match="env:VAULT_KEY holds no new key: put one before it"):
        vault.rotate(NOON, Failpoints())
    monkeypatch.setenv("VAULT_KEY", f"{OTHER_KEY},{KEY}")
    assert vault.held("erp-key").value == "canary"
    vault.set("erp-key", "canary-2", NOON)
    vault.rotate(NOON, Failpoints())
    assert [True] == ["a key that seals nothing" in note for note in vault.verify()[1]]
    monkeypatch.setenv("VAULT_KEY", OTHER_KEY)
    assert (vault.held("erp-key").value, vault.verify()) == ("canary-2", ({"erp-key": ""}, []))


def test_keys_for_other_uses_follow_the_vaults_and_are_none_of_its_own(vault: Vault) -> None:
    first = vault.keys_for("tokens")
    assert first == vault.keys_for("tokens")
    assert set(first).isdisjoint(vault.keys_for("vault data keys"))
    vault.rotate(NOON, Failpoints())
    assert set(first).isdisjoint(vault.keys_for("tokens"))
