"""What the sandbox systems of a pair hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from towpath.demo import brightpearl_stores, magento_stores
from towpath.demo.pairs import ERP, SHOP, THREEPL, Pair

CALL_SECONDS = 60.0
SHOP_STORES = ("orders", "webhooks", "products", "shipments", "shipment_items", "mails")
ERP_STORES = ("sales_orders", "customers", "inventory", "shipments")

Rows = Sequence[Mapping[str, Any]]


def session() -> aiohttp.ClientSession:
    """Return what the demonstration calls the sandbox with: no call waits for ever."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))


@dataclass(frozen=True, slots=True)
class Stores:
    """What the systems hold after a run, by the names of their stores, and the faults of both.

    `oversold` are the pieces that the ERP's orders were given beyond what there was to sell at that moment.
    """

    shop: Mapping[str, Rows]
    erp: Mapping[str, Rows]
    oversold: int
    faults: Mapping[str, int]


async def read_stores(pair: Pair, url: Callable[[str], str]) -> Stores:
    """Return what the pair's systems hold, each at the `url` of its connection."""
    async with session() as http:

        async def get(part: str, what: str) -> Any:  # noqa: ANN401 - JSON
            async with http.get(f"{url(pair.name(part))}/_sandbox/{what}") as response:
                response.raise_for_status()
                return await response.json()

        async def dump(part: str, names: Sequence[str]) -> dict[str, Rows]:
            return {name: (await get(part, f"store/{name}"))["items"] for name in names}

        injected = [(await get(part, "faults"))["injected"] for part in pair.settings]
        if pair.shop == "magento":
            shop = magento_stores.as_counted(await dump(SHOP, magento_stores.STORES))
        else:
            shop = await dump(SHOP, SHOP_STORES)
        if pair.erp == "brightpearl":
            threepl = await dump(THREEPL, brightpearl_stores.THREEPL_STORES)
            erp = brightpearl_stores.as_counted(await dump(ERP, brightpearl_stores.STORES), threepl, pair)
        else:
            erp = await dump(ERP, ERP_STORES)
        return Stores(shop, erp, int((await get(ERP, "stats"))["oversold"]), {kind: sum(one[kind] for one in injected) for kind in injected[0]})
