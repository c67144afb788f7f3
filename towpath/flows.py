"""The flows that Towpath knows (`schemas/flows.yaml`), what a configuration makes of them, and docs/flows.md.

`python -m towpath.flows > docs/flows.md` writes that page.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import yaml

from towpath.codec import SCHEMAS
from towpath.config import Config
from towpath.plugging import mapping_file, mapping_names
from towpath.runtime.runfile import read_run_file

KNOWN, CONFIGURED, RUNNING = "known", "configured", "running"
MOVERS: Final = ("adapter", "processor", "sink")
"""The roles without which no flow moves anything."""
NO_FLOW: Final = "-"
HEAD: Final = """# Flows

What Towpath can move, and by which mapping. `towpath flows` prints the same with the version of each mapping and, for a configuration, with
what is configured and running. This page is made from `schemas/flows.yaml` by `python -m towpath.flows > docs/flows.md`.

| Flow | | From | To | Event | Mapping |
| --- | --- | --- | --- | --- | --- |
"""


class Known(NamedTuple):
    """One flow of `schemas/flows.yaml`."""

    id: str
    name: str
    does: str
    mappings: Sequence[str]


class Line(NamedTuple):
    """One line of the table; `source` and `target` are systems, or connections where a configuration joins them."""

    id: str
    name: str
    source: str
    target: str
    event: str
    mapping: str
    version: str
    state: str


@cache
def known_flows() -> tuple[Known, ...]:
    """Return the flows in their order."""
    content = yaml.safe_load((SCHEMAS / "flows.yaml").read_text(encoding="utf-8"))
    return tuple(Known(number, one["name"], one["does"], one["mappings"]) for number, one in content.items())


def ends_of(mapping: str) -> tuple[str, str, str]:
    """Return the source's system, the target's and the event of a mapping, by its name `<source>-<target>/<event>`."""
    systems, _, event = mapping.partition("/")
    source, _, target = systems.partition("-")
    return source, target, "".join(word.capitalize() for word in event.split("_"))


def lines(config: Config | None = None) -> list[Line]:
    """Return every flow that is configured, and every known one that is not; a mapping that no flow names has NO_FLOW for its number."""
    table = list(_configured(config)) if config is not None else []
    taken = {(line.id, line.mapping) for line in table}
    named = [(one.id, one.name, mapping) for one in known_flows() for mapping in one.mappings]
    unnamed = [(NO_FLOW, "", mapping) for mapping in mapping_names() if mapping not in {mapping for _, _, mapping in named}]
    for number, name, mapping in (*named, *unnamed):
        if (number, mapping) not in taken:
            table.append(Line(number, name, *ends_of(mapping), mapping, version_of(mapping), KNOWN))
    return sorted(table, key=lambda line: (line.id == NO_FLOW, line.id, line.state == KNOWN, line.mapping))


def version_of(mapping: str, folder: Path | None = None) -> str:
    """Return the digest of a mapping's file, by which deliveries name it; empty where there is no such file."""
    try:
        text = mapping_file(mapping, folder).read_text(encoding="utf-8")
    except OSError:
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _configured(config: Config) -> Iterator[Line]:
    state = RUNNING if all(_runs(config, role) for role in MOVERS) else CONFIGURED
    by_ends: dict[tuple[str, str, str], list[Known]] = {}
    for one in known_flows():
        for ends in dict.fromkeys(map(ends_of, one.mappings)):
            by_ends.setdefault(ends, []).append(one)
    for flow in config.flows.values():
        systems = (config.connections[flow.source].system, config.connections[flow.target].system)
        for one in by_ends.get((*systems, flow.event), [Known(NO_FLOW, "", "", ())]):
            version = version_of(flow.mapping, config.mappings_dir)
            yield Line(one.id, one.name, flow.source, flow.target, flow.event, flow.mapping, version, state)


def _runs(config: Config, role: str) -> bool:
    found = read_run_file(config.run_dir, role)
    return found is not None and psutil.pid_exists(found.pid)


def page() -> str:
    """Return docs/flows.md."""
    rows = []
    for one in known_flows():
        first = (f"**{one.id}** {one.name}", one.does)
        for mapping in one.mappings:
            source, target, event = ends_of(mapping)
            rows.append("| " + " | ".join((*first, source, target, f"[{event}](events.md#{event.lower()})", f"`{mapping}`")) + " |")
            first = ("", "")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
