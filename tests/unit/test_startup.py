from __future__ import annotations

import pytest

from towpath.startup import in_daemon


async def test_what_ends_a_thread_reaches_whoever_awaits_it_also_a_stop_iteration() -> None:
    assert await in_daemon(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_daemon(lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await in_daemon(lambda: next(iter(())))
