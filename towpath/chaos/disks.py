"""Small disks for the folders of a stack, which a fault may fill; only root can make them."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BALLAST = "ballast"
PIECE_BYTES = 1 << 20
SMALL_MEGABYTES = 4


@dataclass(slots=True)
class Disk:
    """A tmpfs of so many megabytes, in the place of a folder."""

    folder: Path
    megabytes: int

    def mount(self) -> None:
        """Put it in place; raises OSError with the reason where that is not allowed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m,mode=700", "tmpfs", str(self.folder))

    def unmount(self) -> None:
        """Take it away, with all that it holds."""
        with suppress(OSError):
            _run("umount", "--lazy", str(self.folder))

    def fill(self) -> None:
        """Leave no room."""
        descriptor = os.open(self.folder / BALLAST, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        size = PIECE_BYTES
        try:
            while size:
                try:
                    os.write(descriptor, bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2
        finally:
            os.close(descriptor)

    @property
    def is_full(self) -> bool:
        """Tell whether there is no room."""
        return os.statvfs(self.folder).f_bavail == 0

    def make_room(self) -> None:
        """Give back what was filled."""
        (self.folder / BALLAST).unlink(missing_ok=True)


def why_no_disks() -> str:
    """Return why no disk can be made here, empty where one can."""
    with tempfile.TemporaryDirectory(prefix="towpath-disk-") as folder:
        disk = Disk(Path(folder), SMALL_MEGABYTES)
        try:
            disk.mount()
        except OSError as error:
            return f"a small disk is mounted by root only: {error}"
        disk.unmount()
    return ""


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise OSError((error.stderr.splitlines() or [f"{command[0]}: exit code {error.returncode}"])[0]) from error
