"""Ports of this machine: a free one, or a clear word that a wanted one is taken."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

from towpath.errors import ConfigError

HOST = "127.0.0.1"
QUIET = range(15_000, 32_768)
"""Below what Linux (32768) and IANA (49152) have for outgoing connections, and above what most services take."""


def free_port(*, unlike: int = 0) -> int:
    """Return a port nobody listens on, other than `unlike`."""
    return next(port for port in free_ports(2) if port != unlike)


def free_ports(count: int) -> list[int]:
    """Return different ports nobody listens on, out of those that no system gives to outgoing connections: such a one may be gone a moment later."""
    found: set[int] = set()
    while len(found) < count:
        port = secrets.choice(QUIET)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            found.add(port)
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
