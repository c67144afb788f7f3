from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from towpath.config import Config, SecretRef, load_config
from towpath.demo.pairs import PAIRS
from towpath.errors import ConfigError

GOOD = """
data_dir: ./data
connections:
  shop:
    system: bng
    url: http://127.0.0.1:8001/
    credentials: {api_key: "env:SHOP_KEY"}
    webhook_secret: file:secrets/shop
  erp:
    system: bng
    url: http://127.0.0.1:8002
    credentials: {api_key: "file:secrets/erp"}
flows:
  shop-orders-to-erp: {source: shop, target: erp, event: OrderPlaced, mapping: nopcommerce-bng/order_placed, reference_prefix: "SHOP-"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_KEY", "canary-1")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "shop").write_text("canary-2\n", encoding="utf-8")
    (tmp_path / "secrets" / "erp").write_text("canary-3\n", encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "towpath.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def config(folder: Path) -> Config:
    return load_config(write(folder, GOOD))


def test_paths_are_taken_from_the_files_own_folder(config: Config, folder: Path) -> None:
    assert config.data_dir == folder / "data"
    assert str(config.database_url()) == f"sqlite:///{folder}/data/towpath.db"
    assert str(config.index_url()) == f"sqlite:///{folder}/data/index.db"
    assert config.run_dir == folder / "data" / "run"


def test_secrets_are_read_when_asked_for(config: Config, folder: Path) -> None:
    assert config.connections["shop"].credential("api_key").get_secret_value() == "canary-1"
    (folder / "secrets" / "erp").write_text("rotated", encoding="utf-8")
    assert config.connections["erp"].credential("api_key").get_secret_value() == "rotated"


def test_a_missing_credential_is_named(config: Config) -> None:
    with pytest.raises(ConfigError, match=r"credentials\.client_id is missing"):
        config.connections["erp"].credential("client_id")


def test_no_secret_shows_in_the_configuration(config: Config) -> None:
    shown = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    assert "canary" not in shown


def test_the_configuration_is_frozen(config: Config) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        config.engine = "faust"  # type: ignore[misc]  # what mypy refuses is refused at run time as well


def test_flows_are_found_by_either_end(config: Config) -> None:
    assert list(config.flows_from("shop")) == ["shop-orders-to-erp"]
    assert list(config.flows_to("erp")) == ["shop-orders-to-erp"]
    assert list(config.flows_to("shop")) == []


def test_a_connection_is_polled_every_minute_from_now_on_unless_it_says_otherwise(folder: Path) -> None:
    said = GOOD.replace("webhook_secret: file", "poll_seconds: null\n    poll_from: 2026-01-31T01:00:00+01:00\n    webhook_secret: file")
    shop, erp = load_config(write(folder, said)).connections.values()
    assert (60, "now") == (erp.poll_seconds, erp.poll_from)
    assert (None, datetime(2026, 1, 31, tzinfo=UTC)) == (shop.poll_seconds, shop.poll_from)


def test_health_ports_are_known_by_role(config: Config) -> None:
    assert [config.health.port(role) for role in ("receiver", "sink", "host", "console")] == [8100, 8103, 0, 0]


def test_a_database_password_is_put_in_and_hidden(folder: Path) -> None:
    text = f"{GOOD}database: {{url: postgresql://towpath@db/towpath, password: 'env:SHOP_KEY'}}\n"
    url = load_config(write(folder, text)).database_url()
    assert (url.drivername, url.password) == ("postgresql+psycopg", "canary-1")
    assert "canary" not in f"{url} {url!r}"


def test_secrets_need_not_be_there_to_read_the_rest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_KEY")
    config = load_config(write(folder, GOOD), resolve=False)
    assert config.connections["shop"].credentials["api_key"] == SecretRef("env", "SHOP_KEY")


def test_the_example_is_valid() -> None:
    example = Path(__file__).parents[2] / "towpath.example.yaml"
    config = load_config(example, resolve=False)
    shipped = [(flow["event"], flow["mapping"]) for flow in PAIRS["bng-nopcommerce"].flows.values()]
    shown = [(flow.event, flow.mapping) for flow in config.flows.values()]
    both_ways = [("CustomerChanged", f"{pair}/customer_changed") for pair in ("nopcommerce-bng", "bng-nopcommerce")]
    assert both_ways == [one for one in shown if one in both_ways]
    assert shipped == [one for one in shown if one not in both_ways], "the flows that the demonstration plays"
