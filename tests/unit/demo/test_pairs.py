"""The pairs of the demonstration: one stack holds one of them, or all under names of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from towpath.demo.pairs import ALL, ERP, PAIRS, SHOP, find_pair, find_pairs
from towpath.demo.stack import Stack
from towpath.errors import ConfigError


def written(folder: Path, name: str) -> Stack:
    first, *others = find_pairs(name)
    stack = Stack(folder / "stack", first, beside=others)
    stack.write()
    return stack


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_that_runs_alone_has_a_shop_and_an_erp(tmp_path: Path, name: str) -> None:
    stack = written(tmp_path, name)
    config = stack.config()
    assert name == stack.pair.label
    assert config.connections.keys() == stack.sandboxes.keys() >= {"shop", "erp"}
    assert PAIRS[name].flows.keys() == config.flows.keys()


def test_all_pairs_stand_in_one_configuration_each_with_its_own_connections_and_flows(tmp_path: Path) -> None:
    stack = written(tmp_path, ALL)
    config = stack.config()
    assert [*PAIRS] == [pair.label for pair in stack.pairs]
    assert sum(len(pair.sandboxes) for pair in PAIRS.values()) == len(config.connections)
    assert sum(len(pair.flows) for pair in PAIRS.values()) == len(config.flows)
    for pair in stack.pairs:
        assert pair.sandboxes == {name: one.system for name, one in config.connections.items() if name in pair.sandboxes}
        own = {name: flow for name, flow in config.flows.items() if name.startswith(pair.prefix)}
        assert len(pair.flows) == len(own)
        assert {end for flow in own.values() for end in (flow.source, flow.target)} == {*pair.sandboxes}


@pytest.mark.parametrize(("name", "seconds"), [("bng-magento", 60), (ALL, 180)])
def test_the_more_pairs_share_the_roles_the_more_seldom_each_connection_is_polled(tmp_path: Path, name: str, seconds: int) -> None:
    config = written(tmp_path, name).config()
    assert {seconds} == {connection.poll_seconds for connection in config.connections.values()}


def test_the_orders_of_all_pairs_have_the_same_reference_at_their_erps(tmp_path: Path) -> None:
    config = written(tmp_path, ALL).config()
    assert {"SHOP-"} == {flow.reference_prefix for flow in config.flows.values() if flow.event == "OrderPlaced"}


@pytest.mark.parametrize("name", [*PAIRS, ALL])
def test_each_sandbox_system_knows_the_secrets_of_its_connection_and_where_its_webhooks_go(tmp_path: Path, name: str) -> None:
    stack = written(tmp_path, name)
    config = stack.config()
    for connection in stack.sandboxes:
        settings = json.loads((stack.directory / f"sandbox-{connection}.json").read_text(encoding="utf-8"))
        webhooks = settings["webhook_url"]
        assert re.search(r"/hooks/([a-z0-9-]+)", webhooks)[1] == connection  # type: ignore[index]  # an address of a webhook
        secret = config.connections[connection].webhook_secret
        assert secret is not None
        assert secret.resolve().get_secret_value() in {settings.get("webhook_secret"), webhooks.partition("?secret=")[2]}
        own = {config.connections[connection].credential(one).get_secret_value() for one in config.connections[connection].credentials}
        assert own & set(map(str, settings.values()))


def test_each_reference_to_a_secret_has_its_file_and_none_is_left_over(tmp_path: Path) -> None:
    stack = written(tmp_path, ALL)
    named = re.findall(r"file:secrets/([a-z0-9-]+)", yaml.safe_dump(yaml.safe_load(stack.config_path.read_text(encoding="utf-8"))))
    assert sorted(named) == sorted(path.name for path in (stack.directory / "secrets").iterdir())


def test_a_pair_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="known: bng-nopcommerce, bng-magento, brightpearl-nopcommerce, all"):
        find_pairs("bng-shopify")
    assert (SHOP, ERP) == (find_pair("bng-magento").name(SHOP), find_pair("bng-magento").name(ERP))
