"""Sinks: the runner that delivers to each target once, and one package a system."""
