"""What must hold between parts of a configuration; read from the raw document, so that one wrong field hides no other problem."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from pydantic import BaseModel, ValidationError

from towpath.config.connections import Limits, near, system_names
from towpath.config.document import Problem
from towpath.config.explain import problems_of
from towpath.config.model import Defaults
from towpath.events import REFERRING
from towpath.topics import load_topics


def problems_across(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong between flows and connections, and in what each system's own models say."""
    connections, flows = _section(document, "connections"), _section(document, "flows")
    yield from _site_problems(document.get("site"), connections)
    for name, connection in connections.items():
        yield from _system_problems(name, connection)
        yield from _settle_problems(name, connection.get("limits", {}), document.get("defaults", {}))
    for name, flow in flows.items():
        yield from _flow_problems(name, flow, [str(known) for known in connections])
    for (first, one), (second, other) in combinations(flows.items(), 2):
        yield from _pair_problems((first, one), (second, other))


def _section(document: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    section = document.get(name)
    return {str(key): value for key, value in section.items() if isinstance(value, dict)} if isinstance(section, dict) else {}


def _site_problems(site: object, connections: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    known = sorted({str(connection["site"]) for connection in connections.values() if connection.get("site") is not None})
    if isinstance(site, str) and site not in known:
        yield Problem("site", f'no connection is at "{site}"; {near(site, known)}; give connections that are reached from there alone this `site`')


def _system_problems(name: str, connection: Mapping[str, Any]) -> Iterator[Problem]:
    """A module of towpath.systems may hold the models `Credentials` and `Options`; each checks its part of a connection."""
    system = connection.get("system")
    if system not in system_names():
        return
    module = importlib.import_module(f"towpath.systems.{system}")
    for part in ("credentials", "options"):
        model, values = getattr(module, part.capitalize(), None), connection.get(part, {})
        if not (isinstance(model, type) and issubclass(model, BaseModel) and isinstance(values, dict)):
            continue
        try:
            model.model_validate(values)
        except ValidationError as error:
            yield from problems_of(error, model, ("connections", name, part))


def _settle_problems(name: str, limits: object, defaults: object) -> Iterator[Problem]:
    """A call whose outcome is unknown is looked up once it has settled; the delivery must not have parked by then."""
    try:
        settle, retry = Limits.model_validate(limits).settle_seconds, Defaults.model_validate(defaults).lane_retry_seconds
    except ValidationError:
        return  # told of with the field that is wrong
    if settle >= retry:
        yield Problem(
            f"connections.{name}.limits.settle_seconds",
            f"{settle:g} is not below defaults.lane_retry_seconds, {retry:g}: whatever has an unknown outcome would park before it can be looked up; "
            "lower it, or raise defaults.lane_retry_seconds above it",
        )


def _flow_problems(name: str, flow: Mapping[str, Any], known: list[str]) -> Iterator[Problem]:
    for end in ("source", "target"):
        connection = flow.get(end)
        if isinstance(connection, str) and connection not in known:
            yield Problem(f"flows.{name}.{end}", f'no connection is called "{connection}"; {near(connection, known)}')
    if flow.get("source") is not None and flow.get("source") == flow.get("target"):
        yield Problem(f"flows.{name}.target", "is the flow's own source; name another connection")
    event, events = flow.get("event"), [event for aggregate in load_topics().aggregates.values() for event in aggregate]
    if isinstance(event, str) and event not in events:
        yield Problem(f"flows.{name}.event", f'no event is called "{event}"; {near(event, events)}')


def _ends(flow: Mapping[str, Any]) -> tuple[Any, Any]:
    return flow.get("source"), flow.get("target")


def _pair_problems(first: tuple[str, Mapping[str, Any]], second: tuple[str, Mapping[str, Any]]) -> Iterator[Problem]:
    (name, one), (other_name, other) = first, second
    if one.get("event") == other.get("event") == "ProductChanged" and _ends(one) == _ends(other)[::-1]:
        message = f'sends products back where "{name}" has them from, so that an older change would undo a newer one; keep the flow from their master'
        yield Problem(f"flows.{other_name}", message)
    if any(one.get(key) != other.get(key) for key in ("target", "event")):
        return
    if one.get("source") == other.get("source"):
        yield Problem(f"flows.{other_name}", f'moves the same event between the same connections as "{name}"; remove one, or name another event')
        return
    if one.get("event") not in REFERRING:
        return
    prefixes = sorted((str(one.get("reference_prefix") or ""), str(other.get("reference_prefix") or "")))
    if prefixes[1].startswith(prefixes[0]):
        yield Problem(
            f"flows.{other_name}.reference_prefix",
            f'its orders could get the references of "{name}" at {one.get("target")}; give each a prefix that the other does not begin with',
        )
