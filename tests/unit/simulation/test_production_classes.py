"""The simulation plays the production classes: it imports them, defines none that does their work, and swaps ports alone."""

from __future__ import annotations

import ast
from pathlib import Path

import towpath.simulation
from towpath.simulation import machines
from towpath.simulation.ports import SWAPPED, swapped

HERE = Path(towpath.simulation.__file__).parent
PRODUCTION = {
    "processors.engines.native_loop": "Loop",
    "processors.flow_processor": "FlowProcessor",
    "sinks.effector": "Effector",
    "sinks.handler": "DeliveryHandler",
    "sinks.resume": "Resumer",
    "towpath.acked": "AckedProducer",
    "towpath.delivery.books": "Books",
    "towpath.delivery.deadletters": "Registrar",
    "towpath.delivery.gate": "Gate",
    "towpath.delivery.ledger": "Ledger",
    "towpath.delivery.parking": "Parking",
    "towpath.delivery.runner": "LaneRunner",
    "towpath.http": "ApiClient",
}
THREADS_TIME_AND_KAFKA = {
    "threading",
    "queue",
    "time",
    "random",
    "Consumer",
    "Producer",
    "TopicReader",
    "make_consumer",
    "make_producer",
    "make_tables",
}
IDLE = {"POLL_SECONDS", "IDLE_SECONDS", "TICK_SECONDS"}


def test_what_is_played_are_the_production_classes() -> None:
    played = {name: getattr(machines, name).__module__ for name in PRODUCTION.values()}
    assert {name: module for module, name in PRODUCTION.items()} == played
    classes = machines.Classes()
    kinds = (classes.ledger, classes.effector, classes.runner, classes.loop, classes.processor)
    assert ["Ledger", "Effector", "LaneRunner", "Loop", "FlowProcessor"] == [kind.__name__ for kind in kinds]


def test_no_class_of_the_simulation_extends_one_of_the_production_but_the_mapping_of_its_stock() -> None:
    extended = {}
    for path in sorted(HERE.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        foreign = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("towpath.", "sinks.", "processors."))
            and not str(node.module).startswith("towpath.simulation")
            for alias in node.names
        }  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and (bases := {base.id for base in node.bases if isinstance(base, ast.Name)} & foreign):
                extended[node.name] = bases
    assert {"StockModel": {"Model"}} == extended


def test_only_ports_are_swapped_and_all_are_given_back() -> None:
    before = [getattr(module, name) for module, name, _ in SWAPPED]
    assert {name for _, name, _ in SWAPPED} == THREADS_TIME_AND_KAFKA | IDLE
    with swapped():
        assert before != [getattr(module, name) for module, name, _ in SWAPPED]
    assert before == [getattr(module, name) for module, name, _ in SWAPPED]
