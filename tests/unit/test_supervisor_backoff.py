from __future__ import annotations

import random

import pytest

from towpath.supervisor import Backoff


@pytest.mark.parametrize(("failures", "step"), [(0, 0.5), (1, 1), (4, 8), (6, 30), (1000, 30)])
def test_the_wait_doubles_up_to_its_cap_with_jitter(failures: int, step: float) -> None:
    backoff = Backoff(random=random.Random(7))
    waits = [backoff.delay(failures) for _ in range(200)]
    assert step / 2 <= min(waits) < max(waits) <= step
