"""Apache Kafka's jars, fetched from Maven Central once and checked against the digests beside this file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from towpath.errors import ConfigError

KAFKA_VERSION = "4.1.1"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
ATTEMPTS = 3

log = logging.getLogger(__name__)


def classpath() -> list[Path]:
    """Return every jar of the broker, fetching them on first use (45 MB); a later call only looks whether they are still whole.

    Raises:
        ConfigError: the download did not succeed; what has arrived is kept, and the next call resumes there.
    """
    record = cache_folder() / f"kafka-{KAFKA_VERSION}.classpath.json"
    if found := _recorded(record):
        return found
    with locked(record.with_suffix(".lock")):
        if found := _recorded(record):  # another process fetched them meanwhile
            return found
        jars = _fetch()
        write_atomically(record, json.dumps([[str(jar), jar.stat().st_size] for jar in jars]).encode())
        return jars


def _fetch() -> list[Path]:
    import jgo  # noqa: PLC0415 - needed on first use only, and slow to import
    import requests  # noqa: PLC0415 - the same
    from jgo.config import GlobalSettings  # noqa: PLC0415 - the same

    log.info("fetching Apache Kafka %s from Maven Central, once", KAFKA_VERSION)
    settings = GlobalSettings.load()
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            jars = list(jgo.build(COORDINATES, update=True, repositories=settings.repositories).all_jars)
        except (requests.RequestException, RuntimeError, AssertionError, ValueError, OSError, SyntaxError, zipfile.BadZipFile) as error:
            reason = f"{type(error).__name__}: {error}"
        else:
            reason = _difference(jars)
            if not reason:
                return jars
        discard_damaged(settings.cache_dir / "envs" / "org" / "apache" / "kafka")
        discard_damaged(settings.repo_cache)
    message = (
        f"fetching Apache Kafka {KAFKA_VERSION} ({COORDINATES}) from Maven Central: {reason[:500]}. Check the network and proxy; running "
        f"again resumes where it stopped. Or name a mirror as central under [repositories] of jgo's own configuration (~/.config/jgo.conf), or "
        f"give the address of a Kafka that runs already, as kafka.bootstrap_servers"
    )
    raise ConfigError(message)


def discard_damaged(folder: Path) -> list[Path]:
    """Delete the broker's jars under `folder` whose content is not the published one, and cut-off POMs; return what was deleted."""
    digests = published_digests()
    damaged = [jar for jar in folder.rglob("*.jar") if jar.name in digests and _digest(jar) != digests[jar.name]]
    damaged += [pom for pom in folder.rglob("*.pom") if b"</project>" not in pom.read_bytes()]
    for path in damaged:
        path.unlink(missing_ok=True)
    return damaged


def published_digests() -> dict[str, str]:
    """Return the SHA-256 of every jar of the broker by file name, as they were when this version was chosen."""
    text = resources.files("towpath.broker").joinpath(f"kafka-{KAFKA_VERSION}.sha256").read_text(encoding="ascii")
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def _difference(jars: list[Path]) -> str:
    digests = published_digests()
    present = {jar.name: _digest(jar) for jar in jars if jar.is_file()}
    if missing := sorted(digests.keys() - present.keys()):
        return f"missing {', '.join(missing)}"
    if wrong := sorted(name for name, digest in present.items() if digests.get(name) != digest):
        return f"{', '.join(wrong)} arrived incomplete or changed"
    return ""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recorded(record: Path) -> list[Path]:
    """Return the recorded jars, or nothing where one of them is gone or has another size."""
    try:
        entries = [(Path(name), size) for name, size in json.loads(record.read_text(encoding="utf-8"))]
        return [path for path, _ in entries] if all(path.stat().st_size == size for path, size in entries) else []
    except (OSError, ValueError, TypeError):
        return []


def cache_folder() -> Path:
    """Return the folder that keeps what every broker on this machine needs; ConfigError where it cannot be made."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "towpath"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"making the cache folder {folder}: {error.strerror}; point XDG_CACHE_HOME at a folder that can be written"
        raise ConfigError(message) from error
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write the file in one step, so that no reader sees half of it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process after another in."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
