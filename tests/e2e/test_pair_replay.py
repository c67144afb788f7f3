from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import Plan, place, play, settle
from towpath.demo.report import report, verdict
from towpath.demo.stack import Stack
from towpath.sandbox.bng.system import DUMPS as ERP_STORES
from towpath.sandbox.nopcommerce.system import DUMPS as SHOP_STORES
from towpath.testing.figures import samples_of
from towpath.testing.played import Played, printed

PLAN = Plan("bng-nopcommerce", 20, 7, "none")
MENDED, BAD = 2001, 2002
CHANGED_AT = {"UpdatedAt", "_UpdatedAt", "updated_on_utc"}

Snapshot = dict[str, list[dict[str, Any]]]


def unpolled(content: dict[str, Any]) -> None:
    """Poll nobody, so that whatever is counted after the run comes from a replay."""
    for connection in content["connections"].values():
        connection["poll_seconds"] = None


async def call(url: str, method: str = "GET", body: object = None) -> Any:  # noqa: ANN401 - JSON
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as response:
        response.raise_for_status()
        return await response.json()


async def snapshot(stack: Stack) -> Snapshot:
    """Return all that both systems hold, the mails that the shop sent too; only what they heard and said is left out."""
    stores = [(SHOP, name) for name in SHOP_STORES] + [(ERP, name) for name in ERP_STORES]
    return {f"{system}/{name}": (await call(f"{stack.url(system)}/_sandbox/store/{name}"))["items"] for system, name in stores}


async def counted(stack: Stack) -> Counter[str]:
    """Return what processor and sink have counted: deliveries made and finished as `own`, replays by hop and outcome."""
    found = Counter[str]()
    for role in ("processor", "sink"):
        for sample in await samples_of(stack, role):
            if sample.name == "towpath_replayed_total":
                found[f"{sample.labels['hop']} {sample.labels['outcome']}"] += int(sample.value)
            elif sample.name in {"towpath_routed_total", "towpath_delivered_total", "towpath_dead_letters_total"}:
                found["own"] += int(sample.value)
    return found


async def replayed(stack: Stack, *options: str) -> int:
    """Replay all that ever arrived, and return how many records that were."""
    told = await printed(stack, "replay", "--all", *options)
    await settle(stack)
    return int(told.splitlines()[-1].split()[1])


async def place_bad(stack: Stack) -> None:
    """Place an order that fails at BNG and comes through when its product arrives, and one that stays a dead letter."""
    await place(stack, orders=1, seed=12, first_id=MENDED, bad=["unknown_sku"])
    await place(stack, orders=1, seed=13, first_id=BAD, bad=["bad_email"])
    await settle(stack)
    await call(f"{stack.url(ERP)}/_sandbox/products/GHOST-{MENDED}", "PUT", {})
    await Played(stack).sales_order(MENDED)
    await settle(stack)


async def answers(stack: Stack, target_id: str) -> list[str]:
    """Return what operators are told of two orders, of all dead letters, and of an order's names."""
    asked: list[tuple[str, ...]] = [("trace", str(number)) for number in (1001, MENDED)]
    asked += [("dlq", "list", "--all"), ("xref", ERP, target_id), ("xref", SHOP, f"{SHOP}/order/1001")]
    return [await printed(stack, *question, "--json") for question in asked]


async def test_replaying_everything_changes_neither_system_and_a_deleted_index_answers_as_before(start: Callable[..., Any]) -> None:
    async with start(changes=unpolled) as stack:
        await play(stack, PLAN)
        assert verdict(await report(stack, PLAN), "none") == []
        await place_bad(stack)
        before, own = await snapshot(stack), await counted(stack)
        assert all(before[store] for store in (f"{ERP}/sales_orders", f"{ERP}/inventory", f"{ERP}/shipments", f"{SHOP}/mails"))

        records = await replayed(stack)
        assert before == await snapshot(stack)
        assert records == await replayed(stack)  # a replay is not replayed again
        assert before == await snapshot(stack)
        apart = await counted(stack) - own
        assert sum(count for name, count in apart.items() if name.startswith("processor ")) == 2 * records
        assert apart["processor routed"] == apart["sink unchanged"] + apart["sink found"]
        assert {name for name in apart if not name.startswith("processor ")} == {"sink unchanged", "sink found"}

        assert records == await replayed(stack, "--force")
        assert without_times(before) == without_times(await snapshot(stack))
        forced = await counted(stack) - own - apart
        assert forced["sink found"] > 0
        assert forced["processor routed"] == forced["sink unchanged"] + forced["sink found"]

        (order,) = (order for order in before[f"{ERP}/sales_orders"] if order["ExternalOrderID"] == "SHOP-1001")
        told = await answers(stack, order["SalesOrderID"])
        assert len(told[2].splitlines()) == 2  # one letter is closed, one open
        delete_index(stack)
        assert told == await answers(stack, order["SalesOrderID"])


def delete_index(stack: Stack) -> None:
    """Delete the index's file under the running indexer; the effect ledger has a file of its own."""
    index = Path(str(stack.config().index_url().database))
    assert index.exists()
    for path in (index, index.with_name(f"{index.name}-wal"), index.with_name(f"{index.name}-shm")):
        path.unlink(missing_ok=True)


def without_times(found: Snapshot) -> Snapshot:
    """Return a snapshot without the moments of the last change."""
    return {name: [{field: value for field, value in row.items() if field not in CHANGED_AT} for row in rows] for name, rows in found.items()}
