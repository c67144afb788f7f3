"""Files that hold either what they held or what was written, whenever the process or the machine dies; and one writer at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from towpath.errors import ConfigError

LOCK_SECONDS = 30.0
PAUSE_SECONDS = 0.02


def replace(path: Path, content: bytes, *, like: os.stat_result | None = None) -> None:
    """Put `content` into the file at `path` in one step that survives a power failure; mode 0600, or mode and owner as `like` has them."""
    scratch = path.with_name(f".{path.name}.new")
    try:
        scratch.unlink(missing_ok=True)  # of a process that was killed
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if like is not None:
                os.fchmod(descriptor, like.st_mode & 0o700)
                if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, like.st_uid, like.st_gid)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        scratch.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise ConfigError(f"{path} cannot be written: {error.strerror}; nothing was changed") from None


def stamp_of(path: Path) -> tuple[int, ...]:
    """Return what is another once a file was changed, replaced, opened to others or taken away."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Hold <folder>/lock while entered; ConfigError where another holds it for half a minute. The kernel frees it however this process ends."""
    file = folder / "lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}; run this as the user who owns the vault") from None
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise ConfigError(f"the vault in {folder} is being changed by another process for {LOCK_SECONDS:.0f} s; try again later") from None
        time.sleep(PAUSE_SECONDS)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
