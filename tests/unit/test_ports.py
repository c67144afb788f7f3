"""Ports that are chosen before the process that listens there has started."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import deque

import pytest

from towpath.broker import ports
from towpath.broker.ports import HOST, free_port, free_ports, require_free
from towpath.errors import ConfigError

ALL_OF_FEW = "import json; from towpath.broker import ports; ports.QUIET = range({0}, {0} + 3); print(json.dumps(ports.free_ports(1)))"
"""What another process is given where there are three to choose from."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere two sockets of one port need more than SO_REUSEADDR")


def _three_free_ones() -> range:
    while True:
        first = free_port()
        here = range(first, first + 3)
        if all(_is_free(port) for port in here[1:]):
            return here


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@linux
def test_another_process_is_not_given_a_port_that_was_chosen_here_and_is_not_listened_on_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    here = _three_free_ones()
    monkeypatch.setattr(ports, "QUIET", here[1:])
    chosen = free_ports(1)
    other = subprocess.run([sys.executable, "-c", ALL_OF_FEW.format(here[0])], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(other.stdout) == [*{*here[1:]} - {*chosen}]


def test_who_was_given_a_port_listens_there_and_a_second_one_is_told() -> None:
    port = require_free(free_port(), "--port")
    with socket.create_server((HOST, port)), pytest.raises(ConfigError, match=rf"port {port} .* --port"):
        require_free(port, "--port")


@linux
def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    held = deque[int]()
    monkeypatch.setattr(ports, "MOST_HELD", 4)
    monkeypatch.setattr(ports, "_held", held)
    first = [free_ports(1)[0] for _ in range(4)]
    assert not any(_is_free(port) for port in first)
    second = free_ports(3)
    assert [_is_free(port) for port in first] == [True, True, True, False]
    assert not any(_is_free(port) for port in second)
    for one in held:
        os.close(one)
