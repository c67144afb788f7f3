"""How much each benchmark does: all of it, or a quick look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """The size of each benchmark; `rounds` are how often each contestant runs."""

    rounds: int = 3
    receiver_seconds: float = 10.0
    processor_events: int = 200_000
    processor_pairs: bool = True
    """Whether two workers are measured beside one."""
    sink_events: int = 20_000
    sink_keys: int = 2_000
    latency_seconds: float = 60.0
    state_keys: int = 1_000_000
    demo_orders: int = 200
    burst_orders: int = 500
    ledger_effects: int = 20_000
    redriven: int = 5_000
    overload_events: int = 5_000


FULL = Sizes()
QUICK = Sizes(
    rounds=1,
    receiver_seconds=3.0,
    processor_events=20_000,
    processor_pairs=False,
    sink_events=4_000,
    sink_keys=400,
    latency_seconds=5.0,
    state_keys=50_000,
    demo_orders=20,
    burst_orders=60,
    ledger_effects=2_000,
    redriven=500,
    overload_events=60,
)
