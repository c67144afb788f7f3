"""Faults injected into the real processes on a real Kafka, and what must hold all the same, checked from logs that do not know of each other."""
