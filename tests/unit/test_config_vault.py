from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from towpath.config import Config, load_config
from towpath.config.vault import load_vault
from towpath.errors import ConfigError
from towpath.vault import Vault

VAULT = {"dir": "vault", "key": "file:keys/vault.key"}
KAFKA = {"bootstrap_servers": "k:1", "security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "vault:kafka"}


def content(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    shop = {"system": "nopcommerce", "url": "http://shop", "credentials": {"username": "u", "password": "vault:shop"}, "webhook_secret": "vault:hook"}
    database = {"url": "postgresql://towpath@db/towpath", "password": "vault:database"}
    return {"vault": dict(VAULT), "kafka": dict(KAFKA), "database": database, "connections": {"shop": shop}, **changes}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the path of a configuration that has a reference to the vault wherever a secret is taken."""
    return write(tmp_path, content())


def write(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "towpath.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def vault(file: Path) -> Vault:
    vault, _ = load_vault(file)
    vault.make()
    for name in ("shop", "hook", "database", "kafka"):
        vault.set(name, f"canary-{name}", datetime.now(UTC))
    return vault


def secrets(config: Config) -> list[str]:
    shop, kafka = config.connections["shop"], config.kafka.sasl_password
    assert shop.webhook_secret is not None
    assert kafka is not None
    found = [shop.credential("password"), shop.webhook_secret.resolve(), kafka]
    return [*(secret.get_secret_value() for secret in found), str(config.database_url().password)]


def told(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "canary" not in str(caught.value)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_wherever_a_secret_is_taken_it_may_be_in_the_vault(file: Path, vault: Vault) -> None:
    config = load_config(file)
    assert secrets(config) == ["canary-shop", "canary-hook", "canary-kafka", "canary-database"]
    assert config.vault is not None
    assert config.vault.vault() == vault
    assert "canary" not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


def test_a_secret_that_was_changed_is_read_by_who_runs_already(file: Path, vault: Vault) -> None:
    shop = load_config(file).connections["shop"]
    vault.set("shop", "changed", datetime.now(UTC))
    assert shop.credential("password").get_secret_value() == "changed"


def test_both_values_of_a_secret_are_accepted_while_the_old_one_is_kept(file: Path, vault: Vault) -> None:
    hook = load_config(file).connections["shop"].webhook_secret
    assert hook is not None
    vault.set("hook", "new", datetime.now(UTC), keep_old=timedelta(hours=1))
    assert [secret.get_secret_value() for secret in hook.accepted()] == ["new", "canary-hook"]
    vault.set("hook", "newer", datetime.now(UTC))
    assert [secret.get_secret_value() for secret in hook.accepted()] == ["newer"]


def test_a_missing_entry_is_told_with_its_setting_and_the_remedy(file: Path, vault: Vault) -> None:
    vault.remove("shop")
    vault.remove("kafka")
    assert told(file) == [
        'connections.shop.credentials.password: the vault has no entry called "shop"; set it with `towpath vault set shop`',
        'kafka.sasl_password: the vault has no entry called "kafka"; set it with `towpath vault set kafka`',
    ]


def test_a_vault_that_does_not_open_is_told_once(file: Path, vault: Vault) -> None:
    Path(vault.place.name).chmod(0o640)
    (problem,) = told(file)
    assert problem.startswith("vault: the vault's key file")
    assert "is open to others (mode 0640)" in problem


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"dir": "vault"}, "vault.key: is missing; add it"),
        ({"dir": "vault", "key": "vault:own"}, "vault.key: must not be in the vault that it opens; write file:PATH or env:NAME"),
        ({"dir": "vault", "key": "canary"}, "vault.key: a secret may not stand in the file itself; put it elsewhere and write"),
        ({**VAULT, "keys": "x"}, 'vault.keys: unknown key; did you mean "key"?'),
        ("vault", "vault: should be a valid dictionary"),
        (["canary"], "vault: should be a valid dictionary"),
        ({**VAULT, "dir": "keys"}, "vault: the vault's key file"),
    ],
)
def test_a_section_that_is_not_right_is_told_once_and_hides_no_other_problem(tmp_path: Path, section: object, problem: str) -> None:
    vault, _ = load_vault(write(tmp_path, content()))
    vault.make()
    (tmp_path / "keys" / "vault.json").write_bytes((tmp_path / "vault" / "vault.json").read_bytes())
    first, *others = sorted(told(write(tmp_path, content(vault=section, enginee="faust"))), reverse=True)
    assert first.startswith(problem)
    assert others == ['enginee: unknown key; did you mean "engine"?']


@pytest.mark.parametrize("name", ["", "Shop", "a b", "../shop", "ä"])
def test_a_reference_that_can_be_no_entry_is_refused(tmp_path: Path, name: str) -> None:
    problems = told(write(tmp_path, {"connections": {"shop": {"system": "bng", "url": "http://shop", "credentials": {"api_key": f"vault:{name}"}}}}))
    assert problems == ["connections.shop.credentials.api_key: vault: must be followed by the name of an entry, such as vault:erp-key"]


def test_the_vault_is_found_though_the_rest_of_the_file_is_wrong(tmp_path: Path) -> None:
    vault, used = load_vault(write(tmp_path, content(enginee="faust", connections={"shop": {"credentials": {"password": "vault:shop"}}})))
    assert (vault.folder, vault.place.name) == (tmp_path / "vault", str(tmp_path / "keys" / "vault.key"))
    assert used == {"kafka": ["kafka.sasl_password"], "database": ["database.password"], "shop": ["connections.shop.credentials.password"]}


def test_a_configuration_without_a_vault_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it names no vault; add a section such as"):
        load_vault(write(tmp_path, {"engine": "faust"}))


SHAPES: list[Any] = ["canary-1", "vault:canary 1", "env:canary-1", ["canary-1"], {"a": "canary-1"}, 20251121, 2.0251121, [20251121], b"canary-1"]


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
@pytest.mark.parametrize(
    "place",
    [
        ("vault", "key"),
        ("kafka", "sasl_password"),
        ("database", "password"),
        ("connections", "shop", "credentials", "password"),
        ("connections", "shop", "credentials", "username"),
        ("connections", "shop", "credentials"),
        ("connections", "shop", "webhook_secret"),
        ("connections", "shop", "options", "api_key"),
    ],
    ids=".".join,
)
def test_whatever_is_written_where_a_secret_belongs_is_not_repeated(tmp_path: Path, place: tuple[str, ...], shape: object) -> None:
    vault, _ = load_vault(write(tmp_path, content()))
    vault.make()
    document = content()
    at: dict[str, Any] = document
    for part in place[:-1]:
        at = at.setdefault(part, {})
    at[place[-1]] = shape
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, document))
    message = str(caught.value).replace(str(tmp_path), "")
    assert [word for word in ("canary-1", "canary 1", "20251121", "2.0251121") if word in message] == []
