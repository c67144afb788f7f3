"""The native engine's state: one RocksDB a partition, with the place in the changelog that it holds.

It is a copy of the changelog, no more: what is damaged, or of another changelog, is thrown away and read back from there.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import rocksdict

from processors.engines.settings import EngineError

log = logging.getLogger(__name__)

PLACE = b"\0towpath\0place"
NOWHERE = -1
CACHE_BYTES = 32 << 20
WRITE_BUFFER_BYTES = 32 << 20
"""Of all partitions of a process together, as the cache is."""

Rows = Mapping[bytes, bytes | None]
"""Values by key; None deletes."""


class Memory:
    """A partition's state in a dictionary; read back from the changelog at every start."""

    def __init__(self) -> None:
        self.place = NOWHERE
        self._rows: dict[bytes, bytes] = {}
        self.get = self._rows.get

    def write(self, rows: Rows, place: int) -> None:
        """Take the rows; the state then holds the changelog up to `place`."""
        for key, value in rows.items():
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
        self.place = place

    def close(self) -> None:
        """Do nothing."""


class Rocks:
    """A partition's state in RocksDB; `changelog` is the id of the topic it copies. Raises what rocksdict raises for a broken one."""

    def __init__(self, path: Path, options: Any, changelog: str) -> None:  # noqa: ANN401 (rocksdict's Options)
        self._db = rocksdict.Rdict(str(path), options)
        self._changelog = changelog
        self.get = self._db.get
        try:
            topic, _, offset = (self._db.get(PLACE) or b"").decode().partition(" ")
            self.place = int(offset) if topic == changelog else NOWHERE
        except Exception:
            self._db.close()
            raise
        self.stale = topic not in ("", changelog)

    def write(self, rows: Rows, place: int) -> None:
        """Take the rows and the place as one."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if place != self.place:
            batch.put(PLACE, f"{self._changelog} {place}".encode())
        self._db.write(batch)
        self.place = place

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()


class State:
    """The state of the partitions that are open, in `folder`; `changelog` is the id of the topic that it copies."""

    def __init__(self, folder: Path, kind: Literal["rocksdict", "memory"], changelog: str) -> None:
        self._folder, self._kind, self._changelog = folder, kind, changelog
        self._options = _options()
        self._open: dict[int, Memory | Rocks] = {}

    def keep(self, partitions: Iterable[int]) -> None:
        """Have these partitions open, and no others; raises EngineError where another process holds one."""
        wanted = set(partitions)
        for partition in self._open.keys() - wanted:
            self._open.pop(partition).close()
        for partition in wanted - self._open.keys():
            self._open[partition] = self._opened(partition)

    def place(self, partition: int) -> int:
        """Return the last offset of the changelog that is held, -1 for none."""
        return self._open[partition].place

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return the value of a key, None where there is none; raises EngineError after throwing a damaged state away."""
        try:
            value: bytes | None = self._open[partition].get(key)
        except Exception as error:  # rocksdict raises Exception itself
            self.forget(partition)
            raise EngineError(f"{self._path(partition)} is damaged and was removed; it will be read back from the changelog: {error}") from error
        return value

    def write(self, partition: int, rows: Rows, place: int) -> None:
        """Take rows and the changelog's offset that they bring the state to."""
        try:
            self._open[partition].write(rows, place)
        except Exception as error:
            raise EngineError(f"writing {self._path(partition)}: {error}") from error

    def forget(self, partition: int) -> None:
        """Throw a partition's state away, and close it."""
        self._open.pop(partition).close()
        shutil.rmtree(self._path(partition), ignore_errors=True)

    def renew(self, partition: int) -> None:
        """Begin a partition's state anew."""
        self.forget(partition)
        self._open[partition] = self._opened(partition)

    def close(self) -> None:
        """Let go of every partition."""
        self.keep(())

    def _path(self, partition: int) -> Path:
        return self._folder / str(partition)

    def _opened(self, partition: int) -> Memory | Rocks:
        if self._kind == "memory":
            return Memory()
        path = self._path(partition)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            found = Rocks(path, self._options, self._changelog)
        except Exception as error:
            if str(path / "LOCK") in str(error):
                raise EngineError(f"{path} is used by another process; give each processor a data_dir of its own: {error}") from error
            log.warning("%s cannot be opened and is read back from the changelog: %s", path, error)
        else:
            if not found.stale:
                return found
            log.warning("%s is of another changelog topic and is read back from the one there is", path)
            found.close()
        shutil.rmtree(path, ignore_errors=True)
        try:
            return Rocks(path, self._options, self._changelog)
        except Exception as error:
            raise EngineError(f"{path} cannot be written: {error}") from error


def _options() -> Any:  # noqa: ANN401 (rocksdict's Options)
    """Return options under which all partitions share one cache, filters and indexes in it, and one bound for what is not on disk yet."""
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(rocksdict.Cache(CACHE_BYTES))
    table.set_cache_index_and_filter_blocks(True)
    table.set_bloom_filter(10, False)  # noqa: FBT003
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES // 4)
    options.set_write_buffer_manager(rocksdict.WriteBufferManager(WRITE_BUFFER_BYTES, False))  # noqa: FBT003
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.05)
    options.set_keep_log_file_num(2)
    return options
