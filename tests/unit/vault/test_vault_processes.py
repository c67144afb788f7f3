from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from towpath.errors import ConfigError
from towpath.failpoints import VARIABLE, Failpoints
from towpath.vault import Vault
from towpath.vault import files as vault_files

CHANGER = Path(__file__).with_name("changer.py")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HELD = {"erp-key": "canary-erp", "shop-key": "canary-shop"}


def change(vault: Vault, *what: str, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(CHANGER), str(vault.folder), vault.place.name, *what]
    return subprocess.Popen(command, env={**os.environ, **environment})


def held(vault: Vault) -> dict[str, str]:
    return {name: vault.held(name).value for name in vault.names()}


def test_processes_that_set_at_once_lose_nothing_of_one_another(vault: Vault) -> None:
    running = [change(vault, "set", f"of-{number}", "10") for number in range(4)]
    assert [0] * 4 == [one.wait(60) for one in running]
    assert {f"of-{one}-{number}": f"value-{number}" for one in range(4) for number in range(10)} | HELD == held(vault)


@pytest.mark.parametrize("point", ["vault.key_added", "vault.sealed"])
def test_a_rotation_killed_at_any_step_leaves_a_vault_that_opens_and_the_next_one_finishes_it(vault: Vault, tmp_path: Path, point: str) -> None:
    rotating = change(vault, "rotate", **{VARIABLE: f"{point}:1:{tmp_path / 'marker'}"})
    assert rotating.wait(60) == -signal.SIGKILL
    assert held(vault) == HELD
    assert ["a rotation that is not finished" in note for note in vault.verify()[1]] == [True]
    assert change(vault, "rotate").wait(60) == 0
    assert (held(vault), vault.verify()[1], len((tmp_path / "vault.key").read_text().splitlines())) == (HELD, [], 1)


def test_a_rotation_killed_at_any_moment_leaves_a_vault_that_opens(vault: Vault) -> None:
    choose, before, rotations = random.Random(7), (vault.folder / "vault.json").read_bytes(), 0
    for _ in range(8):
        rotating = change(vault, "rotate for ever")
        while (vault.folder / "vault.json").read_bytes() == before:
            assert rotating.poll() is None
            time.sleep(0.01)  # until it is at work
        time.sleep(choose.random() * 0.05)  # it is the moment of the kill that is at random
        rotating.kill()
        rotating.wait()
        assert held(vault) == HELD
        rotations += before != (before := (vault.folder / "vault.json").read_bytes())
    assert rotations == 8


def test_who_reads_while_others_rotate_and_set_always_finds_the_secret(vault: Vault) -> None:
    rotating, reads, failed = change(vault, "rotate for ever"), 0, list[str]()
    began, keys = time.monotonic(), set[bytes]()
    try:
        while len(keys) <= 10 or time.monotonic() < began + 3:
            assert time.monotonic() < began + 60, f"{len(keys)} keys in {reads} reads"
            try:
                assert vault.held("erp-key").value == "canary-erp"
                keys.add(vault.keys_for("tokens")[0])
            except ConfigError as error:
                failed.append(str(error))
            reads += 1
    finally:
        rotating.kill()
        rotating.wait()
    assert failed == []


def test_a_writer_that_never_ends_is_waited_for_and_then_told_of(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_files, "LOCK_SECONDS", 0.2)
    with vault_files.one_writer(vault.folder):
        told: list[str] = []

        def try_it() -> None:
            try:
                vault.remove("erp-key")
            except ConfigError as error:
                told.append(str(error))

        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert ["is being changed by another process" in one for one in told] == [True]
    assert held(vault) == HELD


def test_a_disk_that_takes_no_more_leaves_what_was_there(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"vault\.json cannot be written: No space left on device; nothing was changed"):
        vault.remove("erp-key")
    monkeypatch.undo()
    assert held(vault) == HELD
    assert sorted(file.name for file in vault.folder.iterdir()) == ["lock", "vault.json"]


def test_what_a_killed_writer_left_behind_is_no_hindrance(vault: Vault) -> None:
    (vault.folder / ".vault.json.new").symlink_to("/dev/null")
    vault.rotate(NOON, Failpoints())
    assert held(vault) == HELD
