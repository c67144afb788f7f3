"""Hops that are slow, narrow, broken or silent."""

from __future__ import annotations

import asyncio

from towpath.chaos.arena import HOOKS, KAFKA, Arena
from towpath.chaos.fault import Fault, Needs
from towpath.chaos.proxy import FAIR, Weather
from towpath.demo.pairs import ERP, SHOP

WEATHERS = (Weather(delay=0.2), Weather(rate=20_000), Weather(reset_after=2_000), Weather(reset_after=0), Weather(silent=True))
EACH_SECONDS = 4.0
HOPS = (ERP, SHOP, HOOKS, KAFKA)


async def every_hop(arena: Arena) -> int:
    """Let each hop have each weather in turn, and return how many connections met it; 0 where a hop carried nothing meanwhile."""
    for hop in HOPS:
        proxy = arena.proxies[hop]
        for weather in WEATHERS:
            proxy.weather = weather
            if weather.reset_after == 0:
                proxy.break_off()
            await asyncio.sleep(EACH_SECONDS)
        proxy.weather = FAIR
        proxy.break_off()  # what was swallowed in the black hole is never answered
    touched = [arena.proxies[hop].touched for hop in HOPS]
    return sum(touched) if all(touched) else 0


FAULTS = (Fault("F24", "latency, a slow link, resets and a black hole on each hop", every_hop, Needs(hops=HOPS)),)
