"""Whether all who deliver to a connection share one ledger: one PostgreSQL, or one SQLite file, which those of one host have and nobody beyond it."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import URL

from towpath.delivery.runner import LaneRunner
from towpath.errors import ConfigError
from towpath.kafka import KafkaSettings, make_admin

log = structlog.get_logger(__name__)

MARK: Final = "towpath-ledger-"
SECONDS = 5.0
OUTLASTING_SECONDS: Final = 600.0
"""How long Kafka may take to tell who is in a group, answer or not: librdkafka 2.16 aborts the process where it tells after that.

Nobody waits so long for it; but a process may stand still meanwhile, for two minutes at most (`towpath/runtime/guardian.py`).
"""
AGAIN_SECONDS = 3.0
GONE_SECONDS = 12.0
"""Kafka counts on a member that died for as long as its session lasts, which is 10 s."""
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def client_id_of(url: URL) -> str:
    """Return the Kafka client id of who keeps its ledger there: equal for all that open the same file of the same machine, and for all of PostgreSQL.

    Two containers of one machine may share a file, and an address tells nothing of that; a file that two machines share is none to lock by. One
    PostgreSQL has many addresses, and another machine after a failover, so that two are not told apart.
    """
    if url.get_backend_name() != "sqlite":
        return f"{MARK}postgresql"
    machine = BOOT.read_text(encoding="ascii").strip() if BOOT.exists() else str(uuid.getnode())
    file = Path(str(url.database)).stat()
    return MARK + hashlib.sha256(f"{machine}/{file.st_dev}/{file.st_ino}".encode()).hexdigest()[:16]


async def refuse_before(kafka: KafkaSettings, groups: Collection[str], ours: str, stop: asyncio.Event) -> None:
    """Return once nobody in the groups keeps another ledger, or Kafka does not tell; to be asked before joining them, as nothing is delivered then.

    Raises ConfigError where somebody does for longer than Kafka counts on one that died.
    """
    until, told = time.monotonic() + GONE_SECONDS, False
    while groups and not stop.is_set():
        try:
            await _unknown(kafka, groups, ours)
        except ConfigError as error:
            if time.monotonic() >= until:
                raise
            if not told:
                log.warning("waiting for as long as members that died are counted on", reason=str(error), seconds=GONE_SECONDS)
            told = True
        else:
            return
        await _pause(stop, AGAIN_SECONDS)


async def refuse_others(kafka: KafkaSettings, runners: Sequence[LaneRunner], ours: str, stop: asyncio.Event) -> None:
    """Return once each runner has its partitions, and nobody else of its group keeps another ledger; raises ConfigError where somebody does.

    Whoever comes later finds the other, so one answer is enough. A Kafka that does not tell is asked again, and keeps nobody from delivering.
    """
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    joined: asyncio.Future[Any] = asyncio.gather(*(runner.assigned.wait() for runner in runners))
    try:
        await asyncio.wait({stopping, joined}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        joined.cancel()
    unknown, told = {runner.group for runner in runners}, False
    while unknown and not stop.is_set():
        reasons = await _unknown(kafka, unknown, ours)
        if reasons and not told:
            log.warning("whether others keep another ledger is not known, and is asked again", groups=reasons)
        unknown, told = set(reasons), True
        if unknown:
            await _pause(stop, AGAIN_SECONDS)


async def _unknown(kafka: KafkaSettings, groups: Collection[str], ours: str) -> dict[str, str]:
    """Return the groups of which Kafka does not tell who is in them, with the reason; raises ConfigError where one keeps another ledger."""
    client_ids, unknown = await asyncio.to_thread(_client_ids, kafka, sorted(groups))
    for group, found in client_ids.items():
        if others := {one for one in found if one.startswith(MARK)} - {ours}:
            raise ConfigError(
                f"database.url: {group} has members with {len(others) + 1} ledgers (a SQLite file is that of one host, or of one container, alone), "
                "so that each would do again what another did; give all of them one PostgreSQL, or run them on one host with one data_dir"
            )
    return unknown


def _client_ids(kafka: KafkaSettings, groups: list[str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the client ids of each group's members; and of the others, why they are not known.

    A Kafka that is not there is asked nothing about groups.
    """
    admin = make_admin(kafka)
    try:
        admin.list_topics(timeout=SECONDS)
    except KafkaException as error:
        return {}, dict.fromkeys(groups, error.args[0].str())
    client_ids, unknown = dict[str, list[str]](), dict[str, str]()
    for group, described in admin.describe_consumer_groups(groups, request_timeout=OUTLASTING_SECONDS).items():
        try:
            client_ids[group] = [str(member.client_id) for member in described.result(SECONDS).members]
        except (KafkaException, TimeoutError) as error:
            unknown[group] = str(error) or "no answer"
    return client_ids, unknown


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
