"""What can be set for the Magento server."""

from __future__ import annotations

from pydantic import Field

from towpath.sandbox.kit.settings import Settings


class MagentoSettings(Settings):
    """Magento has no rate limit of its own. The canary card is in every order, so that a leak can be searched for."""

    access_token: str = "towpath-sandbox-token"  # noqa: S105 - made up
    access_token_secret: str = "towpath-sandbox-token-secret"  # noqa: S105 - made up
    consumer_key: str = "towpath-sandbox-consumer"
    consumer_secret: str = "towpath-sandbox-consumer-secret"  # noqa: S105 - made up
    bearer_allowed: bool = Field(default=True, description="oauth/consumer/enable_integration_as_bearer, which is off in a new shop")
    denied: list[str] = Field(default=[], description="paths that the integration has no permission for, by what they begin with after /V1/")
    repeats_last_page: bool = Field(default=True, description="what magento2 issue 26986 tells of: past the end the last page comes again")
    empty_is_null: bool = Field(default=False, description="an empty list's items are null, as in some versions")
    canary_card: str = "4929420573595709"
