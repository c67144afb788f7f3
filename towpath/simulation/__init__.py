"""The delivery core in a seeded world: production classes, with only time, threads, Kafka and the target system played (docs/simulation.md)."""
