"""Ports of this machine: a free one, or a clear word that a wanted one is taken."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections import deque
from contextlib import suppress

from towpath.errors import ConfigError

HOST = "127.0.0.1"
QUIET = range(15_000, 32_768)
"""Below what Linux (32768) and IANA (49152) have for outgoing connections, and above what most services take."""
MOST_HELD = 100

_held: deque[int] = deque()
"""The sockets that hold what was chosen last, as file descriptors: they are nobody's to close."""


def free_port(*, unlike: int = 0) -> int:
    """Return a port nobody listens on, other than `unlike`."""
    return next(port for port in free_ports(2) if port != unlike)


def free_ports(count: int) -> list[int]:
    """Return different ports nobody listens on, out of those that no system gives to outgoing connections: such a one may be gone a moment later.

    On Linux no other process is given them meanwhile: they stay bound here, which keeps no server away that sets SO_REUSEADDR, as they do.
    """
    found: set[int] = set()
    while len(found) < count:
        port = secrets.choice(QUIET)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            if sys.platform == "linux":  # elsewhere two sockets of one port need more than that
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                _held.append(probe.detach())
            found.add(port)
    while len(_held) > max(count, MOST_HELD):
        os.close(_held.popleft())
    return list(found)


def require_free(port: int, option: str) -> int:
    """Return `port`; raise ConfigError naming it and the option that chooses another where it cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"port {port} of {HOST}: {error.strerror}; end the program that listens there, or choose another port with {option}"
            raise ConfigError(message) from error
    return port


def answers(port: int) -> bool:
    """Return whether somebody accepts connections on `port`."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
