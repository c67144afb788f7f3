"""What a role of a running stack shows of itself at /metrics, for tests that compare it with what the systems hold."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from towpath.demo.stack import Stack
from towpath.runtime.runfile import read_run_file


async def samples_of(stack: Stack, role: str) -> list[Sample]:
    """Return every sample that the role shows now."""
    found = read_run_file(stack.directory / "data" / "run", role)
    assert found is not None
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{found.health_port}/metrics") as response:
        return [sample for family in text_string_to_metric_families(await response.text()) for sample in family.samples]
