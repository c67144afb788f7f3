"""Delivery: key lanes, the effect ledger, dead letters; shared by every role that writes somewhere."""
