"""From SKUs to Brightpearl's product ids, which orders are made of; what was found once is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from towpath.http import ApiClient, gather_all
from towpath.systems.brightpearl import search

MOST_KNOWN: Final = 20_000
_known: OrderedDict[tuple[str, str], int] = OrderedDict()


async def product_ids(api: ApiClient, skus: Iterable[str]) -> Mapping[str, int | None]:
    """Return the product id of each SKU, None where Brightpearl has none."""
    wanted = list(dict.fromkeys(skus))
    missing = [sku for sku in wanted if (api.name, sku) not in _known]
    read_now = dict(zip(missing, await gather_all(*(_find(api, sku) for sku in missing)), strict=True))
    found = {sku: read_now.get(sku, _known.get((api.name, sku))) for sku in wanted}
    for sku, product in read_now.items():
        if product is not None:
            _known[api.name, sku] = product
    while len(_known) > MOST_KNOWN:
        _known.popitem(last=False)
    return found


def forget(api: ApiClient, skus: Iterable[str]) -> bool:
    """Forget these SKUs' ids, which were refused; return whether any was known."""
    return any([_known.pop((api.name, sku), None) is not None for sku in skus])  # noqa: C419 - all of them, not until the first


async def _find(api: ApiClient, sku: str) -> int | None:
    page = await search(api, "/product-service/product-search", {"SKU": sku})
    found = [row["productId"] for row in page.rows if str(row.get("SKU")).strip().casefold() == sku.strip().casefold()]
    return min(found, default=None)
