"""What can be set for the 3PL's server."""

from __future__ import annotations

from pydantic import Field

from towpath.sandbox.kit.settings import Settings

DAY = 86_400.0


class ThreeplSettings(Settings):
    """One 3PL; where `ships_after_seconds` is null, only a control ships."""

    token: str = "towpath-sandbox-token"  # noqa: S105 - made up
    key_seconds: float = Field(default=DAY, gt=0, description="for how long an Idempotency-Key is honoured")
    ships_after_seconds: float | None = Field(default=None, ge=0, description="from a request to its shipment, and from one part to the next")
    partial: float = Field(default=0.3, ge=0, le=1, description="share of the requests that leave in two shipments, where they have two pieces")
    parcels: float = Field(default=0.2, ge=0, le=1, description="share of the shipments that are two parcels, where they have two pieces")
    seed: int = 0
