from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from towpath.config import load_config, parse_config
from towpath.errors import ConfigError

FLOW = {"source": "shop", "target": "erp", "event": "OrderPlaced", "mapping": "nopcommerce-bng/order_placed"}


def document(**changes: object) -> dict[str, Any]:
    connections = {name: {"system": "bng", "url": "http://127.0.0.1", "credentials": {"api_key": "env:HOME"}} for name in ("shop", "erp", "other")}
    return {"connections": connections, "flows": {"a": dict(FLOW)}, **changes}


def problems(given: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(given, name="towpath.yaml")
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def shop(**changes: object) -> dict[str, Any]:
    given = document()
    given["connections"]["shop"].update(changes)
    return given


BEGINNING = "must be now, or a time with its zone such as 2026-01-31T00:00:00Z"
LITERAL = "a secret may not stand in the file itself; put it elsewhere and write vault:NAME, env:NAME or file:PATH"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (document(enginee="faust"), 'enginee: unknown key; did you mean "engine"?'),
        (document(engine="flink"), "engine: should be 'faust' or 'native', not 'flink'"),
        (document(defaults={"lease_seconds": 15}), 'defaults.lease_seconds: unknown key; did you mean "lane_retry_seconds"?'),
        (
            document(flows={"a": {**FLOW, "rules": {}}}),
            "flows.a.rules: unknown key; known: source, target, event, mapping, reference_prefix, options",
        ),
        (document(receiver={"prt": 1}), 'receiver.prt: unknown key; did you mean "port"?'),
        (document(health={"sink": 99999}), "health.sink: should be less than or equal to 65535, not 99999"),
        (document(database={"url": "mysql://db"}), "database.url: must start with sqlite:/// or postgresql://"),
        (
            document(database={"url": "postgresql://u:hunter2@db/t"}),
            "database.url: must not hold the password; put it into `password` beside it as vault:NAME, env:NAME or file:PATH",
        ),
        (shop(limits={"in_flite": 1}), 'connections.shop.limits.in_flite: unknown key; did you mean "in_flight"?'),
        (shop(system="bngg"), 'connections.shop.system: no system is called "bngg"; did you mean "bng"?'),
        (shop(url="ftp://shop"), "connections.shop.url: must be an address that starts with http:// or https://"),
        (shop(url="http://me:hunter2@shop"), "connections.shop.url: must not hold a user or password; put them into credentials"),
        (shop(poll_seconds=0), "connections.shop.poll_seconds: should be greater than 0, not 0"),
        *(
            (shop(poll_from=text), f"connections.shop.poll_from: {BEGINNING}")
            for text in ("yesterday", "2026-01-31T00:00:00", "1601-01-01T00:00:00Z", 7)
        ),
        (shop(webhook_secret="hunter2"), f"connections.shop.webhook_secret: {LITERAL}"),
        (shop(credentials={"api_key": "hunter2"}), f"connections.shop.credentials.api_key: {LITERAL}"),
        (shop(options={"access_token": "hunter2"}), f"connections.shop.options.access_token: {LITERAL}"),
        (
            shop(credentials={"api_key": "vault:erp"}),
            (
                "connections.shop.credentials.api_key: vault:erp: the configuration has no `vault` section; "
                "add it with `dir` and `key`, see docs/vault.md"
            ),
        ),
        (
            shop(credentials={"api_key": "env:TOWPATH_NO_SUCH"}),
            "connections.shop.credentials.api_key: the environment variable TOWPATH_NO_SUCH is not set; set it where Towpath is started",
        ),
        (
            shop(credentials={"api_key": "file:/no/such"}),
            "connections.shop.credentials.api_key: the secret file /no/such cannot be read: No such file or directory",
        ),
        (shop(credentials={"api_keyy": "env:HOME"}), 'connections.shop.credentials.api_keyy: unknown key; did you mean "api_key"?'),
        (shop(site="the works"), "connections.shop.site: a name must be small letters, digits and single hyphens, at most 40, such as shop-berlin"),
        (
            document(site="works"),
            'site: no connection is at "works"; none is known; give connections that are reached from there alone this `site`',
        ),
        (document(flows={"a": {**FLOW, "source": "shp"}}), 'flows.a.source: no connection is called "shp"; did you mean "shop"?'),
        (document(flows={"a": {**FLOW, "event": "OrderPlacd"}}), 'flows.a.event: no event is called "OrderPlacd"; did you mean "OrderPlaced"?'),
        (document(flows={"a": {**FLOW, "target": "shop"}}), "flows.a.target: is the flow's own source; name another connection"),
        (document(flows={"a": {"source": "shop", "target": "erp", "event": "OrderPlaced"}}), "flows.a.mapping: is missing; add it"),
        (
            document(flows={"A_b": FLOW}),
            "flows.A_b: a name must be small letters, digits and single hyphens, at most 40, such as shop-berlin",
        ),
        (
            document(
                flows={
                    "a": {**FLOW, "event": "ProductChanged"},
                    "b": {**FLOW, "event": "ProductChanged", "source": FLOW["target"], "target": FLOW["source"]},
                }
            ),
            'flows.b: sends products back where "a" has them from, so that an older change would undo a newer one; keep the flow from their master',
        ),
        (
            document(flows={"a": FLOW, "b": FLOW}),
            'flows.b: moves the same event between the same connections as "a"; remove one, or name another event',
        ),
        (
            document(flows={"a": {**FLOW, "reference_prefix": "S"}, "b": {**FLOW, "source": "other", "reference_prefix": "S1"}}),
            'flows.b.reference_prefix: its orders could get the references of "a" at erp; give each a prefix that the other does not begin with',
        ),
    ],
)
def test_a_problem_names_its_field_and_the_remedy(given: dict[str, Any], problem: str) -> None:
    found = problems(given)
    assert problem in found
    assert "hunter2" not in "\n".join(found)


@pytest.mark.parametrize(
    ("settle", "retry", "told"), [(60, None, True), (59, None, False), (5, 5, True), (None, 3, True), ("90", 90.0, True), (-1, -2, False)]
)
def test_the_settle_time_must_be_below_the_retry_time(settle: object, retry: object, told: bool) -> None:  # noqa: FBT001 - a case's expectation
    given = shop(limits={} if settle is None else {"settle_seconds": settle}) | {"defaults": {} if retry is None else {"lane_retry_seconds": retry}}
    given["enginee"] = 1  # or there may be no problem to list
    found = [problem for problem in problems(given) if "would park" in problem]
    assert told == any(problem.startswith("connections.shop.limits.settle_seconds: ") for problem in found)
    assert all("lower it, or raise defaults.lane_retry_seconds" in problem for problem in found)


def test_all_problems_are_listed_at_once() -> None:
    given = shop(url="ftp://shop", credentials={"api_key": "hunter2"}) | {"enginee": 1, "flows": {"a": {**FLOW, "target": "epr"}}}
    fields = [line.partition(":")[0] for line in problems(given)]
    assert fields == ["connections.shop.credentials.api_key", "connections.shop.url", "enginee", "flows.a.target"]


def test_a_key_written_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    file = tmp_path / "towpath.yaml"
    file.write_text(f"engine: faust\n{yaml.safe_dump(document())}engine: faust\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r'the key "engine" stands there twice \(first in line 1\); remove one'):
        load_config(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [("a: [1", r"line 1: not valid YAML: .*; check the indentation"), ("- a", "it must hold sections such as kafka"), ("", "it must hold sections")],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "towpath.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        load_config(file)


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file; copy towpath\.example\.yaml"):
        load_config(tmp_path / "none.yaml")
