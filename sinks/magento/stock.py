"""Stock at a shop with multi-source inventory, whose quantity is physical.

A sale reserves there, and only its shipment takes from the source; what can be sold is the sources less the reservations. Towpath knows how many
may be sold (processors/stock.py, as for a shop that takes stock at checkout), so the source is given what is missing to that: on-hand less the
allocations that no reservation of the shop covers, by whichever orders are open there just now. A number that had only subtracted open orders
would count them twice. The quantity written is absolute: once more changes nothing.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Final

from sinks.base import Document, Standing
from sinks.magento.shop import Shop, text, whole
from towpath.errors import RetryableError
from towpath.http import ApiClient

LARGEST_VERSION: Final = 2**63 - 1


async def set_stock(api: ApiClient, document: Document, known: int | None) -> tuple[bool, Standing]:
    """Have as many salable as the document says (`Salable`), by the quantity in one source.

    What is sold between the two reads makes the quantity smaller by it, never larger: the salable number is read first. What is shipped before
    the write is overwritten, so more is salable then than is wanted: that is read back, and all is done again (RetryableError). Where our number
    has not risen since the one that stands (`RaisedAt`), a lower one of the shop's is what it has sold since: it is left.
    """
    shop, sku, source = Shop(api), text(document, "SKU"), text(document, "SourceCode")
    wanted, raised_at = whole(document, "Salable", 0), whole(document, "RaisedAt", 0, LARGEST_VERSION)
    stock = whole(document, "StockID", 1)
    salable = await shop.salable(sku, stock)
    lies = await shop.in_source(sku, source)
    standing = Standing(f"{source}/{sku}"[:200])
    sold_since = known is not None and known >= raised_at and salable < wanted
    quantity = max(0, int(((lies or Decimal(0)) + wanted - salable).to_integral_value(ROUND_FLOOR)))
    if sold_since or (lies is not None and quantity == lies):
        return False, standing
    await shop.put_in_source(sku, source, quantity)
    if quantity and await shop.salable(sku, stock) > wanted:
        raise RetryableError(f"{shop.name}: stock of {sku} moved while it was set")
    return True, standing
