"""The customers as the processor keeps them: what their changes make of them, and what is delivered to which side. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from processors.customers import EVERY_FIELD, NEWEST, Customer, Other, Rules
from processors.mapping import Mapped, Skipped
from processors.port import ReadState
from processors.routing import Arrived, Route, Routed, Router, dropped
from processors.rules import check
from towpath.clock import Clock
from towpath.codec import Codec
from towpath.errors import ConfigError, DataError
from towpath.events import Event, micros

CHANGED: Final = "CustomerChanged"
STANDS: Final = frozenset({"applied", "found", "unchanged"})
NEW: Final = "New"
CONFIDENCE: Final = 0.8
"""How alike two customers must be to be one, from 0 to 1; what is below waits for somebody to decide."""
SHARED: Final = ("custom_fields", "master", "translated")
"""Options that the flows of one customer must agree on."""


class Clientele:
    """Every customer that some flow takes; its key is the same on all sides once they are known to be one."""

    def __init__(self, router: Router, codec: Codec, clock: Clock) -> None:
        self._router, self._codec, self._clock = router, codec, clock
        self._routes = {route.name: route for route in router.routes if route.event == CHANGED}
        self._rules = rules_of(list(self._routes.values()))

    def knows(self, flow: str) -> bool:
        """Tell whether a flow is one of customers."""
        return flow in self._routes

    def told(self, arrived: Arrived, read: ReadState) -> tuple[Routed, dict[bytes, bytes]]:
        """Return what a customer's change leads to: a delivery to every side that does not hold what stands, its own too; none is an `echo`."""
        event, replay = arrived.event, arrived.replay
        source, key = event.meta["connection"], _state_key(event.meta["key"])
        home = event.meta["key"].partition("/")[0]
        taking = self._router.wanting(source, CHANGED)
        wanting = [route for route in taking if home in (source, route.target)]  # a customer of one shop is none of another's
        if taking and not wanting:
            return Routed(counts=[dropped(CHANGED, "filtered")]), {}
        if not wanting or (replay is not None and replay.flow and replay.flow not in self._routes):
            return self._router.route(arrived), {}
        rules, routed = self._rules[frozenset({source, wanting[0].target})], Routed()
        try:
            check(event)
            customer = Customer.load(read(key)).told(event.value, rules)  # type: ignore[arg-type]
        except DataError as error:
            for route in wanting:
                self._router.refuse(arrived, route, error, routed)
            return routed, {}
        asked = [(route, event.value) for route in wanting if _is_asked(arrived, route, differs=customer.differs(route.target, rules))]
        if customer.differs(source, rules):
            others = [(route, customer.sides.get(route.source)) for route in self._routes.values() if route.target == source]
            asked += [(route, side.value) for route, side in others if side is not None and side.value and (replay is None or not replay.flow)]
        for route, base in asked:
            customer = self._ask(arrived, route, base, customer, routed)
        if not asked:
            routed.counts.append(dropped(CHANGED, "echo"))
        return routed, {} if routed.failed else {key: customer.dump()}

    def written(self, receipt: Mapping[str, Any], read: ReadState) -> dict[bytes, bytes]:
        """Return what is remembered once a side took what it was asked to take; where it did not take all of it, its own word is waited for."""
        key = _state_key(receipt["key"])
        data = read(key) if receipt["hop"] == "sink" and receipt["outcome"] in STANDS and not receipt["reason"] else None
        if data is None:
            return {}
        route = self._routes[receipt["flow"]]
        at = 0 if receipt["external_at"] is None else micros(receipt["external_at"])
        customer = Customer.load(data).written(receipt["connection"], receipt["event_id"], self._rules_of(route), at)
        return {key: customer.dump()}

    def _ask(self, arrived: Arrived, route: Route, base: Mapping[str, Any], customer: Customer, routed: Routed) -> Customer:
        """Return the customer with a side asked to hold what stands; `base` is the event that this is told by."""
        meta = {**base["meta"], "key": arrived.event.meta["key"], "trace_id": arrived.event.meta["trace_id"]}
        version = max(customer.version + 1, int(max(arrived.record.timestamp, self._clock.now().timestamp()) * 1_000_000))
        rules = self._rules_of(route)
        event = Event(CHANGED, {**customer.wanted(base, rules), "meta": meta})
        held = customer.held(route.target, event.value, rules)

        def finish(route: Route, mapped: Mapped) -> Mapped:
            before = None if held is None else route.model.apply(Event(CHANGED, held), route.told)
            return finished(route, mapped, event.meta["key"], None if before is None or isinstance(before, Skipped) else before)

        value = self._codec.encode(CHANGED, event.value)
        told = Arrived(arrived.record, event, value, arrived.replay, {}, {"major": version, "minor": 0}, finish)
        self._router.take(told, route, routed)
        return replace(customer.asked(route.target, meta["event_id"]), version=version)

    def _rules_of(self, route: Route) -> Rules:
        return self._rules[frozenset({route.source, route.target})]


def finished(route: Route, mapped: Mapped, key: str, before: Mapped | None) -> Mapped:
    """Return a mapped customer as what the target's `put_customer` takes.

    `Wanted` is the document without its `New`, which is for a customer who is made; `Expected` is what the target is known to hold of it (null:
    nobody knows), `Fills` whether only what is empty there is to be written then. The customer is the one that `Match` names, or one who is like it
    with that confidence, or made.
    """
    own = f"{route.target}/customer/"
    master = str((route.options.get("master") or {}).get(EVERY_FIELD, NEWEST))
    decides = master if master != NEWEST else key.partition("/")[0]
    wanted = {name: value for name, value in mapped.document.items() if name != NEW}
    alike = {**wanted, **mapped.document.get(NEW, {}), "Match": {"Confidence": route.options.get("confidence", CONFIDENCE)}}
    document = {
        "Customer": {"$ref": "customer", "key": key},
        "Wanted": wanted,
        "Expected": None if before is None else {name: value for name, value in before.document.items() if name != NEW},
        "Fills": before is None and decides == route.target,
    }
    related = {**mapped.related, f"customer {key}": {"Match": key.removeprefix(own)} if key.startswith(own) else alike}
    return replace(mapped, document=document, related=related)


def rules_of(routes: Sequence[Route]) -> dict[frozenset[str], Rules]:
    """Return the rules of each two connections; raises ConfigError where the flows between them want others, or an option is none."""
    found: dict[frozenset[str], tuple[str, Rules]] = {}
    for route in routes:
        rules = _rules(route, {route.source, route.target, NEWEST})
        other, known = found.setdefault(frozenset({route.source, route.target}), (route.name, rules))
        if known != rules:
            raise ConfigError(f"flows.{route.name}.options: flows.{other} has other {' or '.join(SHARED)} for the same customers; give both the same")
    return {ends: rules for ends, (_, rules) in found.items()}


def _rules(route: Route, known: set[str]) -> Rules:
    names, masters, translated = (route.options.get(option) for option in SHARED)
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ConfigError(f'flows.{route.name}.options.custom_fields: must be a list of texts, such as ["Customer Type"]')
    if masters is not None and not (isinstance(masters, dict) and all(master in known for master in masters.values())):
        raise ConfigError(f'flows.{route.name}.options.master: must say for each field, or for "*", one of {", ".join(sorted(known))}')
    confidence = route.options.get("confidence", CONFIDENCE)
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise ConfigError(f"flows.{route.name}.options.confidence: must be a number from 0 to 1")
    return Rules(tuple(names or ()), dict(masters or {}), _others(route, translated or {}, names or ()))


def _others(route: Route, translated: Any, names: Sequence[str]) -> dict[str, Other]:  # noqa: ANN401 - whatever the option is
    where, found = f"flows.{route.name}.options.translated", {}
    if not isinstance(translated, dict) or set(translated) - set(names):
        such = '{"Segment": {"name": "Group", "values": {"1": "Retail"}}}'
        raise ConfigError(f"{where}: must be by the names in custom_fields, such as {such}")
    for name, other in translated.items():
        values = other.get("values") if isinstance(other, dict) else None
        if not isinstance(values, dict) or not isinstance(other.get("name"), str) or len(set(values.values())) != len(values):
            raise ConfigError(f"{where}.{name}: must have `name`, and `values` each of which means something else")
        found[name] = Other(other["name"], {str(value): str(meaning) for value, meaning in values.items()})
    return found


def _is_asked(arrived: Arrived, route: Route, *, differs: bool) -> bool:
    """Tell whether a flow is to deliver: where its target is not known to hold what stands, and of a replay in any case."""
    replay = arrived.replay
    return differs if replay is None else replay.flow in ("", route.name)


def _state_key(key: str) -> bytes:
    return f"customer|{key}".encode()
