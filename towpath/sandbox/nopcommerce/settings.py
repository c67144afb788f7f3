"""What can be set for the NopCommerce server."""

from __future__ import annotations

from towpath.sandbox.kit.settings import Settings


class NopSettings(Settings):
    """NopCommerce has no rate limit of its own. The canary card is in every order, so that a leak can be searched for."""

    username: str = "api@shop.example"
    password: str = "towpath-sandbox-password"  # noqa: S105 - made up
    canary_card: str = "4929420573595709"
    canary_cvv: str = "901"
