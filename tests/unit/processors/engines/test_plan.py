from __future__ import annotations

import pytest

from processors.engines.plan import Plan
from processors.port import Output, ReadState, Record, Step


class Append:
    def process(self, record: Record, read: ReadState) -> Step:
        if record.value is None:
            raise ZeroDivisionError
        value = (read(b"k") or b"") + record.value
        return Step([Output("out", record.key, value)], {b"k": value})


def record(value: bytes | None, partition: int = 0) -> Record:
    return Record("in", partition, 0, 0.0, b"k", value)


def test_later_records_of_a_partition_see_the_writes_of_earlier_ones() -> None:
    plan = Plan(Append(), lambda partition: lambda _: b"%d:" % partition)
    for value, partition in ((b"a", 0), (b"b", 1), (b"c", 0)):
        plan.add(record(value, partition))
    assert [output.value for output in plan.outputs] == [b"0:a", b"1:b", b"0:ac"]
    assert plan.writes == {0: {b"k": b"0:ac"}, 1: {b"k": b"1:b"}}


def test_a_record_that_raises_leaves_the_plan_as_it_was() -> None:
    plan = Plan(Append(), lambda _: lambda _: None)
    plan.add(record(b"a"))
    with pytest.raises(ZeroDivisionError):
        plan.add(record(None))
    assert ([output.value for output in plan.outputs], plan.writes) == ([b"a"], {0: {b"k": b"a"}})
