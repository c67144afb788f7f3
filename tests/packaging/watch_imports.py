"""Import modules one by one while threads, sockets, programs, files and the environment are watched; print what an import does.

Run as a program by test_imports.py: `python watch_imports.py PACKAGE,PACKAGE MODULE ...`. Each module is imported twice: once so that the libraries
they need are there (what those do is theirs), then, with all of ours forgotten, with the watch on.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import Any
from unittest.mock import patch

WATCHED = ("socket.", "subprocess.", "os.system", "os.posix_spawn", "os.fork", "urllib.", "sqlite3.connect", "signal.")
HARMLESS = ("socket.__new__", "socket.gethostname")


class Watch:
    """Notes what happens while `module` is being imported."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.packages = packages
        self.module: str | None = None
        self.seen: list[str] = []

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.module is None:
            return
        writes = event == "open" and isinstance(arguments[1], str) and bool(set(arguments[1]) & set("wax+"))
        if writes or (event.startswith(WATCHED) and not event.startswith(HARMLESS)):
            self.seen.append(f"{self.module}: importing it leads to {event} {arguments[:1]}")

    def start(self, thread: threading.Thread) -> None:
        """Note a thread instead of starting it."""
        self.seen.append(f"{self.module}: importing it starts the thread {thread.name}")

    def read(self, key: object) -> None:
        """Note a read of the environment that one of our modules makes."""
        frame = sys._getframe(2)
        while frame.f_back and frame.f_globals.get("__name__") == "os":
            frame = frame.f_back
        reader = str(frame.f_globals.get("__name__"))
        if self.module and reader.partition(".")[0] in self.packages:
            self.seen.append(f"{self.module}: importing it reads {key} from the environment, in {reader}")


class WatchedEnvironment(dict[str, str]):
    """The environment, with every read told to the watch."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(os.environ)
        self.watch = watch

    def __getitem__(self, key: str) -> str:
        self.watch.read(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.watch.read(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict has it
        self.watch.read(key)
        return super().get(key, default)


def main(packages: tuple[str, ...], modules: list[str]) -> list[str]:
    watch = Watch(packages)
    sys.dont_write_bytecode = True
    sys.addaudithook(watch.audit)
    os.environ = WatchedEnvironment(watch)  # type: ignore[assignment]  # noqa: B003 - the very object that is read
    for name in modules:
        importlib.import_module(name)
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] in packages]:
        del sys.modules[loaded]
    for name in modules:
        watch.module = name
        try:
            with patch.object(threading.Thread, "start", lambda thread: watch.start(thread)):  # noqa: PLW0108 - so that it is bound like a method
                importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever an import raises is what this reports
            watch.seen.append(f"{name}: importing it a second time raises {error!r}")
        watch.module = None
    return watch.seen


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in main(tuple(sys.argv[1].split(",")), sys.argv[2:]))
