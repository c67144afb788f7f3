"""The 3PL that the sandbox plays keeps to its contract: keys, parts, parcels, and a crew that ships by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from towpath.sandbox.kit.clock import ManualClock, SystemClock
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.testing.waiting import until

CONTRACT = yaml.safe_load((Path(__file__).parents[3] / "schemas" / "http" / "3pl.yaml").read_text(encoding="utf-8"))
REQUEST = {
    "reference": "BP-1",
    "shipTo": {"name": "Ann", "street": "1 Main St", "city": "Austin", "zip": "78701", "country": "US"},
    "lines": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}],
    "service": "standard",
}
PATH = "/v1/fulfilment-requests"


class Threepl:
    """A 3PL and the webhooks that it sent."""

    def __init__(self, client: TestClient[Any, Any], hooks: list[Any]) -> None:
        self.client, self.hooks = client, hooks

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:  # noqa: ANN401 - any JSON
        own = {"Authorization": "Bearer towpath-sandbox-token"} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, path, json=body, headers=own) as answer:
            return answer.status, await answer.json()


def as_the_contract_says(component: str, body: object) -> None:
    schema = {"$ref": f"#/components/schemas/{component}", "components": CONTRACT["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:
        hooks: list[Any] = []

        async def accept(hook: web.Request) -> web.Response:
            hooks.append(json.loads(await hook.read()))
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/hooks", accept)
        hooked = await stack.enter_async_context(TestServer(app))

        async def serve(clock: ManualClock | None = None, **settings: Any) -> Threepl:  # noqa: ANN401 - those of the system
            system = load("threepl")
            values = system.settings.model_validate({"webhook_url": str(hooked.make_url("/hooks")), **settings})
            return Threepl(await stack.enter_async_context(TestClient(TestServer(build(system, tmp_path, values, clock or SystemClock())))), hooks)

        yield serve


async def test_a_key_gives_the_first_answer_again_and_another_body_under_it_is_refused(serve: Any) -> None:  # noqa: ANN401 - the fixture's
    threepl = await serve()
    first, again = [await threepl.ask("POST", PATH, REQUEST, Idempotency_Key="k") for _ in range(2)]
    as_the_contract_says("FulfilmentRequest", first[1])
    assert first == again
    assert (409, "key_reused") == _refused(await threepl.ask("POST", PATH, {**REQUEST, "service": "express"}, Idempotency_Key="k"))
    status, other = await threepl.ask("POST", PATH, REQUEST)
    assert (201, True) == (status, other["id"] != first[1]["id"])


async def test_what_leaves_in_parts_is_confirmed_parcel_by_parcel_and_cannot_be_cancelled(serve: Any) -> None:  # noqa: ANN401 - the fixture's
    threepl = await serve()
    _, request = await threepl.ask("POST", PATH, REQUEST)
    await threepl.ask("POST", "/_sandbox/ship", {"request": request["id"], "parcels": [{"lines": {"A": 1}, "tracking_number": "1Z"}]})
    assert "partially_shipped" == (await threepl.ask("GET", f"{PATH}/{request['id']}"))[1]["status"]
    assert (409, "shipped") == _refused(await threepl.ask("POST", f"{PATH}/{request['id']}/cancel"))
    assert (409, "not_enough") == _refused(await threepl.ask("POST", "/_sandbox/ship", {"request": request["id"], "parcels": [{"lines": {"A": 2}}]}))
    await threepl.ask("POST", "/_sandbox/ship", {"request": request["id"]})
    await until(lambda: _count(threepl, 2), what="two webhooks")
    for hook in threepl.hooks:
        as_the_contract_says("ShipmentConfirmed", hook)
    sent = [line for hook in threepl.hooks for parcel in hook["data"]["parcels"] for line in parcel["lines"]]
    assert {"A": 2, "B": 1} == {sku: sum(line["quantity"] for line in sent if line["sku"] == sku) for sku in ("A", "B")}


async def test_a_crew_ships_everything_by_itself(serve: Any) -> None:  # noqa: ANN401 - the fixture's
    threepl = await serve(ships_after_seconds=0.0, partial=1.0, parcels=1.0)
    _, request = await threepl.ask("POST", PATH, REQUEST)

    async def is_shipped() -> bool:
        return bool((await threepl.ask("GET", f"{PATH}/{request['id']}"))[1]["status"] == "shipped")

    await until(is_shipped, seconds=20, what="all has left")
    assert not (await threepl.ask("GET", "/_sandbox/stats"))[1]["busy"]
    rows = (await threepl.ask("GET", "/_sandbox/store/shipments"))[1]["items"]
    assert 3 == sum(line["quantity"] for row in rows for line in row["lines"])
    assert len(rows) > 1


async def test_nobody_without_the_token_and_nothing_against_the_contract(serve: Any) -> None:  # noqa: ANN401 - the fixture's
    threepl = await serve()
    assert (401, "unauthorized") == _refused(await threepl.ask("POST", PATH, REQUEST, Authorization="Bearer wrong"))
    assert (400, "invalid_body") == _refused(await threepl.ask("POST", PATH, {**REQUEST, "lines": []}))
    assert (404, "not_found") == _refused(await threepl.ask("GET", f"{PATH}/FR-9"))


def _refused(answer: tuple[int, Any]) -> tuple[int, str]:
    as_the_contract_says("Error", answer[1])
    return answer[0], answer[1]["error"]["code"]


async def _count(threepl: Threepl, wanted: int) -> bool:
    return len(threepl.hooks) == wanted
