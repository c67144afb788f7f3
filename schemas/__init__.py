"""Contracts: Avro events, topics and HTTP descriptions, reviewed like an API."""
