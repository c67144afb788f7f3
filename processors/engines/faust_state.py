"""The state of a processor as a Faust Table: read and written by partition, and never ahead of its changelog.

`Table.__setitem__` needs a "current event" and sends the changelog record by record, buffered, without waiting (faust/tables/table.py,
faust/transport/producer.py). The engine has the changelog acknowledged first and then writes here, so recovery stays Faust's and the
order is ours.
"""

# ruff: noqa: ANN401, ARG002 (the signatures are Faust's)

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import rocksdict
from faust.stores import base, rocksdb
from faust.tables.table import Table
from faust.types import TP

ROCKS_OPTIONS = {"driver": "rocksdict", "block_cache_size": 8 << 20, "write_buffer_size": 2 << 20}
"""Of each partition, for Faust gives each a cache and a buffer of its own; up to three buffers wait to be written. Load fills them, and they stay."""


class Store(Protocol):
    """What the engine needs of a store."""

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return the value of `key` in `partition`, None where there is none."""
        ...

    def write(self, changelog: TP, writes: Mapping[bytes, bytes], offsets: Sequence[int]) -> None:
        """Take `writes`, which the changelog partition holds at `offsets`."""
        ...


class MemoryStore(base.Store[Any, Any]):
    """State in dictionaries, one a partition; read back from the changelog at every start."""

    def __post_init__(self) -> None:
        self.partitions: dict[int, dict[bytes, bytes]] = defaultdict(dict)

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return the value of `key` in `partition`, None where there is none."""
        return self.partitions[partition].get(key)

    def write(self, changelog: TP, writes: Mapping[bytes, bytes], offsets: Sequence[int]) -> None:
        """Take `writes`."""
        self.partitions[changelog.partition].update(writes)

    def persisted_offset(self, tp: TP) -> int | None:
        """Return None: nothing outlives the process."""
        return None

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """Take changelog records during recovery."""
        for event in batch:
            kept = self.partitions[event.message.partition]
            if event.message.value is None:
                kept.pop(event.message.key, None)
            else:
                kept[event.message.key] = event.message.value

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Drop the partitions that went to another worker."""
        for tp in revoked:
            if tp.topic in self.table.changelog_topic.topics:
                self.partitions.pop(tp.partition, None)

    def reset_state(self) -> None:
        """Drop everything."""
        self.partitions.clear()

    async def backup_partition(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the changelog is the copy."""

    def restore_backup(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the changelog is the copy."""


class RocksStore(rocksdb.Store):
    """State in RocksDB, one database a partition, with the changelog offset it holds."""

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return the value of `key` in `partition`, None where there is none."""
        value: bytes | None = self._db_for_partition(partition).get(key)
        return value

    def write(self, changelog: TP, writes: Mapping[bytes, bytes], offsets: Sequence[int]) -> None:
        """Take `writes` and their place in the changelog as one.

        The place moves only if the records join on to what is held: with another writer's record between (a worker that lost the partition and
        did not know yet), the next recovery reads from the old place on and misses nothing.
        """
        held = self.persisted_offset(changelog)
        start = 0 if held is None else held + 1
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in writes.items():
            batch.put(key, value)
        if sorted(offsets) == list(range(start, start + len(offsets))):
            batch.put(self.offset_key, b"%d" % (start + len(offsets) - 1))
        self._db_for_partition(changelog.partition).write(batch)


class StateTable(Table[Any, Any]):
    """A Faust Table whose store is one of the above; `kind` is `rocksdict` or `memory`."""

    def __init__(self, app: Any, *, kind: str, name: str, partitions: int, **options: Any) -> None:
        self.kind = kind
        super().__init__(app, name=name, partitions=partitions, key_type=bytes, value_type=bytes, **options)

    def _new_store(self) -> Any:
        url, cls, options = ("memory://", MemoryStore, {}) if self.kind == "memory" else ("rocksdb://", RocksStore, dict(ROCKS_OPTIONS))
        return cls(url, self.app, self, table_name=self.name, key_type=bytes, value_type=bytes, loop=self.loop, options=options)

    @property
    def store(self) -> Store:
        """The store itself, read and written by partition."""
        return cast("Store", self.data)
