from __future__ import annotations

from typing import Any

import pytest

from producers.receiver import doors
from towpath.config import parse_config
from towpath.errors import ConfigError
from towpath.trying import tried

MISSING = "env:TOWPATH_NO_SUCH"


def document(site: str | None, shop_key: str = MISSING, erp_key: str = MISSING) -> dict[str, Any]:
    def connection(key: str, **more: str) -> dict[str, Any]:
        return {"system": "bng", "url": "http://127.0.0.1:9", "credentials": {"api_key": key}, "webhook_secret": key, **more}

    return {"connections": {"shop": connection(shop_key), "erp": connection(erp_key, site="works")}, **({"site": site} if site else {})}


@pytest.mark.parametrize(("site", "names"), [("works", ["erp"]), (None, ["shop"])])
def test_each_place_has_the_connections_that_are_reached_from_there(site: str | None, names: list[str]) -> None:
    config = parse_config(document(site, "env:HOME", "env:HOME"))
    assert names == list(config.here)
    assert ["shop", "erp"] == list(config.connections)


@pytest.mark.parametrize(("site", "own"), [("works", "erp"), (None, "shop")])
def test_secrets_are_needed_at_their_own_site_alone(site: str | None, own: str) -> None:
    assert [own] == list(parse_config(document(site, **{f"{own}_key": "env:HOME"})).here)
    with pytest.raises(ConfigError, match=rf"connections\.{own}\.credentials\.api_key: the environment variable TOWPATH_NO_SUCH is not set"):
        parse_config(document(site))


@pytest.mark.parametrize("connections", [["a"], "a", None, {"shop": "bng"}, [{"api_key": MISSING}]])
def test_whatever_stands_in_place_of_connections_is_told_and_no_site_is_asked_of_it(connections: object) -> None:
    with pytest.raises(ConfigError, match="connections"):
        parse_config({"connections": connections, "site": "works"})


def test_webhooks_come_in_where_the_connection_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "whsec_dG93cGF0aC1kZW1vLXdlYmhvb2stc2VjcmV0")
    assert ["shop"] == list(doors(parse_config(document(None, "env:HOOK"))))
    assert ["erp"] == list(doors(parse_config(document("works", erp_key="env:HOOK"))))


async def test_credentials_are_tried_from_where_they_are_used() -> None:
    assert ["shop"] == [one.connection for one in await tried(parse_config(document(None, "env:HOME")))]
