"""What can be set for the Brightpearl server."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from towpath.sandbox.kit.catalogue import STOCK
from towpath.sandbox.kit.settings import Settings

MAIN: Final = 2
"""The warehouse that every account begins with."""


class BrightpearlSettings(Settings):
    """One account of Brightpearl; its webhooks go to `webhook_url` as it stands, and carry no signature."""

    webhook_signed: bool = False
    calls_per_minute: int | None = Field(default=200, ge=1, description="calls in a period of `minute_seconds`; null is no limit")
    account: str = "acme"
    app_ref: str = "acme_towpath"
    account_token: str = "towpath-sandbox-token+/="  # noqa: S105 - made up
    dev_ref: str = "towpath"
    client_id: str = "towpath"
    refresh_token: str = "towpath-sandbox-refresh+/="  # noqa: S105 - made up
    instance_id: int = Field(default=11, ge=1, description="of the instance app that OAuth tokens belong to")
    utc_offset_minutes: int = Field(default=-360, ge=-840, le=840, description="of the account's clock")
    duplicate_answer: Literal["nothing", "id"] = Field(default="nothing", description="what a sales order with a known externalRef is answered")
    id_sets: bool = Field(default=True, description="whether one webhook may tell of several entities")
    stock: dict[int, int] = Field(default={MAIN: STOCK}, min_length=1, description="in stock of each product when the server is new, by warehouse")
