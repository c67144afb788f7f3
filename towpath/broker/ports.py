"""Ports of this machine: a free one, or a clear word that a wanted one is taken."""

from __future__ import annotations

import socket

from towpath.errors import ConfigError

HOST = "127.0.0.1"


def free_port(*, unlike: int = 0) -> int:
    """Return a port nobody listens on, other than `unlike`."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port != unlike:
            return port


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
