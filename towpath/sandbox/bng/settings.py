"""What can be set for the BNG server."""

from __future__ import annotations

from pydantic import Field

from towpath.sandbox.kit.settings import Settings


class BngSettings(Settings):
    """BNG limits each credential to 600 calls a minute, 50 at once."""

    requests_per_minute: float | None = Field(default=600, gt=0, description="calls a minute a credential; null is no limit")
    client_id: str = "towpath"
    client_secret: str = "towpath-sandbox-secret"  # noqa: S105 - made up
    api_key: str = "towpath-sandbox-key"
