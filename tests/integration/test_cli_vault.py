from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from towpath.testing.command import ran

CONFIG = """
vault: {dir: ./vault, key: file:vault.key}
connections: {erp: {system: bng, url: "http://127.0.0.1:1", credentials: {api_key: "vault:erp-key"}}}
"""
SECRET = "canary-3f9a77"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "towpath.yaml").write_text(CONFIG)
    assert towpath(tmp_path, "vault", "init").returncode == 0
    return tmp_path


def towpath(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Return how a command ended and what it printed, without the secret."""
    done = ran(*arguments, given=given, TOWPATH_CONFIG=str(folder / "towpath.yaml"), COLUMNS="200")
    assert SECRET not in done.stdout + done.stderr
    return done


def listed(folder: Path) -> dict[str, list[str]]:
    done = towpath(folder, "vault", "list", "--json")
    return {row["name"]: row["used_by"] for row in map(json.loads, done.stdout.splitlines())}


def test_a_secret_goes_in_by_stdin_and_the_configuration_finds_it(folder: Path) -> None:
    before = towpath(folder, "check")
    assert (before.returncode, 'no entry called "erp-key"; set it with `towpath vault set erp-key`' in before.stderr) == (2, True)
    done = towpath(folder, "vault", "set", "erp-key", given=f"{SECRET}\n")
    assert (done.returncode, done.stdout) == (0, "set erp-key\n")
    assert listed(folder) == {"erp-key": ["connections.erp.credentials.api_key"]}
    assert [towpath(folder, *command).returncode for command in (["check"], ["vault", "verify"], ["vault", "rotate"], ["check"])] == [0, 0, 0, 0]


@pytest.mark.parametrize("arguments", [(SECRET,), (f"--value={SECRET}",), ("--value", SECRET), ("--", SECRET), (f"-{SECRET}",)])
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(folder: Path, arguments: tuple[str, ...]) -> None:
    done = towpath(folder, "vault", "set", "erp-key", *arguments, given=SECRET)
    assert (done.returncode, "is never taken from the command line" in done.stderr) == (2, True)
    assert listed(folder) == {}


def test_a_secret_is_typed_twice_and_not_shown(folder: Path) -> None:
    own, theirs = pty.openpty()
    command = [sys.executable, "-m", "towpath", "vault", "set", "erp-key", "--config", str(folder / "towpath.yaml")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        shown = typed(own, {"The secret for erp-key: ": SECRET, "Once more: ": SECRET})
        assert process.wait(30) == 0
    os.close(own)
    assert "set erp-key" in shown
    assert SECRET not in shown
    assert listed(folder) == {"erp-key": ["connections.erp.credentials.api_key"]}


def typed(terminal: int, answers: dict[str, str]) -> str:
    """Return what a terminal showed, each prompt answered once it stands there."""
    shown, left, end = "", dict(answers), time.monotonic() + 30
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # the other end was closed
            return shown
        for prompt in [prompt for prompt in left if prompt in shown]:
            os.write(terminal, f"{left.pop(prompt)}\n".encode())
    os.close(terminal)  # which ends what runs there
    raise AssertionError(shown)


def test_an_old_webhook_secret_is_kept_for_a_while(folder: Path) -> None:
    towpath(folder, "vault", "set", "hook", given="one")
    done = towpath(folder, "vault", "set", "hook", "--keep-old-hours", "24", given="two")
    assert done.stdout == "set hook; nothing refers to it yet: write vault:hook where the configuration takes a secret\n"
    assert towpath(folder, "vault", "set", "hook", "--keep-old-hours", "-1", given="two").returncode == 2


def test_what_is_in_use_is_not_removed(folder: Path) -> None:
    towpath(folder, "vault", "set", "erp-key", given=SECRET)
    towpath(folder, "vault", "set", "other", given=SECRET)
    refused = towpath(folder, "vault", "remove", "erp-key")
    assert (refused.returncode, "connections.erp.credentials.api_key refers to it" in refused.stderr) == (2, True)
    assert towpath(folder, "vault", "remove", "other").stdout == "removed other\n"
    assert list(listed(folder)) == ["erp-key"]


def test_verify_names_each_entry_that_is_wrong_or_missing_and_ends_with_1(folder: Path) -> None:
    towpath(folder, "vault", "set", "other", given=SECRET)
    file = folder / "vault" / "vault.json"
    content = json.loads(file.read_text())
    content["entries"]["planted"] = content["entries"].pop("other")
    file.write_text(json.dumps(content))
    done = towpath(folder, "vault", "verify")
    assert done.returncode == 1
    for told in ("there is no such entry, and", 'the entry "other" was taken out of', 'the entry "planted" was put into'):
        assert told in done.stdout


def test_no_command_shows_a_secret_again(folder: Path) -> None:
    towpath(folder, "vault", "set", "erp-key", given=SECRET)
    offered = towpath(folder, "vault", "--help").stdout
    assert all(command in offered for command in ("init", "set", "list", "remove", "rotate", "verify"))
    for command in (["list"], ["list", "--json"], ["verify"], ["get", "erp-key"], ["show", "erp-key"], ["rotate"]):
        towpath(folder, "vault", *command)
    assert SECRET.encode() not in b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("text", ["", "vault: {dir: ./vault}", "vault: [", "vault: {dir: /proc/nowhere, key: 'file:vault.key'}"])
def test_a_vault_that_is_not_set_up_right_is_told_on_one_screen(tmp_path: Path, text: str) -> None:
    (tmp_path / "towpath.yaml").write_text(text)
    for command in (["init"], ["list"], ["verify"], ["rotate"], ["set", "a"]):
        done = towpath(tmp_path, "vault", *command, given="x")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("towpath: ")
