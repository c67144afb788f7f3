"""Secrets that this process uses, struck out of what others say: a system may repeat what it was sent, in an error or in an answer.

Brightpearl does so with a token that it refuses (vendor-apis.md, section 2.1).
"""

from __future__ import annotations

import base64
import html
import json
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "[hidden]"
SHORTEST: Final = 6
"""Characters; what is shorter stands in too many words by chance."""
LONG: Final = 16
"""Characters of a secret that stands nowhere by chance: it may be struck out of business data too."""
MOST: Final = 256  # the oldest are forgotten: tokens that expired

_forms: dict[str, tuple[str, ...]] = {}


def remember(secret: str) -> None:
    """Have this secret hidden from here on, in any of the ways that it is usually written."""
    if secret in _forms or len(secret) < SHORTEST:
        return
    if len(_forms) >= MOST:
        _forms.pop(next(iter(_forms)), None)
    _forms[secret] = _written(secret)


def hide(text: str, *, shortest: int = SHORTEST) -> str:
    """Return `text` without any secret of at least so many characters."""
    for secret, forms in list(_forms.items()):
        if len(secret) >= shortest:
            for form in forms:
                if form in text:
                    text = text.replace(form, HIDDEN)
    return text


def _written(secret: str) -> tuple[str, ...]:
    """Return the ways to write a secret, the longest first."""
    raw = secret.encode("utf-8", "replace")
    plain = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1], html.escape(secret), repr(secret)[1:-1]}
    encoded = {raw.hex(), raw.hex().upper(), *(part for shift in range(3) for part in _in_base64(raw, shift))}
    return tuple(sorted(plain | {part for part in encoded if len(part) >= SHORTEST}, key=len, reverse=True))


def _in_base64(raw: bytes, shift: int) -> tuple[str, str]:
    """Return what base64 makes of `raw` after `shift` other bytes, whatever stands around it: without the digits that others have a part in."""
    padded = bytes(shift) + raw
    first, end = (shift * 8 + 5) // 6, len(padded) * 8 // 6
    return base64.b64encode(padded)[first:end].decode(), base64.urlsafe_b64encode(padded)[first:end].decode()
