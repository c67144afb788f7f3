from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from processors.engines.faust_app import make_app
from processors.engines.settings import EngineSettings

CHANGELOG = TP("group-state-changelog", 1)


def make_store(datadir: Path, kind: str) -> Any:  # noqa: ANN401
    app, table = make_app(EngineSettings("a:1", "group", ("in",), 4, datadir, store=kind))  # type: ignore[arg-type]
    app._create_directories()
    return table.store


@pytest.mark.parametrize("kind", ["rocksdict", "memory"])
async def test_state_belongs_to_its_partition(tmp_path: Path, kind: str) -> None:
    store = make_store(tmp_path, kind)
    store.write(CHANGELOG, {b"k": b"v"}, [0])
    assert (store.read(1, b"k"), store.read(2, b"k"), store.read(1, b"other")) == (b"v", None, None)


@pytest.mark.parametrize("kind", ["rocksdict", "memory"])
async def test_recovery_writes_what_it_reads_and_forgets_what_is_deleted(tmp_path: Path, kind: str) -> None:
    store = make_store(tmp_path, kind)
    rows = [(b"a", b"1"), (b"b", b"1"), (b"a", None)]
    messages = [SimpleNamespace(tp=CHANGELOG, partition=1, offset=i, key=key, value=value) for i, (key, value) in enumerate(rows)]
    store.apply_changelog_batch([SimpleNamespace(message=message) for message in messages], None, None)
    assert (store.read(1, b"a"), store.read(1, b"b")) == (None, b"1")


@pytest.mark.parametrize(
    ("offsets", "held"),
    [([0, 1], 1), ([1, 0], 1), ([3, 4], None), ([0, 2], None)],
    ids=["joins on", "in any order", "another's records before", "another's record between"],
)
async def test_the_place_in_the_changelog_moves_only_without_a_gap(tmp_path: Path, offsets: list[int], held: int | None) -> None:
    store = make_store(tmp_path, "rocksdict")
    store.write(CHANGELOG, {b"a": b"1", b"b": b"1"}, offsets)
    assert store.persisted_offset(CHANGELOG) == held


async def test_rocksdb_outlives_its_process(tmp_path: Path) -> None:
    store = make_store(tmp_path, "rocksdict")
    store.write(CHANGELOG, {b"k": b"v"}, [0])
    await store.stop()
    again = make_store(tmp_path, "rocksdict")
    assert (again.read(1, b"k"), again.persisted_offset(CHANGELOG)) == (b"v", 0)


async def test_what_a_partition_has_not_on_disk_yet_is_bounded(tmp_path: Path) -> None:
    store, held = make_store(tmp_path, "rocksdict"), []
    for number in range(120):
        store.write(CHANGELOG, {b"%d" % key: bytes(1_000) for key in range(100)}, [number])
        held.append(int(store._db_for_partition(1).property_value("rocksdb.cur-size-all-mem-tables")))
    assert 2**20 < max(held) < 7 * 2**20
