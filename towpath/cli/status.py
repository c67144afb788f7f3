"""`towpath status`: how the deployment is, on one page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from towpath.cli._index import ConfigOption, load

if TYPE_CHECKING:
    from towpath.lag import Backlog
    from towpath.status.report import Report
    from towpath.status.roles import RoleState

Row = tuple[str, str, str]
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def status(
    config: ConfigOption = None,
    roles: Annotated[str, typer.Option(help="Which roles run on this machine, with commas between; all by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show how the deployment is: roles, what waits and for how long, open dead letters and parked records, circuits.

    Exits 0 when every role is ready, no circuit is open, and Kafka and the index answer; else 1. Dead letters alone do not make it 1.
    """
    import orjson

    from towpath.cli.up import chosen_roles
    from towpath.status.report import gathered

    settings = load(config)
    chosen = chosen_roles(roles, settings)
    report = gathered(settings, chosen)
    if as_json:
        typer.echo(orjson.dumps(_plain(report), option=orjson.OPT_INDENT_2))
    else:
        _show(report)
    if not report.well:
        raise typer.Exit(1)


def _plain(report: Report) -> dict[str, Any]:
    from dataclasses import asdict

    now = datetime.now(UTC)
    waiting = [{"group": one.group, "topic": one.topic, "records": one.records, "oldest_seconds": _age(one, now)} for one in report.backlogs]
    return {"ok": report.well, **asdict(report), "backlogs": waiting, "circuits": report.circuits}


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table(*(Column(name, overflow="fold") for name in ("what", "state", "details")))
    for rows in (_roles(report), _waiting(report), _letters(report), _circuits(report)):
        for row in rows:
            table.add_row(*map(escape, row))
        table.add_section()
    Console().print(table)


def _roles(report: Report) -> Iterator[Row]:
    for role in report.roles:
        yield f"role {role.role}", role.state, "; ".join(filter(None, (_running(role), role.detail)))


def _running(role: RoleState) -> str:
    restarts = "" if role.restarts is None else f", {role.restarts} restarts"
    return "" if role.up_seconds is None else f"up {_span(role.up_seconds)}{restarts}"


def _waiting(report: Report) -> Iterator[Row]:
    now = datetime.now(UTC)
    yield "Kafka", "does not answer" if report.kafka else "answers", report.kafka
    for group in dict.fromkeys(one.group for one in report.backlogs):
        of_group = [one for one in report.backlogs if one.group == group and one.records]
        details = ", ".join(f"{one.topic} {one.records}{_oldest(one, now)}" for one in of_group)
        yield f"lag {group}", str(sum(one.records for one in of_group)), details
    if report.unindexed is not None:
        yield "lag indexer", str(report.unindexed), ""


def _oldest(one: Backlog, now: datetime) -> str:
    age = _age(one, now)
    return "" if age is None else f" (oldest {_span(age)})"


def _age(one: Backlog, now: datetime) -> float | None:
    return None if one.oldest is None else max(0.0, (now - one.oldest).total_seconds())


def _letters(report: Report) -> Iterator[Row]:
    problem = report.index or (f"{report.unread} records are not read yet" if report.unread else "")
    yield "index", "does not answer" if report.index else "behind" if report.unread or report.kafka else "up to date", problem
    for name, counts in report.letters.items():
        parked = f"and {counts['parked']} parked" if counts["parked"] else ""
        why = "`towpath dlq groups` tells why" if counts["dead"] else ""
        yield f"dead letters {name}", str(counts["dead"]), "; ".join(filter(None, (parked, why)))
    if report.unreadable:
        yield "unreadable records", str(report.unreadable), "in the topics; those of received.* are dead letters too"


def _circuits(report: Report) -> Iterator[Row]:
    for name, is_open in report.circuits.items():
        yield f"circuit {name}", "open" if is_open else "closed", "the system does not answer; its deliveries wait" if is_open else ""


def _span(seconds: float) -> str:
    """Return a time as the two largest units a person reads."""
    for (unit, size), smaller in zip(UNITS, (*UNITS[1:], ("s", 1)), strict=True):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // smaller[1])} {smaller[0]}"
    return f"{int(seconds)} s"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)
