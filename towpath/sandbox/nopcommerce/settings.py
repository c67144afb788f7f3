"""What can be set for the NopCommerce server."""

from __future__ import annotations

from pydantic import Field

from towpath.sandbox.kit.settings import Settings


class NopSettings(Settings):
    """NopCommerce has no rate limit of its own. The canary card is in every order, so that a leak can be searched for."""

    username: str = "api@shop.example"
    password: str = "towpath-sandbox-password"  # noqa: S105 - made up
    complete_order_when_delivered: bool = Field(default=True, description="the shop's own setting: false completes a paid order when it is shipped")
    canary_card: str = "4929420573595709"
    canary_cvv: str = "901"
