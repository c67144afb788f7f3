"""What becomes of a deployment that changes its engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from processors.engines.faust_engine import FaustEngine
from processors.engines.native_engine import NativeEngine
from processors.engines.settings import EngineError
from processors.engines.testing import Count, Place, running, until


async def test_a_changed_engine_goes_on_where_the_other_stopped_with_the_state_it_left(place: Place, tmp_path: Path) -> None:
    for engine in ("faust", "native", "faust"):
        place.produce((b"k%d" % k, b"v") for k in range(50))
        async with running(engine, place.settings(tmp_path)):
            await until(place.done)
    assert place.values() == sorted([b"v:1", b"v:2", b"v:3"] * 50)


async def test_native_is_refused_while_faust_is_in_the_group(place: Place, tmp_path: Path) -> None:
    async with running("faust", place.settings(tmp_path / "faust")) as engine:
        await asyncio.wait_for(engine.ready.wait(), 20)
        with pytest.raises(EngineError, match="another engine is in the group; stop every worker"):
            await asyncio.wait_for(NativeEngine(place.settings(tmp_path / "other"), Count()).run(asyncio.Event()), 20)
        assert engine.healthy() is None


async def test_faust_is_never_ready_while_native_is_in_the_group_and_gives_up(place: Place, tmp_path: Path) -> None:
    async with running("native", place.settings(tmp_path / "native")) as engine:
        await asyncio.wait_for(engine.ready.wait(), 20)
        other = FaustEngine(place.settings(tmp_path / "other", stall_after=3), Count())
        with pytest.raises(EngineError, match="a rebalance does not end"):
            await asyncio.wait_for(other.run(asyncio.Event()), 40)
        assert (other.ready.is_set(), engine.healthy()) == (False, None)
