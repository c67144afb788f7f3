"""AES-256-GCM as the vault uses it: what is sealed opens only with its key, and only for what it was sealed for."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12  # random: a key seals far fewer than the 2^32 texts after which that would be too few (NIST SP 800-38D, 8.3)


class NotOpenedError(Exception):
    """What was sealed does not open: another key, altered bytes, or sealed for something else; it does not tell which."""


def new_key() -> bytes:
    """Return 32 random bytes."""
    return os.urandom(KEY_BYTES)


def derived(key: bytes, purpose: str) -> bytes:
    """Return the key of 32 bytes that `key` is used as for one purpose alone."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"towpath {purpose}".encode()).derive(key)


def seal(key: bytes, plain: bytes, about: Sequence[str]) -> str:
    """Return `plain` sealed for `about`, as base64 of nonce, ciphertext and tag."""
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, _bound(about))).decode()


def unseal(key: bytes, sealed: str, about: Sequence[str]) -> bytes:
    """Return what was sealed with this key for `about`; raises NotOpenedError for anything else."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(about))
    except (binascii.Error, ValueError, InvalidTag):
        raise NotOpenedError from None


def _bound(about: Sequence[str]) -> bytes:
    return json.dumps(list(about)).encode()
