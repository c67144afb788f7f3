"""Fetching the broker's jars from a Maven repository over HTTP: what is cut off or changed is fetched again, and later starts ask nobody."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from jgo.config import GlobalSettings

from towpath.broker.jars import KAFKA_VERSION, classpath, published_digests
from towpath.errors import ConfigError

CLIENTS = f"kafka-clients-{KAFKA_VERSION}.jar"
POM = f"kafka-server-{KAFKA_VERSION}.pom"
HALF, CHANGED, MISSING = "half", "changed", "missing"


class Central(ThreadingHTTPServer):
    """A Maven repository with the real files; `faults` says what the next answers for a file are like, `asked` counts the requests by file."""

    def __init__(self, files: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files
        self.faults: dict[str, list[str]] = {}
        self.asked: Counter[str] = Counter()

    def fault(self, name: str) -> str | None:
        left = self.faults.get(name)
        return left.pop(0) if left else None


class Answer(SimpleHTTPRequestHandler):
    """One file, as the repository's faults have it."""

    server: Central

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked[name] += 1
        file, fault = self.server.files / self.path.lstrip("/"), self.server.fault(name)
        if fault == MISSING or not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == HALF:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content[::-1] if fault == CHANGED else content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def central(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Central]:
    """Give a repository of this machine's own files, to which everything is directed; the caches are empty.

    But for what jgo found out of each file of this digest: it starts a Java for every one of them.
    """
    classpath()
    found = GlobalSettings.load()
    shutil.copytree(found.cache_dir / "info", tmp_path / "jgo" / "info")
    with Central(found.repo_cache) as server:
        Thread(target=server.serve_forever).start()
        (tmp_path / "jgo.conf").write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "jgo.conf"))
        monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "jgo"))
        monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield server
        server.shutdown()


def jars_asked(central: Central) -> Counter[str]:
    return Counter({name: count for name, count in central.asked.items() if name.endswith(".jar")})


def test_what_did_not_arrive_as_it_was_sent_is_fetched_again_and_nothing_else_and_later_starts_ask_nobody(central: Central) -> None:
    central.faults = {POM: [HALF], CLIENTS: [HALF, CHANGED]}
    jars = classpath()
    assert published_digests() == {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars}
    assert Counter(published_digests().keys()) + Counter({CLIENTS: 2}) == jars_asked(central)
    assert central.asked[POM] == 2
    central.asked.clear()
    assert jars == classpath()
    assert {} == central.asked


def test_a_connection_that_is_always_cut_is_told_and_the_next_call_goes_on_there(central: Central, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.broker.jars.ATTEMPTS", 1)
    central.faults = {CLIENTS: [HALF]}
    with pytest.raises(ConfigError, match=r"fetching Apache Kafka .*IncompleteRead.*Check the network and proxy; running again resumes"):
        classpath()
    arrived = jars_asked(central).keys() - {CLIENTS}
    central.asked.clear()
    assert published_digests().keys() == {jar.name for jar in classpath()}
    assert published_digests().keys() - arrived == jars_asked(central).keys()


def test_a_jar_that_is_another_than_was_published_is_named(central: Central, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.broker.jars.ATTEMPTS", 1)
    central.faults = {CLIENTS: [CHANGED]}
    with pytest.raises(ConfigError, match=rf"{CLIENTS} arrived incomplete or changed"):
        classpath()


def test_a_jar_that_the_repository_does_not_have_is_named(central: Central, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.broker.jars.ATTEMPTS", 1)
    central.faults = {CLIENTS: [MISSING]}
    with pytest.raises(ConfigError, match=rf"kafka-clients.*{KAFKA_VERSION}.* not found"):
        classpath()


def test_without_a_network_it_says_what_to_do(central: Central, tmp_path: Path, unused_tcp_port: int) -> None:
    (tmp_path / "jgo.conf").write_text(f"[repositories]\ncentral = http://127.0.0.1:{unused_tcp_port}\n")
    with pytest.raises(ConfigError, match=r"fetching Apache Kafka .*refused.*proxy.*mirror.*kafka\.bootstrap_servers"):
        classpath()
    assert {} == central.asked


def test_a_jar_that_vanished_since_is_put_back(central: Central) -> None:
    jars = classpath()
    jars[0].unlink()
    central.asked.clear()
    assert jars == classpath()
    assert jars[0].is_file()
    assert {} == central.asked
