"""Customers at Brightpearl over HTTP: contacts that are found or made, patched, and given addresses of their own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy.engine import URL

from sinks.brightpearl import TARGET
from sinks.effector import Effector
from sinks.effects import Effected
from tests.unit.sinks.conftest import PATIENCE, Played
from towpath.config.connections import Connection
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Ledger
from towpath.delivery.reviewing import DUPLICATE
from towpath.errors import DataError, OutcomeUnknownError
from towpath.metrics import Metrics
from towpath.systems.base import connect
from towpath.testing.clock import VirtualClock

KEY = "shop/customer/7"
HOME = {"addressLine1": "Hauptstraße 5", "addressLine2": "Hof 2", "addressLine3": "Berlin", "postalCode": "10115", "countryIsoCode": "DE"}
AWAY = {"addressLine1": "1 High St", "addressLine2": "", "addressLine3": "Leeds", "postalCode": "LS1 4AP", "countryIsoCode": "GB"}
WANTED = {"FirstName": "Zoë", "LastName": "Müller", "Email": "zoe@shop.example", "Company": "", "BillingAddress": HOME, "ShippingAddress": HOME}
REFERENCE = {"$ref": "address", "key": KEY}
NEW = {
    "firstName": "Zoë",
    "lastName": "Müller",
    "postAddressIds": dict.fromkeys(("DEF", "BIL", "DEL"), REFERENCE),
    "communication": {"emails": {"PRI": {"email": "zoe@shop.example"}}},
}
ALIKE = {"Confidence": 0.8}


class Sink:
    """The sink that writes to the account."""

    def __init__(self, played: Played, ledger: Ledger, clock: VirtualClock) -> None:
        url = str(played.client.make_url("/public-api/acme"))
        credentials = {"app_ref": "acme_towpath", "account_token": "towpath-sandbox-token+/="}
        connection = Connection.model_validate({"system": "brightpearl", "url": url, "credentials": credentials})
        self.clock, self.played, self.api = clock, played, connect("to", connection, clock, Metrics())
        self._effector = Effector("to", TARGET, self.api, ledger, PATIENCE, clock)

    async def put(self, wanted: Any, expected: Any = None, *, version: int = 1, match: object = ALIKE) -> Effected:  # noqa: ANN401 - documents
        document = {"Customer": {"$ref": "customer", "key": KEY}, "Wanted": wanted, "Expected": expected, "Fills": False}
        related = {f"customer {KEY}": json.dumps({**wanted, **NEW, "Match": match}), f"address {KEY}": json.dumps(HOME)}
        return await self._effector.apply("put_customer", KEY, document, related, (version, 0))

    async def contact(self) -> dict[str, Any]:
        rows = await self.played.rows("contacts")
        [row] = [row for row in rows if row["communication"]["emails"].get("PRI", {}).get("email", "").casefold() == "zoe@shop.example"]
        return dict(row)

    async def address(self, kind: str) -> dict[str, Any]:
        ids = (await self.contact())["postAddressIds"]
        [row] = [row for row in await self.played.rows("addresses") if row["addressId"] == ids[kind]]
        return dict(row)


@pytest.fixture
async def sink(play: Callable[[str], Awaitable[Played]], tmp_path: Any) -> Any:  # noqa: ANN401 - a generator
    clock = VirtualClock()
    ledger = Ledger(open_engine(URL.create("sqlite", database=str(tmp_path / "towpath.db"))), clock, "one")
    sink = Sink(await play("brightpearl"), ledger, clock)
    yield sink
    await sink.api.close()
    await ledger.close()


async def test_a_new_contact_is_made_with_its_address(sink: Sink) -> None:
    await sink.put(WANTED)
    assert ["POST contact-service/postal-address", "POST contact-service/contact"] == sink.played.sent("POST", "PUT", "PATCH")
    made = await sink.contact()
    assert ("Zoë", "Müller", "Berlin") == (made["firstName"], made["lastName"], (await sink.address("BIL"))["addressLine3"])


async def test_names_and_e_mail_are_one_call_and_what_stands_is_none(sink: Sink) -> None:
    await sink.put(WANTED)
    sink.played.calls.clear()
    changed = {**WANTED, "FirstName": "Zoe", "LastName": "Meier"}
    await sink.put(changed, WANTED, version=2)
    await sink.put(changed, changed, version=3)
    number = (await sink.contact())["contactId"]
    assert [f"PATCH contact-service/contact/{number}"] == sink.played.sent("POST", "PUT", "PATCH")
    assert ("Zoe", "Meier") == ((await sink.contact())["firstName"], (await sink.contact())["lastName"])


async def test_an_address_that_is_others_too_is_not_changed_but_a_new_one_given(sink: Sink) -> None:
    await sink.put(WANTED)
    await sink.put({**WANTED, "ShippingAddress": AWAY}, WANTED, version=2)
    assert ("Berlin", "Leeds") == ((await sink.address("BIL"))["addressLine3"], (await sink.address("DEL"))["addressLine3"])
    sink.played.calls.clear()
    further = {**AWAY, "addressLine1": "2 High St"}
    await sink.put({**WANTED, "ShippingAddress": further}, {**WANTED, "ShippingAddress": AWAY}, version=3)
    assert [f"PUT contact-service/postal-address/{(await sink.contact())['postAddressIds']['DEL']}"] == sink.played.sent("POST", "PUT", "PATCH")
    assert "2 High St" == (await sink.address("DEL"))["addressLine1"]


async def test_a_name_that_is_cut_there_is_written_once(sink: Sink) -> None:
    long = {**WANTED, "LastName": "von und zu " * 4}
    await sink.put(WANTED)
    await sink.put(long, WANTED, version=2)
    sink.played.calls.clear()
    await sink.put(long, long, version=3)
    assert ([], 32) == (sink.played.sent("PATCH"), len((await sink.contact())["lastName"]))


async def test_a_company_cannot_be_changed_and_that_is_said(sink: Sink) -> None:
    await sink.put(WANTED)
    sink.played.calls.clear()
    effected = await sink.put({**WANTED, "Company": "Oak Ltd"}, WANTED, version=2)
    assert ([], "cannot be changed there: Company") == (sink.played.sent("POST", "PUT", "PATCH"), effected.reason)


async def test_one_who_may_be_the_same_is_asked_about_and_another_is_made_where_somebody_says_so(sink: Sink) -> None:
    bob = {"firstName": "Bob", "lastName": "Stone", "communication": {"emails": {"PRI": {"email": "zoe@shop.example"}}}}
    await sink.played.control("PUT", "contacts/250", bob)
    with pytest.raises(DataError) as caught:
        await sink.put(WANTED)
    assert (DUPLICATE, "250") == (caught.value.field, caught.value.value)
    assert "250" != (await sink.put(WANTED, version=2, match=False)).external_id


async def test_one_who_is_made_after_somebody_said_so_is_found_where_the_answer_is_lost_and_made_once(sink: Sink) -> None:
    zoe = {"communication": {"emails": {"PRI": {"email": "zoe@shop.example"}}}}
    for contact, names in ((250, {"firstName": "Bob", "lastName": "Stone"}), (251, {"firstName": "Zoë", "lastName": "Müller"})):
        await sink.played.control("PUT", f"contacts/{contact}", {**zoe, **names})
    rejected = {"Not": ["250", "251"]}
    sink.played.cut("POST contact-service/contact", "lost")
    with pytest.raises(OutcomeUnknownError):
        await sink.put(WANTED, match=rejected)
    await sink.clock.advance(PATIENCE.settle)
    found = (await sink.put(WANTED, match=rejected)).external_id
    made = [row for row in await sink.played.rows("contacts") if row["communication"]["emails"].get("PRI", {}).get("email") == "zoe@shop.example"]
    assert {"250", "251"} < {str(row["contactId"]) for row in made}
    assert 3 == len(made), "one is made, not two"
    assert found not in {"250", "251"}


async def test_a_contact_that_was_merged_away_is_found_or_made_again(sink: Sink) -> None:
    first = (await sink.put(WANTED)).external_id
    await sink.played.control("DELETE", f"contacts/{first}")
    assert first != (await sink.put({**WANTED, "LastName": "Meier"}, WANTED, version=2)).external_id
    assert "Meier" == (await sink.contact())["lastName"]


@pytest.mark.parametrize("body", ["{}", '{"response":[]}'])
async def test_an_answer_that_is_no_contact_is_none(sink: Sink, body: str) -> None:
    await sink.put(WANTED)
    sink.played.answers["GET contact-service/contact/"] = web.Response(text=body)
    with pytest.raises(DataError):
        await sink.put({**WANTED, "LastName": "Meier"}, WANTED, version=2, match="250")
