"""The table of flows: what is known, and what a configuration makes of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from processors.mapping import load_model
from towpath.cli.main import build_app
from towpath.config import load_config
from towpath.demo.pairs import PAIRS, configuration
from towpath.events import AGGREGATES
from towpath.flows import CONFIGURED, KNOWN, NO_FLOW, RUNNING, Line, ends_of, known_flows, lines, page
from towpath.plugging import mapping_names
from towpath.runtime.runfile import RunFile

DOCS = Path(__file__).parents[2] / "docs"


def written(folder: Path, pair: str, **flows: object) -> Path:
    """Write the configuration of a pair and return its path."""
    ports = dict.fromkeys(("kafka", "receiver", "registry", *PAIRS[pair].sandboxes), 1)
    content = configuration([PAIRS[pair]], ports)
    content["flows"] |= flows
    path = folder / "towpath.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def of(table: list[Line], name: str) -> list[Line]:
    return [line for line in table if line.mapping == name]


def test_the_page_of_flows_is_up_to_date() -> None:
    assert page() == (DOCS / "flows.md").read_text(encoding="utf-8"), "run: python -m towpath.flows > docs/flows.md"


def test_every_mapping_of_a_known_flow_is_there_and_moves_an_event_between_two_systems() -> None:
    for mapping in {mapping for one in known_flows() for mapping in one.mappings}:
        source, target, event = ends_of(mapping)
        assert (True, True) == (event in AGGREGATES, source != target), mapping
        assert load_model(mapping).version == of(lines(), mapping)[0].version


def test_without_a_configuration_everything_that_ships_is_known() -> None:
    table = lines()
    assert {KNOWN} == {line.state for line in table}
    assert set(mapping_names()) == {line.mapping for line in table}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_configured_flow_is_told_with_its_connections_and_the_rest_stays_known(tmp_path: Path, pair: str) -> None:
    config = load_config(written(tmp_path, pair), resolve=False)
    table = lines(config)
    for flow in config.flows.values():
        for line in of(table, flow.mapping):
            assert (flow.source, flow.target, flow.event, CONFIGURED) == (line.source, line.target, line.event, line.state)
    assert set(mapping_names()) == {line.mapping for line in table}


def test_a_mapping_of_ones_own_belongs_to_the_flow_that_moves_the_same_and_another_to_none(tmp_path: Path) -> None:
    own = {"source": "shop", "target": "erp", "event": "OrderPlaced", "mapping": "acme/orders"}
    other = {"source": "shop", "target": "erp", "event": "CustomerChanged", "mapping": "acme/customers"}
    path = written(tmp_path, "bng-magento", **{"shop-orders-to-erp": own, "other": {**other, "event": "ShipmentRequested"}})
    table = lines(load_config(path, resolve=False))
    assert [("F-16", "")] == [(line.id, line.version) for line in of(table, "acme/orders")]
    assert [NO_FLOW] == [line.id for line in of(table, "acme/customers")]
    assert KNOWN == of(table, "magento-bng/order_placed")[0].state


def test_the_command_prints_every_flow_and_says_running_where_the_roles_run(tmp_path: Path) -> None:
    path = written(tmp_path, "bng-nopcommerce")
    runner, wanted = CliRunner(), ["flows", "--json", "--config", str(path)]

    def states() -> dict[str, str]:
        result = runner.invoke(build_app(), wanted)
        assert result.exit_code == 0
        return {line["mapping"]: line["state"] for line in map(json.loads, result.stdout.splitlines())}

    assert CONFIGURED == states()["nopcommerce-bng/order_placed"]
    for role in ("adapter", "processor", "sink"):
        RunFile(role, os.getpid(), None, "2026-11-20T00:00:00+00:00").write(load_config(path, resolve=False).run_dir)
    assert (RUNNING, KNOWN) == (states()["nopcommerce-bng/order_placed"], states()["magento-bng/order_placed"])
    assert "F-24" in runner.invoke(build_app(), wanted[:1] + wanted[2:]).stdout
