"""Engines feed a processor from Kafka, keep its state and send its outputs; the port is `processors/port.py`."""
