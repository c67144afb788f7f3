"""The embedded broker: it starts, survives kill -9, ends with its parent, and says what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from towpath.broker import Broker
from towpath.broker.ready import wait_for
from towpath.broker.state import BrokerState
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings, make_consumer, make_producer
from towpath.topic_setup import ensure, partition_counts
from towpath.topics import TopicSpec

SPEC = TopicSpec("orders", 2, "delete", 3_600_000)
CHILD = """
import sys, time
from pathlib import Path
from towpath.broker import Broker
print(Broker.start(Path(sys.argv[1]), die_with_parent=True).pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a broker's folder"
    yield folder
    if broker := Broker.find(folder):
        broker.kill()


def _settings(broker: Broker) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers)


def test_killed_with_9_it_continues_with_the_same_data_at_the_same_address(folder: Path) -> None:
    broker = Broker.start(folder)
    ensure(_settings(broker), [SPEC])
    producer = make_producer(_settings(broker))
    producer.produce("orders", b"kept", b"1001")
    assert producer.flush(20) == 0
    address = broker.bootstrap_servers
    broker.kill()
    again = Broker.start(folder)
    assert address == again.bootstrap_servers
    assert partition_counts(_settings(again))["orders"] == SPEC.partitions
    consumer = make_consumer(_settings(again), "readers")
    consumer.subscribe(["orders"])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.key() == b"1001"
    again.stop()


def _towpath(*arguments: str) -> tuple[int, Any]:
    command = [str(Path(sys.executable).with_name("towpath")), "kafka", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout)


def test_killed_while_it_starts_it_may_be_started_again_and_is_no_fault_of_its_configuration(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("towpath")), "kafka", "start", "--dir", str(folder)]
    starting = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert wait_for(lambda: Broker.find(folder) is not None, lambda: starting.poll() is not None, 60)
    broker = Broker.find(folder)
    assert broker is not None
    broker.kill()
    _, told = starting.communicate(timeout=60)
    assert (1, f"towpath: starting the broker in {folder}: it was killed by SIGKILL; start it again\n") == (starting.returncode, told)


def test_the_command_starts_reports_and_stops_it(folder: Path) -> None:
    code, started = _towpath("start", "--dir", str(folder))
    assert (0, "running") == (code, started["state"])
    assert (0, started) == _towpath("start", "--dir", str(folder))
    assert (0, started) == _towpath("status", "--dir", str(folder))
    assert _towpath("stop", "--dir", str(folder))[0] == 0
    code, stopped = _towpath("status", "--dir", str(folder))
    assert (3, "stopped") == (code, stopped["state"])
    assert Broker.find(folder) is None


def test_in_the_foreground_it_runs_until_the_command_is_told_to_end(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("towpath")), "kafka", "start", "--foreground", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}) as running:
        assert running.stdout is not None
        assert "running at 127.0.0.1" in running.stdout.readline()
        assert Broker.find(folder) is not None
        running.terminate()
        assert running.wait(20) == 0
    assert Broker.find(folder) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about a parent's end is Linux's")
def test_it_ends_with_the_process_that_started_it(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        broker = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    assert wait_for(lambda: Broker.find(folder) is None, lambda: False, 10)
    assert not broker.is_running() or broker.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("option", ["port", "controller_port"])
def test_a_taken_port_is_named_with_its_option(folder: Path, option: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} .* --{option.replace('_', '-')}"):
            Broker.start(folder, **{option: port})


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"file/kafka: Not a directory.*--dir"):
        Broker.start(tmp_path / "file" / "kafka")


def test_a_broker_that_ends_is_explained_from_its_log(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").write_text("version=1\ncluster.id=another\nnode.id=7\n")
    with pytest.raises(ConfigError, match=r"starting the broker in .*: it ended; [\s\S]*node"):
        Broker.start(folder)
    assert Broker.find(folder) is None


def test_a_process_number_that_went_to_another_program_is_not_the_broker() -> None:
    me = psutil.Process()
    state = BrokerState(cluster_id="c", port=1, controller_port=2, pid=os.getpid(), created=me.create_time())
    assert me == state.process()
    assert state.model_copy(update={"created": me.create_time() - 60}).process() is None
