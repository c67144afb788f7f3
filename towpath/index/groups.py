"""Dead letters grouped by what they have in common, each group with what it means and what mends it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from towpath.delivery.foreign import FOREIGN
from towpath.delivery.reviewing import DUPLICATE

PLACE_IN_LIST: Final = re.compile(r"\[\d+\]")
LENGTH: Final = 8


class Remedy(NamedTuple):
    """What a failure means for the operator, and what mends it."""

    meaning: str
    remedy: str


class Group(NamedTuple):
    """The open dead letters of one fingerprint; `reason` is that of the newest."""

    fingerprint: str
    connection: str
    error_class: str
    hop: str
    field: str
    mapping_version: str
    letters: int
    first_at: datetime
    last_at: datetime
    reason: str
    meaning: str
    remedy: str


def fingerprint(told: Mapping[str, Any]) -> str:
    """Return what is the same for all failures of one cause: eight hex digits of connection, class, field and mapping version."""
    parts = (told["connection"], told["error_class"], field_of(told), told["mapping_version"])
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:LENGTH]


def field_of(told: Mapping[str, Any]) -> str:
    """Return the field at fault, the same one for every line: `Lines[].SKU`."""
    return PLACE_IN_LIST.sub("[]", str(told["field"]))


def grouped(letters: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Return the groups of what is told of dead letters, the largest first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for told in letters:
        found.setdefault(told["fingerprint"], []).append(told)
    return sorted((_group(name, members) for name, members in found.items()), key=lambda group: (-group.letters, group.first_at))


def _group(name: str, members: list[Mapping[str, Any]]) -> Group:
    newest = max(members, key=lambda told: told["last_at"])
    first, last = min(told["first_at"] for told in members), newest["last_at"]
    about = {part: newest[part] for part in ("connection", "error_class", "hop", "mapping_version", "reason")}
    what = remedy(newest, f"--where fingerprint={name}")
    return Group(fingerprint=name, field=field_of(newest), letters=len(members), first_at=first, last_at=last, **about, **what._asdict())


def remedy(told: Mapping[str, Any], those: str) -> Remedy:
    """Return what a dead letter means, and what mends it; `those` stands for it, or for all like it, in a command."""
    where, field = told["connection"] or "nobody known", field_of(told)
    at_fault = f" ({field})" if field else ""
    if told["state"] == "parked":
        return Remedy(
            f"something that passes kept {where} from it, or what it depends on is not there yet",
            "nothing: it is tried again by itself, by the clock and when what it waits for is there; `towpath status` tells of outages",
        )
    if told["hop"] in FOREIGN:
        return Remedy(
            f"a consumer that is none of Towpath's ({told['group'] or 'its writer does not say which'}) could not process it",
            f"mend what it fails at there, then `towpath dlq replay {those}`: it goes to its original topic, where "
            "every reader of that topic gets it again",
        )
    if told["error_class"] == "bug":
        return Remedy(
            "Towpath itself failed; the record may be right",
            f"look in the log of the role for the traceback; after an upgrade, `towpath dlq replay {those}`",
        )
    if told["hop"] == "adapter":
        return Remedy(
            f"what {where} sent or answered cannot be read{at_fault}",
            f"correct it at {where}: that it is read from there again closes this by itself; or mend the record alone, `towpath dlq edit {those}`. "
            f"What a webhook alone tells, and no list, is closed by `towpath dlq discard {those} --reason corrected`",
        )
    if told["hop"] == "processor":
        return Remedy(
            f"what {where} told breaks a rule, or the mapping cannot be made of it{at_fault}",
            f"correct it at {where}, which closes it by itself; or mend the record alone, `towpath dlq edit {those}`; "
            f"where the rule or mapping is wrong, change that, then `towpath dlq replay {those}`",
        )
    return _refused(where, field, at_fault, those)


def _refused(where: str, field: str, at_fault: str, those: str) -> Remedy:
    """Return what it means that a target does not take something."""
    if field == DUPLICATE:
        return Remedy(
            f"a customer is like one who is at {where} already, but not surely the same", "say which, by `towpath review merge` or `reject`"
        )
    return Remedy(
        f"{where} refuses what it is given{at_fault}",
        f"mend what refuses it at {where}, then `towpath dlq replay {those}`; or mend the delivery alone, `towpath dlq edit {those}`; "
        f"where the mapping is wrong, change it, then `towpath dlq replay {those} --remap`",
    )
