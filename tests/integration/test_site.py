"""An ERP that accepts no connection: the roles of its site call outwards alone, to it and, over TLS, to a Kafka elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest_asyncio
import yaml
from confluent_kafka import Producer

from towpath.demo.pairs import ERP, find_pair
from towpath.demo.stack import Stack
from towpath.kafka import KafkaSettings
from towpath.testing.played import Played
from towpath.testing.secured_kafka import PASSWORDS, USER, Secured, secured_kafka

SITE, NOWHERE = "works", "http://127.0.0.1:9"
ELSEWHERE = ("receiver", "adapter", "processor", "sink", "registry")
TLS_1_2, TLS_1_3, SUPPORTED_VERSIONS = b"\x03\x03", b"\x03\x04", b"\x00\x2b"


def over_tls(secured: Secured) -> dict[str, Any]:
    secret = {"sasl_username": USER, "sasl_password": "file:secrets/kafka", "ssl_ca_location": str(secured.ca)}
    return {"bootstrap_servers": secured.address, "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", **secret}


def write_site(stack: Stack, secured: Secured) -> Path:
    """Write the configuration of the ERP's site, a folder of its own with the ERP's secrets alone; leave elsewhere no way to the ERP."""
    content = yaml.safe_load(stack.config_path.read_text())
    content["kafka"] = over_tls(secured)
    erp = content["connections"][ERP]
    del erp["webhook_secret"]
    erp |= {"site": SITE, "poll_seconds": 0.3}
    works = stack.directory / SITE
    (works / "secrets").mkdir(parents=True)
    (stack.directory / "secrets" / "erp-key").rename(works / "secrets" / "erp-key")
    for folder in (works, stack.directory):
        (folder / "secrets" / "kafka").write_text(PASSWORDS["SCRAM-SHA-512"])
    (works / "towpath.yaml").write_text(yaml.safe_dump({**content, "site": SITE}))
    content["connections"][ERP] = {**erp, "url": NOWHERE}
    stack.config_path.write_text(yaml.safe_dump(content))
    return works / "towpath.yaml"


@pytest_asyncio.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Played, Stack]]:
    """Give the pair, and the roles of the ERP's site."""
    with secured_kafka(tmp_path) as secured:
        stack = Stack(tmp_path / "stack", find_pair("bng-nopcommerce"), roles=ELSEWHERE, broker=False)
        stack.write()
        settings = stack.directory / f"sandbox-{ERP}.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "webhook_url": None}))
        config = write_site(stack, secured)
        site = Stack(config.parent, stack.pair, roles=("poller", "adapter", "sink"), broker=False, systems=False, ports=stack.ports)
        try:
            await asyncio.gather(stack.start(), site.start())
            yield Played(stack), site
        finally:
            await asyncio.to_thread(site.kill_all)
            await asyncio.to_thread(stack.kill_all)


async def test_an_erp_that_accepts_no_connection_is_written_and_read_from_its_own_site(both: tuple[Played, Stack]) -> None:
    played, site = both
    order = await played.bought(1001)
    sku = order["Lines"][0]["SKU"]
    await played.stock_becomes(sku, await played.available(sku))
    await played.change_erp(order["SalesOrderID"], OrderStatus=20)
    await played.order(1001, order_status_id=20)
    assert {"poller", "adapter", "sink"} == {role for role in (*ELSEWHERE, *site.roles) if site.pid_of(role) is not None}
    assert {"127.0.0.1"} == {address for role in site.roles for address in listening(site, role)}
    assert [] == await played.letters("shop/order/1001")


def listening(stack: Stack, role: str) -> list[str]:
    """Return the addresses where a role accepts connections."""
    return [one.laddr.ip for one in psutil.Process(stack.pid_of(role)).net_connections("tcp") if one.status == psutil.CONN_LISTEN]


def test_our_clients_offer_tls_1_2_and_1_3_and_nothing_older() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        producer = Producer(KafkaSettings(bootstrap_servers=address, security_protocol="SSL").client_config())
        connection, _ = server.accept()
        with connection:
            hello = connection.recv(65_536)
        del producer
    (offered,) = re.findall(re.escape(SUPPORTED_VERSIONS) + rb"\x00\x05\x04(.{4})", hello, re.DOTALL)
    assert TLS_1_3 + TLS_1_2 == offered
