"""A 3PL: it takes fulfilment requests, ships them, and confirms what has left (contract: schemas/http/3pl.yaml)."""
