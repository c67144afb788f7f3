"""The REST API of Confluent's registry, as far as its clients for Avro use it.

Source: docs.confluent.io, "Schema Registry API Reference"; confluent_kafka/schema_registry/_sync/schema_registry_client.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiohttp import web

from towpath.errors import ConfigError, DataError, RetryableError
from towpath.registry.requests import (
    CONTENT_TYPE,
    answer,
    flag,
    full,
    id_in,
    no_subject,
    page,
    posted,
    posted_schema,
    refuse,
    subject_of,
    told,
    version_in,
    wanted,
)
from towpath.registry.service import Registry, conflicts
from towpath.registry.store import Registered, level_of
from towpath.startup import in_daemon

LARGEST_BODY = 1_000_000  # bytes; with its key it fits into one record of the topic
INVALID = {"schema": 42201, "compatibility": 42203, "subject": 42208}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger(__name__)


def application(registry: Registry) -> web.Application:
    """Return the API over a registry."""
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_in_confluents_shape])
    app.add_routes(Api(registry).routes())
    return app


@web.middleware
async def _in_confluents_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.content_type != CONTENT_TYPE:  # aiohttp's own: no such path, another method, too large a body
            error.text = told(error.status, f"HTTP {error.status} {error.reason}")
            error.content_type = CONTENT_TYPE
        raise
    except DataError as error:
        refuse(INVALID.get(error.field, 422), str(error))
    except (RetryableError, ConfigError) as error:
        log.warning("a request was not answered", path=request.path, reason=str(error))
        refuse(50001, f"Error in the backend data store - {error}")
    except Exception:
        log.exception("a request failed", path=request.path)
        refuse(500, "Internal Server Error")


class Api:
    """The handlers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def routes(self) -> list[web.RouteDef]:
        """Return every path that is answered."""
        subject, version = "/subjects/{subject}", "/versions/{version}"
        return [
            web.get("/", self._root),
            web.get("/subjects", self._subjects),
            web.post(subject, self._look_up),
            web.delete(subject, self._delete_subject),
            web.get(f"{subject}/versions", self._versions),
            web.post(f"{subject}/versions", self._register),
            web.get(f"{subject}{version}", self._version),
            web.delete(f"{subject}{version}", self._delete_version),
            web.get(f"{subject}{version}/schema", self._version_text),
            web.get("/schemas/types", self._types),
            web.get("/schemas/ids/{id}", self._schema),
            web.get("/schemas/ids/{id}/schema", self._schema_text),
            web.get("/schemas/ids/{id}/subjects", self._subjects_of),
            web.get("/schemas/ids/{id}/versions", self._versions_of),
            web.post(f"/compatibility{subject}{version}", self._compatibility),
            web.post(f"/compatibility{subject}/versions", self._compatibility),
            *(route(f"/config{of}", handler) for of in ("", "/{subject}") for route, handler in self._config_routes()),
            *(web.get(f"/mode{of}", self._mode) for of in ("", "/{subject}")),
            *(web.put(f"/mode{of}", self._no_mode) for of in ("", "/{subject}")),
        ]

    def _config_routes(self) -> Sequence[tuple[Callable[..., web.RouteDef], Handler]]:
        return [(web.get, self._level), (web.put, self._set_level), (web.delete, self._drop_level)]

    async def _root(self, _request: web.Request) -> web.Response:
        return answer({})

    async def _types(self, _request: web.Request) -> web.Response:
        return answer(["AVRO"])

    async def _subjects(self, request: web.Request) -> web.Response:
        prefix, store = request.query.get("subjectPrefix", ""), self._registry.store
        found = [name for name in sorted(store.subjects) if name.startswith(prefix) and wanted(request, list(store.subjects[name].values()))]
        return answer(page(request, found))

    async def _versions(self, request: web.Request) -> web.Response:
        found = list(self._registry.store.versions(subject_of(request), deleted=True).values())
        versions = wanted(request, found)
        if not versions:
            no_subject(request)
        return answer(page(request, [one.version for one in versions]))

    async def _version(self, request: web.Request) -> web.Response:
        return answer(full(version_in(request, self._registry.store)))

    async def _version_text(self, request: web.Request) -> web.Response:
        return web.Response(text=version_in(request, self._registry.store).text, content_type=CONTENT_TYPE)

    async def _schema(self, request: web.Request) -> web.Response:
        return answer({"schema": await self._text(request)})

    async def _schema_text(self, request: web.Request) -> web.Response:
        return web.Response(text=await self._text(request), content_type=CONTENT_TYPE)

    async def _subjects_of(self, request: web.Request) -> web.Response:
        return answer(sorted({one.subject for one in await self._having(request)}))

    async def _versions_of(self, request: web.Request) -> web.Response:
        return answer([{"subject": one.subject, "version": one.version} for one in await self._having(request)])

    async def _register(self, request: web.Request) -> web.Response:
        subject, schema = subject_of(request), await posted_schema(request)
        registered = await in_daemon(lambda: self._registry.register(subject, schema()))
        if not isinstance(registered, Registered):
            details = ", ".join(f"{{{reason}}}" for reason in registered)
            refuse(409, f'Schema being registered is incompatible with an earlier schema for subject "{subject}", details: [{details}]')
        return answer({"id": registered.id, "version": registered.version})

    async def _look_up(self, request: web.Request) -> web.Response:
        subject, schema = subject_of(request), await posted_schema(request)
        if not self._registry.store.versions(subject, deleted=flag(request, "deleted")):
            no_subject(request)
        found = self._registry.store.find(subject, await in_daemon(schema), deleted=flag(request, "deleted"))
        return answer(full(found)) if found is not None else refuse(40403, "Schema not found")

    async def _delete_subject(self, request: web.Request) -> web.Response:
        subject = subject_of(request)
        if flag(request, "permanent"):
            refuse(42205, "This registry forgets no schema: records that were written with it may still be read")
        gone = await in_daemon(lambda: self._registry.delete(subject))
        return answer(gone) if gone else no_subject(request)

    async def _delete_version(self, request: web.Request) -> web.Response:
        one = version_in(request, self._registry.store)
        if flag(request, "permanent"):
            refuse(42205, "This registry forgets no schema: records that were written with it may still be read")
        await in_daemon(lambda: self._registry.delete(one.subject, one.version))
        return answer(one.version)

    async def _compatibility(self, request: web.Request) -> web.Response:
        store, subject, schema = self._registry.store, subject_of(request), await posted_schema(request)
        one = [version_in(request, self._registry.store).version] if "version" in request.match_info else None
        found = await in_daemon(lambda: conflicts(store, subject, schema(), one))
        return answer({"is_compatible": not found} | ({"messages": found} if flag(request, "verbose") else {}))

    async def _level(self, request: web.Request) -> web.Response:
        subject = request.match_info.get("subject")
        level = self._registry.store.level() if subject is None else self._registry.store.own_level(subject_of(request))
        if level is None and not flag(request, "defaultToGlobal"):
            refuse(40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return answer({"compatibilityLevel": level or self._registry.store.level()})

    async def _set_level(self, request: web.Request) -> web.Response:
        subject = subject_of(request) if "subject" in request.match_info else None
        level = level_of((await posted(request)).get("compatibility"))
        await in_daemon(lambda: self._registry.set_level(subject, level))
        return answer({"compatibility": level})

    async def _drop_level(self, request: web.Request) -> web.Response:
        subject = subject_of(request) if "subject" in request.match_info else None
        level = self._registry.store.own_level(subject) if subject is not None else self._registry.store.level()
        if level is None:
            refuse(40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        await in_daemon(lambda: self._registry.set_level(subject, None))
        return answer({"compatibilityLevel": level})

    async def _mode(self, _request: web.Request) -> web.Response:
        return answer({"mode": "READWRITE"})

    async def _no_mode(self, _request: web.Request) -> web.Response:
        refuse(42205, "This registry has the mode READWRITE and no other")

    async def _text(self, request: web.Request) -> str:
        """Return the schema whose id a path names."""
        schema_id = id_in(request)
        text = self._registry.store.texts.get(schema_id) or await in_daemon(lambda: self._registry.schema(schema_id))
        return text or refuse(40403, f"Schema {schema_id} not found")

    async def _having(self, request: web.Request) -> list[Registered]:
        await self._text(request)
        found = list(self._registry.store.having(id_in(request)))
        return [one for one in found if flag(request, "deleted") or not one.deleted]
