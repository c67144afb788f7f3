"""Bugs planted into subclasses of the production classes: the simulation must find each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from processors.engines.native_loop import Loop
from processors.flow_processor import FlowProcessor
from processors.port import ReadState, Step
from sinks.effector import Effector, Patience
from towpath.codec import default_codec
from towpath.delivery.claims import Order
from towpath.delivery.ledger import Effect, Ledger
from towpath.delivery.runner import LaneRunner
from towpath.records import Output, Record
from towpath.simulation.machines import Classes


class StateFirst(Loop):
    """Marks the state, its changelog and the offsets before the outputs are acknowledged."""

    def _work(self, records: Sequence[Record]) -> None:
        epoch = self._group.epoch
        batch, _ = self._processed(records)
        self._changelog.put(batch.changes())
        self._flight = batch
        if not self._land(self._group.breathe) or self._group.epoch != epoch:
            return
        self._group.commit()
        self._outputs.put(batch.outputs())
        self._outputs.settle(batch.outputs, self._group.breathe)


class OffsetFirst(LaneRunner):
    """Lets an offset be committed as soon as its record is in a lane."""

    def _take(self, message: Any) -> None:  # noqa: ANN401 - confluent-kafka's own
        super()._take(message)
        tracker = self._trackers.get(message.partition())
        if tracker is not None and message.error() is None:
            tracker.finish(message.offset())


class NoFence(Effector):
    """Sends without asking whether the effect is still its own."""

    def _fence(self, *_args: Any, **_more: Any) -> Callable[[], Awaitable[None]]:  # noqa: ANN401 - as the effector has it
        async def fence() -> None:
            return None

        return fence


class LeftOver(Effector):
    """Has nobody look again at what a process that stood still may have written over something newer."""

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - as the effector has it
        super().__init__(*args, **more)
        self._doubts.see_to = lambda *_: None  # type: ignore[method-assign]


class VersionedKey(FlowProcessor):
    """Has the version in the key of a one-shot effect."""

    def process(self, record: Record, read: ReadState) -> Step:
        step = super().process(record, read)
        return replace(step, outputs=[_with_version(output) for output in step.outputs])


def _with_version(output: Output) -> Output:
    if output.topic != "deliver.erp":
        return output
    delivery = default_codec().decode_as("Delivery", output.value)
    if delivery["operation"] != "create_order":
        return output
    version = delivery["version"]
    delivery["effect_key"] += f"/{version['major']}.{version['minor']}"
    return output._replace(value=default_codec().encode("Delivery", delivery))


class NoStock(FlowProcessor):
    """Tells nobody of stock."""

    def process(self, record: Record, read: ReadState) -> Step:
        step = super().process(record, read)
        return replace(step, outputs=[output for output in step.outputs if not _is_stock(output)])


def _is_stock(output: Output) -> bool:
    return output.topic == "deliver.erp" and default_codec().decode_as("Delivery", output.value)["operation"] == "put_stock"


class AtOnce(Effector):
    """Looks an effect of unknown outcome up at once, and not after the settle time."""

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - as the effector has it
        *before, clock = args
        connection, target, api, ledger, patience = before
        super().__init__(connection, target, api, ledger, Patience(patience.timeout, 0.0), clock, **more)


class AnyVersion(Ledger):
    """Has any success of an effect close all its dead letters, those of newer versions too."""

    async def blame(self, effect: Effect, dead_letter_id: str, version: Order | None = None, *, at: datetime) -> None:  # noqa: ARG002 - as the ledger has it
        await super().blame(effect, dead_letter_id, at=at)


class Bug(NamedTuple):
    """A bug: what it is planted into, and the invariant that it breaks."""

    classes: Classes
    breaks: str


BUGS = {
    "state marked before the output": Bug(Classes(loop=StateFirst), "I1"),
    "offset committed before the ledger": Bug(Classes(runner=OffsetFirst), "I4"),
    "no fence": Bug(Classes(effector=NoFence), "I2"),
    "an old state left over a newer one": Bug(Classes(effector=LeftOver), "I3"),
    "version in a one-shot effect key": Bug(Classes(processor=VersionedKey), "I2"),
    "an older version's success closes the dead letter of a newer one": Bug(Classes(ledger=AnyVersion), "I3"),
    "stock that nobody is told of": Bug(Classes(processor=NoStock), "I3"),
    "immediate look-up instead of settle time": Bug(Classes(effector=AtOnce), "I2"),
}
