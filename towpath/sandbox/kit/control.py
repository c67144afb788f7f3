"""The paths below `/_sandbox` that every system has: dial faults, look into the store, read the journal."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from towpath.sandbox.kit.faults import KINDS, LATE_COMMIT, Faults, FaultSettings
from towpath.sandbox.kit.journal import Journal
from towpath.sandbox.kit.messages import Answer, Call, Control, Refusal
from towpath.sandbox.kit.store import Condition
from towpath.sandbox.kit.system import Site, World

Model = TypeVar("Model", bound=BaseModel)


class RawWebhook(BaseModel):
    """A body to be signed and sent as it is; it is given up after `max_attempts` tries (None: never)."""

    model_config = ConfigDict(extra="forbid")
    body: str
    id: str | None = None
    copies: int = 1
    max_attempts: int | None = None


class Controls:
    """The handlers, for one running server."""

    def __init__(self, name: str, world: World, site: Site, journal: Journal, faults: Faults) -> None:
        self._name, self._world, self._site, self._journal, self._faults = name, world, site, journal, faults

    def paths(self) -> list[Control]:
        """Return the controls of the toolkit and those of the system."""
        return [
            Control("GET", "/_sandbox/healthz", self.health),
            Control("GET", "/_sandbox/stats", self.stats),
            Control("GET", "/_sandbox/journal", self.journal),
            Control("GET", "/_sandbox/store/{entity}", self.dump),
            Control("GET", "/_sandbox/faults", self.faults),
            Control("PUT", "/_sandbox/faults", self.dial),
            Control("POST", "/_sandbox/emit", self.emit),
            Control("POST", "/_sandbox/tokens/expire", self.expire),
            *self._site.controls,
        ]

    async def health(self, _call: Call) -> Answer:
        """Say that the server is up."""
        return Answer(body={"status": "ok", "system": self._name})

    async def stats(self, _call: Call) -> Answer:
        """Count the calls by path, the statuses (`none`: nothing was answered), webhooks and commits that are to come; the system adds its own."""
        store = self._world.store
        statuses = store.counters("status/")
        body = {"calls": store.counters("call/"), "statuses": statuses, "throttled": statuses.get("429", 0)}
        pending = {"webhooks_pending": self._world.outbox.pending(), "late_commits_pending": self._world.tasks.running(LATE_COMMIT)}
        return Answer(body={**body, **pending, **self._site.stats()})

    async def journal(self, call: Call) -> Answer:
        """Return requests after a number; `last` is where to go on."""
        after = number(call, "after", 0)
        items = self._journal.read(after=after, limit=number(call, "limit", 1000), path=call.query.get("path", ""))
        return Answer(body={"items": items, "last": items[-1]["seq"] if items else after})

    async def dump(self, call: Call) -> Answer:
        """Return everything of one entity, or `limit` from `offset` on; any other name in the query is a field, and the value that it has."""
        entity, limit, offset = call.params["entity"], number(call, "limit", -1), number(call, "offset", 0)
        if entity == "webhooks":
            return Answer(body={"items": self._world.outbox.rows(after=number(call, "after", 0), limit=limit)})
        if entity not in self._site.dumps:
            raise Refusal(404, "not_found", f"no {entity!r}: there are {', '.join(sorted([*self._site.dumps, 'webhooks']))}")
        kind, where = self._site.dumps[entity], _where(call)
        return Answer(body={"items": self._world.store.find(kind, where, limit=limit, offset=offset), "total": self._world.store.count(kind, where)})

    async def faults(self, _call: Call) -> Answer:
        """Return what is dialled and how often each kind happened."""
        counts = self._world.store.counters("fault/")
        return Answer(body={"settings": self._faults.settings.model_dump(), "injected": {kind: counts.get(kind, 0) for kind in KINDS}})

    async def dial(self, call: Call) -> Answer:
        """Replace the fault settings and start their dice again; the counts go on."""
        self._faults.dial(checked(FaultSettings, call.json()))
        return await self.faults(call)

    async def emit(self, call: Call) -> Answer:
        """Queue a raw body."""
        raw = checked(RawWebhook, call.json())
        if not self._world.outbox.enabled:
            raise Refusal(409, "no_receiver", "no webhook_url is set")
        number_ = raw.id or f"evt_{uuid.uuid4().hex}"
        return Answer(202, {"id": self._world.outbox.queue(number_, "raw", raw.body, copies=raw.copies, max_attempts=raw.max_attempts)})

    async def expire(self, _call: Call) -> Answer:
        """Make every issued token invalid."""
        return Answer(body={"expired": self._world.tokens.expire()})


def _where(call: Call) -> list[Condition]:
    """Return the fields of the query with the values that are wanted; what reads as a number may be one."""
    fields = {name: value for name, value in call.query.items() if name not in {"limit", "offset"}}
    if wrong := next((name for name in fields if not name.isidentifier()), None):
        raise Refusal(400, "invalid_query", f"{wrong}: expected the name of a field", field=wrong)
    return [(name, "in", [value, int(value)] if value.isascii() and value.isdecimal() else [value]) for name, value in fields.items()]


def number(call: Call, name: str, default: int) -> int:
    """Return a whole number of the query; raises Refusal(400) that names it."""
    try:
        return int(call.query.get(name, default))
    except ValueError:
        raise Refusal(400, "invalid_query", f"{name}: expected a whole number", field=name) from None


def checked(model: type[Model], body: Any) -> Model:  # noqa: ANN401 - any JSON
    """Return the body as that model; raises Refusal(400) that says what is wrong."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise Refusal(400, "invalid_body", str(error)) from error
