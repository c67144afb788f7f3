from __future__ import annotations

import os
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
    found = [str(path) for path in _files(pair.stack.directory) if CANARY_CARD.encode() in path.read_bytes()]
    assert found == []


def _files(folder: Path) -> list[Path]:
    """Return every file that Towpath or its Kafka wrote, the sandbox's own stores left out."""
    files = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return [path for path in files if "sandbox-" not in str(path.relative_to(folder)) and path.name not in ("shop.log", "erp.log")]
