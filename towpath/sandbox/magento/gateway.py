"""The payment provider behind the shop: it takes and gives back what it is asked to, unless it was told to refuse."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control
from towpath.sandbox.kit.store import Store
from towpath.sandbox.magento.wording import Worded

Doing = Literal["capture", "refund"]


class Refusals(BaseModel):
    """What the provider refuses from now on."""

    model_config = ConfigDict(extra="forbid")
    refuses: list[Doing] = []


class Gateway:
    """The provider of one shop."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def paths(self) -> list[Control]:
        """Return the paths of the provider."""
        return [Control("PUT", "/_sandbox/gateway", self.set)]

    def require(self, doing: Doing) -> None:
        """Raise Refusal(400) where the provider refuses this."""
        known = self._store.get("gateway", "refusals") or {}
        if doing in known.get("refuses", ()):
            raise Worded(400, f"The payment gateway declined the {doing}. Verify and try again.")

    async def set(self, call: Call) -> Answer:
        """Answer `PUT /_sandbox/gateway` with what is refused from now on."""
        given = checked(Refusals, call.json()).model_dump()
        with self._store.transaction():
            self._store.put("gateway", "refusals", given)
        return Answer(body=given)
