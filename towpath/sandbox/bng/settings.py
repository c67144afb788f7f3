"""What can be set for the BNG server."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from towpath.sandbox.kit.catalogue import STOCK
from towpath.sandbox.kit.settings import Settings

MAIN: Final = "MAIN"


class BngSettings(Settings):
    """BNG limits each credential to 600 calls a minute, 50 at once."""

    requests_per_minute: float | None = Field(default=600, gt=0, description="calls a minute a credential; null is no limit")
    client_id: str = "towpath"
    client_secret: str = "towpath-sandbox-secret"  # noqa: S105 - made up
    api_key: str = "towpath-sandbox-key"
    stock: dict[str, int] = Field(default={MAIN: STOCK}, min_length=1, description="OnHand of each product when the server is new, by warehouse")
