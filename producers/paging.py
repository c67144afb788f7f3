"""Lists over HTTP: one page as its items' own texts, and whether a read of many pages saw all that was there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from producers.base import Item
from producers.wire import member
from towpath.errors import DataError, RetryableError
from towpath.http import Answer, ApiClient

THROTTLED_TRIES: Final = 100
NOT_FOUND: Final = 404
_JSON: Final = json.JSONDecoder()


class Listed(NamedTuple):
    """One element of a list: what it is, and its JSON text as it was sent."""

    value: Any
    text: str

    def item(self, item_id: object, changed_at: object, earliest: datetime, part: object = "") -> Item:
        """Return it as an item. One without an id has its content's digest instead: it is written all the same, for the adapter to tell of.

        A time that cannot be read counts as `earliest`, which moves no cursor.
        """
        if isinstance(item_id, bool) or not isinstance(item_id, int | str) or not str(item_id).strip():
            item_id = f"malformed-{hashlib.sha256(self.text.encode('utf-8', 'replace')).hexdigest()[:16]}"
        return Item(item_id, self.text, max(earliest, _moment(changed_at) or earliest), str(part))

    def field(self, name: str) -> object:
        """Return a field of the element, None where it has none or is no object."""
        return self.value.get(name) if isinstance(self.value, dict) else None


class Page(NamedTuple):
    """One page of a list, and how many elements the whole list has."""

    listed: list[Listed]
    total: int


async def read_page(api: ApiClient, path: str, params: Mapping[str, str], total: str) -> Page:
    """Return a page `{"items": […], <total>: n}`; raises RetryableError, or DataError naming the field that makes it no page.

    Where nothing is listed, the items may be null.
    """
    what = f"{api.name}: GET {path}"
    answer = await when_let_through(api, path, params)
    if answer.status == NOT_FOUND:
        raise RetryableError(f"{what}: 404, though a list always exists; is this connection's url right?", system_wide=True)
    try:
        content = json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        raise RetryableError(f"{what}: the answer is not JSON: {error}") from error
    if isinstance(content, dict) and "items" in content and content["items"] is None and content.get(total) == 0:
        return Page([], 0)
    if not isinstance(content, dict) or not isinstance(content.get("items"), list):
        raise DataError(f"{what}: the answer has no list `items`", field="items")
    count = content.get(total)
    if not isinstance(count, int) or isinstance(count, bool):
        raise DataError(f"{what}: the answer has no number `{total}`", field=total, value=str(count))
    return Page(list(_elements(member(answer.text, "items"))), count)


def require_whole(what: str, seen: Collection[object], announced: int | None) -> None:
    """Raise RetryableError where a read saw fewer entities than its first page announced: pages shifted, and it may have skipped some."""
    if announced is not None and len(seen) < announced:
        raise RetryableError(f"{what}: {len(seen)} of {announced} were listed; the list changed while it was read")


def require_another(what: str, page: Sequence[object], before: Sequence[object]) -> None:
    """Raise RetryableError where a page is the one before it once more: a system that repeats its last page would be read for ever."""
    if page and page == before:
        raise RetryableError(f"{what}: the same page of {len(page)} came again where the next was asked for; the list was not read to its end")


def following(answer: Answer) -> dict[str, str]:
    """Return the query of the page that an answer's `Link` names as the next (RFC 8288), an empty one on the last."""
    links = [link for link in answer.headers.get("Link", "").split(",") if 'rel="next"' in link]
    return dict(parse_qsl(urlsplit(links[0].partition("<")[2].partition(">")[0]).query)) if links else {}


async def when_let_through(api: ApiClient, path: str, params: Mapping[str, str]) -> Answer:
    """Call again after being throttled, once the gate lets it through: a long list, begun anew for that, might never be read to its end."""
    for _ in range(THROTTLED_TRIES):
        try:
            return await api.get(path, params)
        except RetryableError as error:
            if not error.throttled:
                raise
    return await api.get(path, params)


def _elements(array: str) -> Iterator[Listed]:
    """Give each element of a JSON array that is known to be well-formed."""
    at = 1
    while True:
        while array[at] in " \t\r\n,":
            at += 1
        if array[at] == "]":
            return
        value, end = _JSON.raw_decode(array, at)
        yield Listed(value, array[at:end])
        at = end


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
