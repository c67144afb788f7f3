"""Processors: pure functions from a state and an event to a state and outputs, the engines that feed them, and the mappings."""
