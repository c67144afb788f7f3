"""A newer release that writes a field more, while this one reads; and a schema that would break it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from towpath.acked import AckedProducer
from towpath.chaos.arena import Arena
from towpath.chaos.evidence import read_topics
from towpath.chaos.fault import Fault
from towpath.codec import NAMESPACE, SCHEMAS, Codec, default_codec
from towpath.errors import DataError
from towpath.events import Event, is_newer, seal
from towpath.registry.client import RegistryClient
from towpath.startup import in_daemon

EVENT, RECEIVED, PUBLIC = "StockChanged", "received.stock", "stock"
SUBJECT: Final = f"{RECEIVED}-{NAMESPACE}.{EVENT}"
FIELD: Final[Mapping[str, Any]] = {"name": "bin", "type": ["null", "string"], "default": None}
NO_DEFAULT: Final[Mapping[str, Any]] = {"name": "shelf", "type": "string"}
LEAST, MOST = 10, 200
PUBLIC_SECONDS = 60.0


class _Published(NamedTuple):
    """What the verdict reads the newer events by."""

    texts: Mapping[int, str]

    def text(self, schema_id: int) -> str | None:
        """Return the JSON of a schema, None where there is none of this id."""
        return self.texts.get(schema_id)


async def newer_release(arena: Arena) -> int:
    """Register a schema with a field more, tell of stock by it, and kill the registry before anybody has asked; return how many events that were.

    Each says what the source said last, with a remark that makes it news. Then a schema is offered that would break readers.
    """
    config = arena.stack.config()
    folder, many = arena.stack.directory / "newer", max(LEAST, arena.run.share_of(MOST))
    newer = Codec(_with(folder, FIELD))
    arena.codec = Codec(registry=_Published({newer.by_name[EVENT].id: newer.by_name[EVENT].text}))
    with closing(RegistryClient(config.schema_registry)) as registry:
        newer.adopt({EVENT: await in_daemon(lambda: registry.register(SUBJECT, newer.by_name[EVENT].text))})
        arena.notes["refused"] = await in_daemon(lambda: _refused(registry, Codec(_with(folder, NO_DEFAULT)).by_name[EVENT].text))
    arena.stack.kill("registry")
    told, producer = [_again(event) for event in list((await _newest(arena, RECEIVED)).values())[:many]], AckedProducer(config.kafka)
    for event in told:
        await producer.send(RECEIVED, event.record_key, newer.encode(EVENT, {**event.value, FIELD["name"]: "A-7"}))
    await producer.close()

    async def all_public() -> bool:
        public = await _newest(arena, PUBLIC)
        return not any(_is_older(public.get(event.identity), event) for event in told)

    await arena.until(all_public, PUBLIC_SECONDS, "what a newer release wrote, or what came after it, is public")
    return len(told)


def _with(folder: Path, field: Mapping[str, Any]) -> Path:
    """Return a folder with the schemas of here, and a field more in that of the event."""
    target = folder / str(field["name"])
    target.mkdir(parents=True)
    for path in SCHEMAS.glob("towpath.*.avsc"):
        shutil.copy(path, target)
    path = target / f"{NAMESPACE}.{EVENT}.avsc"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "fields": [*content["fields"], field]}), encoding="utf-8")
    return target


def _refused(registry: RegistryClient, text: str) -> bool:
    try:
        registry.register(SUBJECT, text)
    except DataError:
        return True
    return False


async def _newest(arena: Arena, topic: str) -> dict[str, Event]:
    """Return the newest event of each identity that this release can read in a topic."""
    newest: dict[str, Event] = {}
    kafka = arena.stack.config().kafka
    for record in await in_daemon(lambda: read_topics(kafka, [topic])):
        with suppress(DataError):
            event = Event(*default_codec().decode(record.value))
            if _is_older(newest.get(event.identity), event):
                newest[event.identity] = event
    return newest


def _is_older(known: Event | None, event: Event) -> bool:
    return known is None or is_newer(event.meta["version"], known.meta["version"])


def _again(event: Event) -> Event:
    """Return the event as a later telling of the same."""
    version = {**event.meta["version"], "minor": event.meta["version"]["minor"] + 1}
    return seal(Event(EVENT, {**event.value, "meta": {**event.meta, "version": version}, "custom_fields": {"told by": "a newer release"}}))


async def broken_one_refused(arena: Arena) -> Sequence[str]:
    """Say where the registry took what breaks its readers."""
    return [] if arena.notes["refused"] else ["the registry took a schema without which earlier records cannot be read"]


FAULTS = (Fault("F20", "a newer release writes a field more, and an incompatible schema is published", newer_release, judge=broken_one_refused),)
