"""Contract suites: the promises that every source and every target keeps, each a named test, run on every system that is discovered.

A system has them by the small `EXAMPLE` of `towpath/testing/systems/<system>.py` (see `example.Example`), a test file by

    globals().update(contract_tests())          # every system
    TestShopify = source_tests("shopify")       # one of them
    TestMappings = mapping_tests(Path("…"))     # those of a folder, with the samples beside them
"""

from __future__ import annotations

from towpath.testing.contracts.discovery import contract_tests, sink_tests, source_tests
from towpath.testing.contracts.mappings import mapping_tests

__all__ = ["contract_tests", "mapping_tests", "sink_tests", "source_tests"]
