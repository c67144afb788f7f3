"""The port between processors and the engines that feed them: an engine reads records, keeps state, and sends outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from towpath.metrics import Counted
from towpath.records import Output, Record

__all__ = ["Engine", "Output", "Preparing", "Processor", "ReadState", "Record", "Step"]

ReadState = Callable[[bytes], bytes | None]


@dataclass(slots=True)
class Step:
    """What one record leads to: outputs that must be acknowledged before `writes` (key to value) reach the state, and what is then counted."""

    outputs: Sequence[Output] = ()
    writes: Mapping[bytes, bytes] = field(default_factory=dict)
    counts: Sequence[Counted] = ()


class Processor(Protocol):
    """A pure function from a record and the state to a Step; bad data is an output (a dead letter), never an exception."""

    def process(self, record: Record, read: ReadState) -> Step:
        """Return what `record` leads to; `read` gives the state as left by every earlier record of the partition."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A processor that does some of its work for several records at once."""

    def prepare(self, records: Sequence[Record], reader: Callable[[int], ReadState]) -> None:
        """Get the records ready that are processed next, given what reads a partition's state; it changes nothing but the time that takes."""
        ...


class Engine(Protocol):
    """What feeds one processor; `ready` is set while partitions are assigned and their state is restored."""

    ready: asyncio.Event

    def healthy(self) -> str | None:
        """Return None while records flow, else why not."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Process until `stop` is set; raises ConfigError for what is not as declared and EngineError when it cannot go on."""
        ...
