"""A process with every role's modules imported, from which roles are forked: a start costs a tenth, and their memory is shared.

Where that cannot be (not Linux, an old kernel, the process was killed), whoever asks is told so and starts a program of its own instead.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36
MESSAGE_BYTES = 65_536
ANSWER_SECONDS = 60.0
HANDED_OVER_SECONDS = 0.001


class Forked:
    """A process that was forked for the one that asked, and is its child like any other."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended = asyncio.get_running_loop().create_future()
        self._descriptor = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._collect)

    async def wait(self) -> int:
        """Return its exit code once it ended; minus the signal where one ended it."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Send SIGTERM; ProcessLookupError where it has ended."""
        if self._ended.done():
            raise ProcessLookupError(self.pid)
        os.kill(self.pid, signal.SIGTERM)

    def _collect(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._ended.set_result(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]))


class Prefork:
    """The asking side: `start` gives a process that does what a command line would do that begins with `program`."""

    def __init__(self, asked: socket.socket, program: Sequence[str]) -> None:
        asked.setblocking(False)  # noqa: FBT003 - the socket's own
        self._asked, self._program, self._turn, self._gone = asked, list(program), asyncio.Lock(), False

    async def start(self, command: Sequence[str], environment: Mapping[str, str]) -> Forked | None:
        """Return the process, a child of this one in a group of its own; None for another program, or where none can be forked any more."""
        program, arguments = list(command[: len(self._program)]), list(command[len(self._program) :])
        loop, content = asyncio.get_running_loop(), json.dumps([arguments, dict(environment)]).encode()
        async with self._turn:
            if self._gone or program != self._program or len(content) > MESSAGE_BYTES:
                return None
            adopt(orphans=True)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await loop.sock_sendall(self._asked, content)
                    answer = await loop.sock_recv(self._asked, MESSAGE_BYTES)
            except (OSError, TimeoutError):
                answer = b""
            finally:
                adopt(orphans=False)
            self._gone = not answer
            return Forked(int(answer)) if answer else None

    def close(self) -> None:
        """End the process that forks; those it forked go on."""
        self._asked.close()


def prefork(program: Sequence[str], modules: Sequence[str]) -> Prefork | list[str] | None:
    """Fork the process that imports `modules` and forks others: returns a `Prefork` to the caller, and to each process so forked its arguments.

    Those are what follows `program` in the command that was asked for. To be called before the first thread and the first connection; None
    where this system cannot do it.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    asked, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    if os.fork():
        answering.close()
        return Prefork(asked, program)
    asked.close()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    return _serve(answering, modules)


def adopt(*, orphans: bool) -> None:
    """Say whether this process becomes the parent of a descendant whose own parent ends."""
    _prctl(PR_SET_CHILD_SUBREAPER, int(orphans))


def _serve(answering: socket.socket, modules: Sequence[str]) -> list[str]:
    """Fork for each message; return in the process so forked, with its arguments."""
    os.setpgid(0, 0)  # Ctrl-C is the parent's to hear
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    for module in modules:
        with suppress(Exception):  # told by the process that needs it, which imports it again
            importlib.import_module(module)
    gc.freeze()  # so that pages stay shared
    while content := answering.recv(MESSAGE_BYTES):
        if (between := os.fork()) != 0:
            os.waitpid(between, 0)
            continue
        own = os.getpid()
        if os.fork() != 0:
            os._exit(0)
        while os.getppid() == own:  # until the asking process is the parent
            time.sleep(HANDED_OVER_SECONDS)
        os.setpgid(0, 0)
        answering.send(str(os.getpid()).encode())
        answering.close()
        arguments, environment = json.loads(content)
        os.environ.update(environment)
        _prctl(PR_SET_NAME, " ".join(arguments[:2]).encode())  # as `top` shows it
        return list(arguments)
    os._exit(0)


def _prctl(option: int, value: int | bytes) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value)
