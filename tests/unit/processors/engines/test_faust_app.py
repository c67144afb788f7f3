from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import faust
import pytest

from processors.engines.faust_app import credentials, make_app, quiet_logs
from processors.engines.sender import producer_config
from processors.engines.settings import EngineSettings
from towpath.errors import ConfigError


def settings(datadir: Path, **changes: object) -> EngineSettings:
    return EngineSettings("a:1, b:2", "group", ("in",), 4, datadir, **changes)  # type: ignore[arg-type]


async def test_the_app_is_set_up_as_the_design_wants_it(tmp_path: Path) -> None:
    app, table = make_app(settings(tmp_path / "state"))
    conf = app.conf
    assert (conf.broker_max_poll_records, conf.web_enabled, app.in_transaction) == (500, False, False)
    assert (table.changelog_topic_name, table.partitions, table.changelog_topic.compacting) == ("group-state-changelog", 4, True)
    assert [url.port for url in conf.broker] == [1, 2]


def test_plaintext_needs_no_credentials(tmp_path: Path) -> None:
    assert credentials(settings(tmp_path)) is None


def test_librdkafkas_names_become_fausts_credentials(tmp_path: Path) -> None:
    security = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "u", "sasl.password": "p"}
    found = credentials(settings(tmp_path, security=security))
    assert isinstance(found, faust.SASLCredentials)
    assert (found.protocol.value, found.mechanism.value, found.username, found.password) == ("SASL_SSL", "SCRAM-SHA-256", "u", "p")


def test_an_unknown_protocol_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use plaintext, ssl"):
        credentials(settings(tmp_path, security={"security.protocol": "kerberos"}))


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    assert "hush" not in repr(settings(tmp_path, security={"sasl.password": "hush"}))


def test_no_setting_weakens_the_producer(tmp_path: Path) -> None:
    config = producer_config(settings(tmp_path, producer={"acks": "1", "enable.idempotence": False, "linger.ms": 50}))
    assert (config["acks"], config["enable.idempotence"], config["partitioner"], config["linger.ms"]) == ("all", True, "murmur2_random", 50)


@pytest.mark.parametrize("changes", [{"topics": ()}, {"partitions": 0}, {"stall_after": 1.0}])
def test_what_could_never_run_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    options = {"topics": ("in",), "partitions": 4} | changes
    with pytest.raises(ConfigError):
        EngineSettings(bootstrap_servers="a:1", group="g", datadir=tmp_path, **options)  # type: ignore[arg-type]


def test_the_root_logger_is_left_alone() -> None:
    before = logging.getLogger().level
    quiet_logs()
    assert (logging.getLogger().level, logging.getLogger("aiokafka").isEnabledFor(logging.INFO)) == (before, False)


def test_importing_the_engine_starts_nothing() -> None:
    code = "import threading, processors.engines.faust_engine; print(threading.active_count())"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"1\n"
