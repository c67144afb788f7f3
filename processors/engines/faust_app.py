"""Makes the Faust app of an engine: settings as design.md wants them, the guarded consumer, credentials from librdkafka's names."""

from __future__ import annotations

import logging
import shutil
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faust
from faust.types.auth import CredentialsT

from processors.engines import faust_guard
from processors.engines.faust_state import StateTable
from processors.engines.settings import STATE, EngineSettings
from towpath.errors import ConfigError

LIBRARIES = ("faust", "mode", "aiokafka")
CHANGELOG = "changelog"
"""The file beside the state, with the id of the topic that it copies."""

log = logging.getLogger(__name__)


class App(faust.App):
    """A Faust app over the guarded consumer."""

    def _new_transport(self) -> Any:  # noqa: ANN401 (Faust's protocol types do not fit its own classes)
        return faust_guard.Transport(self.conf.broker_consumer, self)


def make_app(settings: EngineSettings) -> tuple[App, StateTable]:
    """Return an app that is not started, and its one table; must be called in the event loop that will run it."""
    settings.datadir.mkdir(parents=True, exist_ok=True)
    app = App(
        settings.group,
        broker=[f"kafka://{server.strip()}" for server in settings.bootstrap_servers.split(",")],
        broker_credentials=credentials(settings),
        broker_max_poll_records=settings.batch,
        broker_commit_interval=settings.commit_interval,
        broker_commit_every=20 * settings.batch,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 5,
        broker_request_timeout=max(40.0, settings.session_timeout + 5),
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 << 20,
        datadir=str(settings.datadir),
        processing_guarantee="at_least_once",
        store="memory://",  # of no table: `StateTable` brings its own
        stream_buffer_maxsize=8 * settings.batch,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        web_enabled=False,
    )
    app.finalize()
    table = StateTable(app, kind=settings.store, name=STATE, partitions=settings.partitions, beacon=app.beacon)
    app.tables.add(table)
    return app, table


def forget_other_state(appdir: Path, changelog: str) -> None:
    """Remove an app's state where it copies another changelog than the one with this id, as after Kafka's data was lost.

    Faust compares offsets alone: it ends while the topic that was made anew is the shorter one, and takes it for the other after that.
    """
    copied = appdir.parent / CHANGELOG
    known = copied.read_text(encoding="ascii") if copied.exists() else None
    if known not in (None, changelog):  # earlier releases noted none
        log.warning("%s is of another changelog topic and is read back from the one there is", appdir)
        shutil.rmtree(appdir, ignore_errors=True)
    if known != changelog:
        copied.write_text(changelog, encoding="ascii")


def source(app: App, settings: EngineSettings) -> Any:  # noqa: ANN401
    """Return the input topics as Faust's topic of raw bytes; a null key or value is a record like any other."""
    return app.topic(
        *settings.topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", allow_empty=True, internal=False
    )


def quiet_logs() -> None:
    """Keep the libraries to warnings where nobody set another level; the root logger is left alone (`faust worker` sets it to DEBUG)."""
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


def credentials(settings: EngineSettings) -> CredentialsT | None:
    """Return Faust's credentials for librdkafka's `security`; None for plaintext, ConfigError for a protocol unknown to either."""
    security = settings.security
    protocol = security.get("security.protocol", "plaintext").lower()
    if protocol == "plaintext":
        return None
    if protocol not in {"ssl", "sasl_ssl", "sasl_plaintext"}:
        raise ConfigError(f"security.protocol={protocol} of {settings.group}: use plaintext, ssl, sasl_plaintext or sasl_ssl")
    context = _context(security) if protocol.endswith("ssl") else None
    if protocol == "ssl":
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=security.get("sasl.username"),
        password=security.get("sasl.password"),
        mechanism=security.get("sasl.mechanism", security.get("sasl.mechanisms", "PLAIN")),
        ssl_context=context,
    )


def _context(security: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=security.get("ssl.ca.location"))
    if certificate := security.get("ssl.certificate.location"):
        context.load_cert_chain(certificate, security.get("ssl.key.location"), security.get("ssl.key.password"))
    return context
