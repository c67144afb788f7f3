"""What is kept for the starts of brokers: it changes what they cost, and nothing of what they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from towpath.broker import Broker, kept
from towpath.broker.jars import cache_folder
from towpath.broker.warm import warm
from towpath.errors import ConfigError


@contextmanager
def started(folder: Path) -> Iterator[Broker]:
    broker = Broker.start(folder, die_with_parent=True)
    try:
        yield broker
    finally:
        broker.kill()


def cluster_id(broker: Broker) -> str | None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})  # kept until the answer is there
    described: str | None = admin.describe_cluster().result(20).cluster_id
    return described


def checkpoint(folder: Path) -> bytes:
    return (folder / "data" / kept.CHECKPOINT).read_bytes()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a cache folder that holds the record of the jars alone."""
    jars = next(cache_folder().glob("*.classpath.json"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (cache_folder() / jars.name).write_bytes(jars.read_bytes())
    return cache_folder()


def test_a_second_folder_is_another_cluster_with_the_features_that_the_formatter_gave_the_first(tmp_path: Path, own_cache: Path) -> None:
    assert not list(own_cache.glob(f"*{kept.CHECKPOINT}"))
    with started(tmp_path / "formatted") as first, started(tmp_path / "kept") as second:
        ids = cluster_id(first), cluster_id(second)
    assert None not in ids
    assert len(set(ids)) == len(ids)
    assert checkpoint(tmp_path / "formatted") == checkpoint(tmp_path / "kept")
    assert [path.name for path in own_cache.glob(f"*{kept.CHECKPOINT}")] == [f"kafka-4.1.1.{kept.CHECKPOINT}"]


def test_a_broker_reads_its_classes_from_the_cache(tmp_path: Path) -> None:
    cache = warm()
    with started(tmp_path / "kafka") as broker:
        mapped = {one.path for one in psutil.Process(broker.pid).memory_maps()}
    assert str(cache) in mapped


def test_a_damaged_cache_of_classes_is_passed_by(tmp_path: Path, own_cache: Path) -> None:
    assert own_cache == kept.class_cache().parent
    kept.class_cache().write_bytes(b"rubbish" * 1000)
    with started(tmp_path / "kafka") as broker:
        assert broker.answers()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the data should be")
    with pytest.raises(ConfigError, match=r"preparing the broker's folder .*choose another with --dir"):
        Broker.start(tmp_path)
