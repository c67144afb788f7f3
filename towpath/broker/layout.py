"""How the embedded broker is set up: its properties, and the Java commands that format and run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from towpath.broker.ports import HOST
from towpath.broker.state import BrokerState

JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
HEAP = ("-Xms128m", "-Xmx512m")
LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")


def properties(state: BrokerState, data: str) -> dict[str, str]:
    """Return the properties of one broker that is its own controller and keeps its data in the folder `data`."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{state.controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{state.port},CONTROLLER://{HOST}:{state.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{state.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",  # fewer logs to open: starts sooner
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "broker.heartbeat.interval.ms": "1000",
        "log.cleaner.dedupe.buffer.size": "16777216",  # holds 600,000 keys at a time; Kafka's own takes 112 MB more from the start
        "metadata.max.idle.interval.ms": "5000",  # one controller: nobody waits for what it writes to show that it is there
        "broker.session.timeout.ms": "3000",  # a broker killed with -9 is let in again only after this
    }


def server_properties(properties: Mapping[str, str]) -> str:
    """Return them as the content of server.properties."""
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def _escaped(value: str) -> str:
    """Return `value` as java.util.Properties reads it back."""
    return value.replace("\\", "\\\\").encode("ascii", "backslashreplace").decode().replace("\\x", "\\u00")


def format_command(java: Path, jars: Sequence[Path], directory: Path, cluster_id: str) -> list[str]:
    """Return the command that prepares an empty data folder."""
    tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(directory / "server.properties"), "--ignore-formatted"]
    return [str(java), *JVM, *LOGGING, "-cp", ":".join(map(str, jars)), *tool]


def run_command(java: Path, jars: Sequence[Path], directory: Path, options: Sequence[str] = ()) -> list[str]:
    """Return the command that serves the data folder; `options` are Java's own. What its libraries unpack stays in the folder too."""
    own = [f"-Djava.io.tmpdir={directory}", "-cp", ":".join(map(str, jars))]
    return [str(java), *options, *HEAP, *JVM, *LOGGING, *own, "kafka.Kafka", str(directory / "server.properties")]
