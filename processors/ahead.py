"""What can be said of records before their turn comes, for many at once: it takes no state, and so holds whatever comes before them. No I/O.

Python does one kind of work for many records in two thirds of the time that it takes to do all kinds for one after the other, as the machine
learns a short way through the code and forgets a long one. So heads are read of all, then events, then their deliveries are made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from processors.orders import fact_key, state_key
from processors.port import ReadState
from processors.routing import Arrived, Routed, Router
from towpath.codec import Codec, Head
from towpath.errors import DataError
from towpath.events import PARTS, Event
from towpath.records import Record


class Ready(NamedTuple):
    """A record with what is known of it: its head, its event, and what that leads to where nothing is known of its fact yet."""

    record: Record
    head: Head | None
    event: Event | None = None
    routed: Routed | None = None


class Ahead:
    """Gets records ready. What it leaves out, for it is broken, rare or said before, is worked out when its turn comes.

    `is_free` tells whether what an event leads to depends on nothing that is kept, but for its order: where that is known, it waits for its turn.
    """

    def __init__(self, router: Router, codec: Codec, is_free: Callable[[Event], bool]) -> None:
        self._router, self._codec, self._is_free = router, codec, is_free
        self._ready: dict[int, Ready] = {}

    def prepare(self, records: Sequence[Record], reader: Callable[[int], ReadState]) -> None:
        """Get these records ready in the place of those before; `reader` gives what reads a partition's state."""
        heads = [(record, self._codec.peek(record.value)) for record in records if record.replay is None]
        self._ready = {id(record): Ready(record, head) for record, head in heads}
        whole = [(record, head) for record, head in reversed(heads) if head is not None and head.name not in PARTS]
        facts = {fact_key(Event(head.name, {"meta": head.meta})): (record, head) for record, head in whole}  # of one fact, what comes first
        new = [(record, head) for fact, (record, head) in facts.items() if reader(record.partition)(fact) is None]
        known = {id(record) for record, head in new if reader(record.partition)(state_key(head.meta["key"])) is not None}
        with suppress(Exception):  # whatever it is, it is raised again when its record's turn comes, and told with its place
            self._work(new, known)

    def _work(self, new: Sequence[tuple[Record, Head]], known: Collection[int]) -> None:
        arrived = [one for one in [self._arrived(record, head) for record, head in new] if one is not None]
        self._ready |= {id(one.record): Ready(one.record, one.head, one.event) for one in arrived}
        free = [one for one in arrived if id(one.record) not in known and self._is_free(one.event)]
        for one, routed in zip(free, self._router.ahead(free), strict=True):
            self._ready[id(one.record)] = Ready(one.record, one.head, one.event, routed)

    def take(self, record: Record) -> Ready | None:
        """Return what is ready of a record, once; None where nothing is."""
        found = self._ready.pop(id(record), None)
        return found if found is not None and found.record is record else None

    def _arrived(self, record: Record, head: Head) -> Arrived | None:
        try:
            return Arrived(record, Event(*self._codec.decode(record.value, head)), record.value, None, head=head)
        except DataError:
            return None
