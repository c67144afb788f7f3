"""How to talk to the slow target (benchmarks/slow_target.py): no credentials, the usual statuses."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from pydantic import BaseModel, ConfigDict

from towpath.config import Connection
from towpath.dialect import USUAL, Dialect, refusal_of
from towpath.http import Authoriser

DIALECT = Dialect(USUAL, refusal_of)


class Credentials(BaseModel):
    """It asks for none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Nobody:
    async def headers(self, _session: aiohttp.ClientSession) -> Mapping[str, str]:
        return {}

    def forget(self, _refused: Mapping[str, str]) -> None:
        return


def authoriser(_connection: Connection) -> Authoriser:
    """Return what adds nothing to a call."""
    return _Nobody()
