"""Towpath: an open event-streaming integration platform for commerce, on Apache Kafka."""

__version__ = "0.1.0"
