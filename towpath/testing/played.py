"""A running pair of BNG and NopCommerce as a test plays it: what is done at either system, and what they and the dead letters say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.stack import Stack
from towpath.index.asking import told_letters
from towpath.sandbox.kit.catalogue import catalogue
from towpath.sandbox.nopcommerce.bundle import Bundle, draw
from towpath.sandbox.nopcommerce.settings import NopSettings
from towpath.startup import in_daemon
from towpath.testing.command import ran
from towpath.testing.waiting import until

SEEDS = 5_000
CUSTOMERS = 50
SKUS = {item.number: item.sku for item in catalogue()}

Row = dict[str, Any]


async def printed(stack: Stack, *arguments: str) -> str:
    """Return what an operator's command prints about a stack; one that does not end well fails the test."""
    done = await in_daemon(lambda: ran(*arguments, "--config", str(stack.config_path)))
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True, slots=True)
class Played:
    """The pair of one stack; whatever a system refuses fails the test."""

    stack: Stack

    async def shop(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer of one of the shop's controls, by its path after `/_sandbox/`."""
        return await self._call(SHOP, method, path, body)

    async def erp(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer of one of BNG's controls, by its path after `/_sandbox/`."""
        return await self._call(ERP, method, path, body)

    async def ask(self, name: str, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer of one of a system's controls, by its path after `/_sandbox/`."""
        return await self._call(name, method, path, body)

    async def rows(self, name: str, entity: str, /, **where: object) -> list[Row]:
        """Return what a system holds of an entity, with these values."""
        found = (await self._call(name, "GET", f"store/{entity}", None))["items"]
        return [row for row in found if all(row[field] == value for field, value in where.items())]

    async def row(self, name: str, entity: str, /, **where: object) -> Row:
        """Return the one row with these values."""
        (found,) = await self.rows(name, entity, **where)
        return found

    async def one(self, name: str, entity: str, /, *, seconds: float = 30, **having: object) -> Row:
        """Return the one row of an entity of a system with these values, once it is there."""

        async def is_there() -> bool:
            return bool(await self.rows(name, entity, **having))

        await until(is_there, seconds=seconds, what=f"{entity} at {name} with {having}")
        return await self.row(name, entity, **having)

    def drawn(self, number: int, fits: Callable[[Bundle], bool] = lambda _: True) -> tuple[int, Bundle]:
        """Return the first seed that gives an order of that number that fits, and that order."""
        seed = next(seed for seed in range(SEEDS) if fits(draw(seed, number, CUSTOMERS, "", NopSettings())))
        return seed, draw(seed, number, CUSTOMERS, "", NopSettings())

    async def buy(self, number: int, fits: Callable[[Bundle], bool] = lambda _: True, **more: object) -> Bundle:
        """Place the order of that number, as the first seed gives it that fits, and return it."""
        seed, bundle = self.drawn(number, fits)
        await self.shop("POST", "shopper", {"orders": 1, "seed": seed, "first_id": number, "customers": CUSTOMERS, **more})
        return bundle

    async def sales_orders(self, number: int) -> list[Row]:
        """Return BNG's sales orders of a shop order."""
        return await self.rows(ERP, "sales_orders", ExternalOrderID=f"SHOP-{number}")

    async def sales_order(self, number: int, *, seconds: float = 30, **having: object) -> Row:
        """Return BNG's sales order of a shop order, once it is there with these values."""

        async def is_so() -> bool:
            return any(having.items() <= order.items() for order in await self.sales_orders(number))

        await until(is_so, seconds=seconds, what=f"order {number} at BNG with {having}")
        (order,) = await self.sales_orders(number)
        return order

    async def order(self, number: int, *, seconds: float = 30, **having: object) -> Row:
        """Return the shop's order, once it has these values."""

        async def is_so() -> bool:
            return bool(await self.rows(SHOP, "orders", id=number, **having))

        await until(is_so, seconds=seconds, what=f"order {number} at the shop with {having}")
        return await self.row(SHOP, "orders", id=number)

    async def bought(self, number: int) -> Row:
        """Buy, and return BNG's sales order once Towpath knows of it."""
        await self.buy(number)
        return await self.sales_order(number)

    async def product(self, sku: str, *, seconds: float = 40, **having: object) -> Row:
        """Return the shop's one product of a SKU, once it has these values."""

        async def is_so() -> bool:
            return bool(await self.rows(SHOP, "products", sku=sku, **having))

        await until(is_so, seconds=seconds, what=f"{sku} at the shop with {having}")
        return await self.row(SHOP, "products", sku=sku)

    async def stock(self, sku: str) -> int:
        """Return how many of a product the shop may sell."""
        return int((await self.row(SHOP, "products", sku=sku))["stock_quantity"])

    async def stock_becomes(self, sku: str, quantity: int, *, seconds: float = 30) -> None:
        """Return once the shop may sell so many of a product."""

        async def is_so() -> bool:
            return await self.stock(sku) == quantity

        await until(is_so, seconds=seconds, what=f"stock of {sku} at the shop is {quantity}")

    async def available(self, sku: str) -> int:
        """Return how many of a product BNG has available, in all its warehouses."""
        return sum(int(row["Available"]) for row in await self.rows(ERP, "inventory", SKU=sku))

    async def becomes(self, asked: Callable[[], Awaitable[object]], wanted: object, *, seconds: float = 30) -> None:
        """Return once what is asked for is what is wanted."""
        found: object = None

        async def is_so() -> bool:
            nonlocal found
            found = await asked()
            return found == wanted

        try:
            await until(is_so, seconds=seconds, what=f"{asked.__name__} is {wanted!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {found!r}") from None

    async def change_erp(self, order: str, **changes: object) -> None:
        """Change a sales order as BNG's own staff would."""
        await self.erp("PATCH", f"sales-orders/{order}", changes)

    async def letters(self, key: str) -> list[Mapping[str, Any]]:
        """Return the open dead letters and parked records of a business key, oldest first."""
        told = await in_daemon(lambda: told_letters(self.stack.config()))
        return [letter for letter in told if letter["business_key"] == key]

    async def letter(self, key: str, *, seconds: float = 30, **having: object) -> Mapping[str, Any]:
        """Return the one open dead letter or parked record of a business key with these values, once it is there."""

        async def found() -> list[Mapping[str, Any]]:
            return [letter for letter in await self.letters(key) if having.items() <= letter.items()]

        async def is_there() -> bool:
            return bool(await found())

        await until(is_there, seconds=seconds, what=f"a dead letter of {key} with {having}")
        (letter,) = await found()
        return letter

    async def command(self, *arguments: str) -> str:
        """Return what an operator's command prints."""
        return await printed(self.stack, *arguments)

    async def outcomes(self, number: int, hop: str) -> list[str]:
        """Return what became of a shop order and all that came of it at a hop, oldest first, by `towpath trace`."""
        steps = map(json.loads, (await self.command("trace", f"{SHOP}/order/{number}", "--json")).splitlines())
        return [step["what"] for step in steps if step["hop"] == hop]

    @asynccontextmanager
    async def faults(self, name: str, **rates: object) -> AsyncIterator[None]:
        """Dial faults at a system while entered."""
        await self._call(name, "PUT", "faults", rates)
        try:
            yield
        finally:
            await self._call(name, "PUT", "faults", {})

    async def struck(self, name: str, kind: str, times: int = 1) -> None:
        """Return once a fault has happened at a system so often more than when this was asked."""
        before = (await self._call(name, "GET", "faults", None))["injected"][kind]

        async def is_so() -> bool:
            return bool((await self._call(name, "GET", "faults", None))["injected"][kind] >= before + times)

        await until(is_so, seconds=60, what=f"{kind} at {name}")

    async def _call(self, name: str, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        url = f"{self.stack.url(name)}/_sandbox/{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as response:
            assert response.status < 300, await response.text()  # noqa: PLR2004 - 2xx
            return await response.json()
