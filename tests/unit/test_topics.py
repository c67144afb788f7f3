"""What topics.yaml declares, and what it may not."""

from __future__ import annotations

import pytest
from annotated_types import Le

from towpath.config.model import Receiver
from towpath.errors import ConfigError
from towpath.kafka import LARGEST_RECORD
from towpath.topics import ROOM, load_topics

FILE = """
partitions: 4
aggregates: {{orders: [OrderPlaced], stock: [StockChanged]}}
topics:
  received.orders: {{key: k, schemas: [], producers: [], consumers: [], cleanup: delete, retention: 90d, size: 1{extra}}}
  received.stock: {{key: k, schemas: [], producers: [], consumers: [], cleanup: delete, retention: 90d, size: 1}}
"""


def test_an_installation_has_the_topics_of_its_connections_and_of_every_aggregate() -> None:
    aggregates = ["orders", "stock", "products", "customers", "purchase-orders", "vendors"]
    expected = [f"inbox.{name}" for name in ("shop", "bng")] + [f"received.{name}" for name in aggregates] + aggregates
    expected += ["holds", "deliver.shop", "deliver.bng", "dlq.shop", "dlq.bng", "dlq.unknown", "parked.shop", "parked.bng", "receipts", "_schemas"]
    assert expected == [spec.name for spec in load_topics().expand(["shop", "bng"])]


def test_every_received_topic_has_as_many_partitions_and_is_kept_90_days() -> None:
    received = [spec for spec in load_topics().declared if spec.name.startswith("received.")]
    assert {(4, 90 * 86_400_000)} == {(spec.partitions, spec.retention_ms) for spec in received}


def test_unresolved_records_alert_at_half_of_their_retention() -> None:
    alerts = {spec.name: spec.alert_ms for spec in load_topics().expand(["bng"]) if spec.alert_ms}
    assert dict.fromkeys(("deliver.bng", "dlq.bng", "dlq.unknown", "parked.bng"), 90 * 86_400_000) == alerts


def test_a_dead_letter_has_room_for_whatever_it_holds() -> None:
    sizes = {spec.name: spec.max_bytes or 0 for spec in load_topics().expand(["bng"], 4_000_000)}
    letters = [sizes.pop(name) for name in ("dlq.bng", "dlq.unknown", "parked.bng")]
    assert max(sizes.values()) + ROOM <= min(letters)
    assert sizes["inbox.bng"] == 4_500_000 + ROOM


def test_no_topic_takes_less_than_a_full_batch_of_small_records() -> None:
    assert {1_048_588} == {spec.max_bytes for spec in load_topics().expand(["bng"], 1024)}


def test_the_largest_body_that_can_be_set_ends_in_letters_that_kafka_takes() -> None:
    largest = next(limit.le for limit in Receiver.model_fields["max_body_bytes"].metadata if isinstance(limit, Le))
    assert isinstance(largest, int)
    assert max(spec.max_bytes or 0 for spec in load_topics().expand(["bng"], largest)) <= LARGEST_RECORD


def test_without_a_body_size_the_brokers_own_limit_stays() -> None:
    assert "max.message.bytes" not in load_topics().expand(["bng"])[0].config()


def test_received_topics_with_different_partitions_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"received.orders 8, received.stock 4"):
        load_topics(FILE.format(extra=", partitions: 8"))


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"retenton"):
        load_topics(FILE.format(extra=", retenton: 1d"))


def test_a_connection_whose_name_no_topic_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'my shop'"):
        load_topics().expand(["my shop"])
