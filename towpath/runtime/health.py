"""How a role says that it lives and is ready, and the server that answers for it."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

from towpath.errors import ConfigError
from towpath.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Check:
    """One named check as it stands now."""

    ok: bool
    detail: str = ""


@dataclass(slots=True)
class Health:
    """The named checks of one role: it lives while no live check fails, and is ready once it set a ready check and none fails."""

    live: dict[str, Check] = field(default_factory=dict)
    ready: dict[str, Check] = field(default_factory=dict)

    def set_live(self, name: str, ok: bool, detail: str = "") -> None:  # noqa: FBT001  # reads as a statement
        """Say whether `name` works; what fails here asks for a restart."""
        self.live[name] = Check(ok, detail)

    def set_ready(self, name: str, ok: bool, detail: str = "") -> None:  # noqa: FBT001  # reads as a statement
        """Say whether `name` can take work; what fails here asks for patience."""
        self.ready[name] = Check(ok, detail)

    @property
    def is_live(self) -> bool:
        """Whether no live check fails."""
        return all(check.ok for check in self.live.values())

    @property
    def is_ready(self) -> bool:
        """Whether the role lives, and every ready check (at least one) holds."""
        return self.is_live and bool(self.ready) and all(check.ok for check in self.ready.values())


class HealthServer:
    """Serves /healthz, /readyz and /metrics while it is entered; `port` is then the real one."""

    def __init__(self, role: str, health: Health, metrics: Metrics, *, host: str, port: int) -> None:
        self._role, self._health, self._metrics = role, health, metrics
        self.host, self.port = host, port
        app = web.Application()
        app.add_routes([web.get("/healthz", self._live), web.get("/readyz", self._ready), web.get("/metrics", self._figures)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise ConfigError(
                f"health.{self._role}: {self.host}:{self.port} {what}; end what uses it, or set another port (0: any free one)"
            ) from None
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._runner.cleanup()

    async def _live(self, _request: web.Request) -> web.Response:
        return self._answer(self._health.live, ok=self._health.is_live)

    async def _ready(self, _request: web.Request) -> web.Response:
        return self._answer({**self._health.live, **self._health.ready}, ok=self._health.is_ready)

    async def _figures(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": "text/plain; version=1.0.0; charset=utf-8"})

    def _answer(self, checks: dict[str, Check], *, ok: bool) -> web.Response:
        body = {"role": self._role, "ok": ok, "checks": {name: {"ok": check.ok, "detail": check.detail} for name, check in checks.items()}}
        return web.json_response(body, status=200 if ok else 503)
