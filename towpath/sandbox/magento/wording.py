"""How Magento words a refusal: a template, and its parameters beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from towpath.sandbox.kit.messages import Answer, Refusal

NO_ROUTE: Final = "Request does not match any route."
NOT_THERE: Final = "The product that was requested doesn't exist. Verify the product and try again."
SHIPMENT: Final = "Shipment Document Validation Error(s):\n"


class Worded(Refusal):
    """A refusal in Magento's own words; parameters are a list for `%1`, an object for `%fieldName`."""

    def __init__(self, status: int, message: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> None:
        super().__init__(status, "magento", message)
        self.parameters = parameters


def no_such(field: str, value: object) -> Worded:
    """Return what NoSuchEntityException becomes."""
    return Worded(404, "No such entity with %fieldName = %fieldValue", {"fieldName": field, "fieldValue": value})


def refuse(refusal: Refusal) -> Answer:
    """Return the refusal as REST words it; what the web server in front refuses is no JSON."""
    if isinstance(refusal, Worded):
        body: dict[str, Any] = {"message": refusal.message}
        return Answer(refusal.status, {**body, "parameters": refusal.parameters} if refusal.parameters else body, refusal.headers)
    if refusal.status == 503:  # noqa: PLR2004 - from nginx or a CDN
        return Answer(503, "<html><head><title>503 Service Temporarily Unavailable</title></head></html>", refusal.headers)
    if refusal.status == 429:  # noqa: PLR2004 - the same
        return Answer(429, {"message": "Too Many Requests", "trace": None}, refusal.headers)
    return Answer(refusal.status, {"message": NO_ROUTE if refusal.code == "not_found" else refusal.message}, refusal.headers)
