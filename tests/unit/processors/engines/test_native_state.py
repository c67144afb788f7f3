from __future__ import annotations

from pathlib import Path

import pytest

from processors.engines.native_state import NOWHERE, State
from processors.engines.settings import EngineError


def opened(folder: Path, kind: str = "rocksdict", changelog: str = "a") -> State:
    state = State(folder, kind, changelog)  # type: ignore[arg-type]
    state.keep([0, 1])
    return state


@pytest.mark.parametrize("kind", ["rocksdict", "memory"])
def test_state_belongs_to_its_partition_and_knows_its_place(tmp_path: Path, kind: str) -> None:
    state = opened(tmp_path, kind)
    assert (state.read(0, b"k"), state.place(0)) == (None, NOWHERE)
    state.write(0, {b"k": b"v", b"gone": b"v", b"": b"empty"}, 2)
    state.write(0, {b"gone": None}, 3)
    assert [state.read(0, key) for key in (b"k", b"gone", b"")] == [b"v", None, b"empty"]
    assert (state.read(1, b"k"), state.place(0), state.place(1)) == (None, 3, NOWHERE)
    state.close()


def test_it_outlives_its_process_and_a_while_with_another_worker(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.write(0, {b"k": b"v"}, 7)
    state.keep([1])
    state.keep([0])
    assert (state.read(0, b"k"), state.place(0)) == (b"v", 7)
    state.close()
    again = opened(tmp_path)
    assert (again.read(0, b"k"), again.place(0)) == (b"v", 7)
    again.close()


def test_a_copy_of_another_changelog_is_thrown_away(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.write(0, {b"k": b"v"}, 7)
    state.close()
    other = opened(tmp_path, changelog="b")
    assert (other.read(0, b"k"), other.place(0)) == (None, NOWHERE)
    other.close()


def test_a_directory_that_another_has_open_is_named(tmp_path: Path) -> None:
    state = opened(tmp_path)
    with pytest.raises(EngineError, match=r"/0 is used by another process; give each processor a data_dir of its own"):
        opened(tmp_path)
    state.write(0, {b"k": b"v"}, 7)
    assert state.read(0, b"k") == b"v"
    state.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="cannot be written"):
        opened(tmp_path / "file")


def test_damage_that_shows_when_it_is_read_ends_the_run_and_is_gone_at_the_next(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.write(0, {b"%05d" % n: b"v" * 100 for n in range(20_000)}, 19_999)
    state._open[0]._db.flush()  # type: ignore[union-attr]
    state.close()
    for file in (tmp_path / "0").glob("*.sst"):
        content = bytearray(file.read_bytes())
        content[1000:5000] = bytes(4000)
        file.write_bytes(content)
    state = opened(tmp_path)
    with pytest.raises(EngineError, match="is damaged and was removed"):
        [state.read(0, b"%05d" % n) for n in range(20_000)]
    state.close()
    again = opened(tmp_path)
    assert (again.read(0, b"00001"), again.place(0)) == (None, NOWHERE)
    again.close()


def test_damage_that_shows_when_it_is_opened_is_gone_at_once(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.write(0, {b"k": b"v"}, 7)
    state._open[0]._db.flush()  # type: ignore[union-attr]
    state.close()
    for file in (tmp_path / "0").glob("*.sst"):
        file.write_bytes(bytes(len(file.read_bytes())))
    again = opened(tmp_path)
    assert (again.read(0, b"k"), again.place(0)) == (None, NOWHERE)
    again.close()
