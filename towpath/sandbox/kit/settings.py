"""What can be set for a sandbox server, whichever system it plays."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from towpath.sandbox.kit.faults import FaultSettings


class Settings(BaseModel):
    """Settings that every system has; a system adds its own in a subclass. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: float | None = Field(default=None, gt=0, description="calls a minute a credential; null is no limit")
    burst: int = Field(default=50, ge=1)
    minute_seconds: float = Field(default=60, gt=0, description="the length of the minute of the limit")
    token_seconds: float = Field(default=3600, gt=0)
    webhook_url: str | None = Field(default=None, description="where webhooks go; null sends none")
    webhook_secret: str = Field(default="whsec_dG93cGF0aC1zYW5kYm94LXNlY3JldA==", pattern="^whsec_.+")
    webhook_signed: bool = Field(default=True, description="whether webhooks carry Standard Webhooks headers")
    webhook_retry_seconds: float = Field(default=1.0, gt=0, description="wait before the second try; doubles with each further one")
    webhook_retry_max_seconds: float = Field(default=60.0, gt=0)
    webhook_timeout_seconds: float = Field(default=10.0, gt=0)
    webhook_parallel: int = Field(default=16, ge=1)
    faults: FaultSettings = FaultSettings()
