"""Fetching the broker's jars: damaged ones are fetched again, a failure says what to do, and later starts ask nobody."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import jgo
import pytest
import requests

from towpath.broker.jars import classpath, published_digests
from towpath.errors import ConfigError


@dataclass
class Central:
    """Stands in for the resolver: delivers the real jars into the repository, the first `cut` times one of them cut off."""

    source: list[Path]
    repository: Path
    cut: int = 0
    offline: bool = False
    calls: int = 0
    all_jars: tuple[Path, ...] = ()

    def build(self, _coordinates: str, *, update: bool = False) -> Central:
        assert update == (self.calls > 0)
        self.calls += 1
        if self.offline:
            raise requests.ConnectionError("no route to host")
        self.all_jars = tuple(self._deliver(jar) for jar in self.source)
        return self

    def _deliver(self, jar: Path) -> Path:
        copy = self.repository / jar.name
        if not copy.exists():
            shutil.copy(jar, copy)
            if self.calls <= self.cut and jar.name.startswith("kafka-clients"):
                copy.write_bytes(jar.read_bytes()[:1000])
        return copy


@pytest.fixture
def central(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Central:
    central = Central(classpath(), tmp_path / "m2")
    central.repository.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "jgo"))
    monkeypatch.setenv("M2_REPO", str(central.repository))
    monkeypatch.setattr(jgo, "build", central.build)
    return central


def test_later_starts_ask_nobody(central: Central) -> None:
    assert classpath() == classpath()
    assert central.calls == 1


def test_a_cut_off_jar_is_fetched_again(central: Central) -> None:
    central.cut = 1
    assert published_digests().keys() == {jar.name for jar in classpath()}
    assert central.calls == 2


def test_a_jar_that_vanished_since_is_fetched_again(central: Central) -> None:
    classpath()[0].unlink()
    central.calls = 0
    assert all(jar.exists() for jar in classpath())


def test_without_a_network_it_says_what_to_do_and_resumes_later(central: Central) -> None:
    central.offline = True
    with pytest.raises(ConfigError, match=r"fetching Apache Kafka .*no route to host.*running again resumes"):
        classpath()
    central.offline, central.calls = False, 0
    assert len(published_digests()) == len(classpath())


def test_a_jar_that_never_arrives_whole_is_named(central: Central) -> None:
    central.cut = 9
    with pytest.raises(ConfigError, match=r"kafka-clients-\S+ arrived incomplete"):
        classpath()
