"""One supervisor for one data folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from towpath.errors import ConfigError


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold <data_dir>/run/lock while entered; ConfigError where another process holds it. The kernel frees it however this process ends."""
    file = data_dir / "run" / "lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(f"data_dir: {data_dir} cannot be written: {error.strerror}; make it writable, or set another folder") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            raise ConfigError(f"data_dir: {data_dir} is in use by process {holder}; stop that one, or set another folder") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)
