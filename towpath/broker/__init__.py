"""An embedded Apache Kafka: one real broker in a folder, without Docker or Java beforehand."""

from towpath.broker.server import Broker

__all__ = ["Broker"]
