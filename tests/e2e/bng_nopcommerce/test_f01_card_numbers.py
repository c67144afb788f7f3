from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from towpath.demo.pairs import SHOP
from towpath.demo.play import place, settle
from towpath.testing.played import Played
from towpath.testing.reading import read_all
from towpath.topics import load_topics

CANARY_CARD = "4929420573595709"


async def test_f01_card_numbers_reach_no_topic_database_or_log(pair: Played) -> None:
    await place(pair.stack, orders=5, seed=5, first_id=1401)
    await settle(pair.stack)
    sent = [str(order) for order in await pair.rows(SHOP, "orders") if order["id"] in range(1401, 1406)]
    assert any(CANARY_CARD in order for order in sent), "or the search below proves nothing"
    assert all([await pair.sales_orders(number) for number in range(1401, 1406)])
    topics = [spec.name for spec in load_topics().expand(pair.stack.config().connections)]
    records = read_all(pair.stack.config().kafka, topics)  # segments on disk are compressed, so the records are searched as well
    assert len(records) >= 5
    assert [record for record in records if CANARY_CARD.encode() in (record.value or b"")] == []
    read = set[str]()
    for path in _files(pair.stack.directory):
        with suppress(FileNotFoundError):  # Kafka's own that live for a moment
            assert CANARY_CARD.encode() not in path.read_bytes(), str(path)
            read.add(path.name)
    assert {"up.log", "towpath.db"} <= read


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file that Towpath or its Kafka wrote, the sandbox's own stores left out."""
    for root, _, names in os.walk(folder):
        for path in (Path(root) / name for name in names):
            if "sandbox-" not in str(path.relative_to(folder)) and path.name not in ("shop.log", "erp.log"):
                yield path
