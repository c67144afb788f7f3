"""The slow target as a target: it knows an effect by our own key, so one call is enough; the ledger stands before it all the same."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.base import Document, Operation, Standing, Update
from towpath.http import ApiClient


async def _nothing(_api: ApiClient, _document: Document) -> Standing | None:
    return None


async def _put(api: ApiClient, document: Document) -> Standing:
    answer = await api.write("POST", "/things", document)
    return Standing(str(answer.json()["Id"]))


class SlowTarget:
    """One operation, done once for each key."""

    operations: Mapping[str, Operation | Update] = {"put_thing": Operation(_nothing, _put)}
    creates: Mapping[str, str] = {}


TARGET = SlowTarget()
