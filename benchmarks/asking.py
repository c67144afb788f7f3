"""Asking the benchmarks' own servers over HTTP."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

SECONDS = 10.0


def ask(url: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON that a server of 127.0.0.1 answers, None for an empty answer; with a body it is a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - 127.0.0.1
    with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - 127.0.0.1
        text = response.read()
    return json.loads(text) if text else None
