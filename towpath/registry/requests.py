"""What a request to the registry asks for, and how it is answered: in Confluent's words and error codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from aiohttp import web

from towpath.errors import DataError
from towpath.registry.schema import AvroSchema
from towpath.registry.store import LARGEST_ID, Registered, Store, parsed

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
LONGEST_SUBJECT = 400
KINDS: dict[int, type[web.HTTPException]] = {
    400: web.HTTPBadRequest,
    404: web.HTTPNotFound,
    409: web.HTTPConflict,
    422: web.HTTPUnprocessableEntity,
    500: web.HTTPInternalServerError,
}


def answer(content: object) -> web.Response:
    """Return what is told as Confluent's clients expect it."""
    return web.Response(text=json.dumps(content), content_type=CONTENT_TYPE)


def refuse(code: int, message: str) -> NoReturn:
    """End the request with an error code of Confluent's, whose first three digits are the status."""
    raise KINDS[int(str(code)[:3])](text=told(code, message), content_type=CONTENT_TYPE)


def told(code: int, message: str) -> str:
    """Return the body of a refusal."""
    return json.dumps({"error_code": code, "message": message})


def subject_of(request: web.Request) -> str:
    """Return the subject that a path names."""
    subject = request.match_info["subject"]
    if not subject.strip() or len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        raise DataError(f"The specified subject '{subject[:40]}' is not a valid.", field="subject")
    return subject


def version_in(request: web.Request, store: Store) -> Registered:
    """Return the version that a path names."""
    versions = store.versions(subject_of(request), deleted=flag(request, "deleted"))
    if not versions:
        no_subject(request)
    asked = request.match_info["version"]
    if asked in {"latest", "-1"}:
        return versions[max(versions)]
    number = _number(asked)
    if number < 1:
        refuse(42202, f"The specified version '{asked[:40]}' is not a valid version id: it is a number from 1 to 2^31-1, or latest")
    return versions.get(number) or refuse(40402, f"Version {asked} not found.")


def id_in(request: web.Request) -> int:
    """Return the id of a schema that a path names."""
    asked = request.match_info["id"]
    number = _number(asked)
    return number if number >= 0 else refuse(40403, f"Schema {asked[:40]} not found")


def _number(text: str) -> int:
    """Return the number of at most 31 bits that a text writes, -1 where it writes none."""
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) and int(text) <= LARGEST_ID else -1


def no_subject(request: web.Request) -> NoReturn:
    """End a request whose path names a subject that is not there."""
    refuse(40401, f"Subject '{request.match_info['subject']}' not found.")


def full(one: Registered) -> dict[str, Any]:
    """Return all that is told of a version."""
    return {"subject": one.subject, "version": one.version, "id": one.id, "schema": one.text}


async def posted(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that a body holds; a page in a browser cannot send one, unless it says that it is JSON and is asked for that first."""
    if not request.content_type.endswith(("json", "octet-stream")):
        raise web.HTTPUnsupportedMediaType
    try:
        content = json.loads(await request.read())
    except (ValueError, RecursionError):
        refuse(400, "The body is no JSON")
    return content if isinstance(content, dict) else refuse(400, "The body is no JSON object")


async def posted_schema(request: web.Request) -> Callable[[], AvroSchema]:
    """Return how to read the schema that a body holds: that may take a while, and raises DataError."""
    content = await posted(request)
    if content.get("schemaType") not in (None, "AVRO"):
        refuse(42201, f"Invalid schema type {str(content['schemaType'])[:40]}: this registry has AVRO")
    for part in ("references", "metadata", "ruleSet"):
        if content.get(part):
            refuse(42201, f"Invalid schema: this registry has no {part}; write every type into the schema itself")
    text = content.get("schema")
    if not isinstance(text, str) or not text.strip():
        refuse(42201, "Empty schema")
    return lambda: parsed(text)


def flag(request: web.Request, name: str) -> bool:
    """Tell whether a request sets a flag, in whatever case: Python's client writes `True`."""
    return request.query.get(name, "").lower() == "true"


def wanted(request: web.Request, found: Sequence[Registered]) -> list[Registered]:
    """Return the versions that a request asks for: those that are not deleted, or also or only those that are."""
    if flag(request, "deleted_only") or flag(request, "deletedOnly"):
        return [one for one in found if one.deleted]
    return [one for one in found if flag(request, "deleted") or not one.deleted]


def page(request: web.Request, found: list[Any]) -> list[Any]:
    """Return the part of what was found that a request asks for."""
    try:
        offset, limit = (int(request.query.get(name, default)) for name, default in (("offset", "0"), ("limit", "-1")))
    except ValueError:
        refuse(400, "offset and limit are numbers")
    return found[max(0, offset) :][: limit if limit >= 0 else None]
