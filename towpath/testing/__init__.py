"""Fakes and contract suites, shipped for those who add a system."""
