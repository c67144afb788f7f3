"""The keys that open a vault: 32 random bytes each, in a file that its owner alone can read, or in the environment; never in the vault's folder."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from towpath.errors import ConfigError
from towpath.vault.files import replace, stamp_of
from towpath.vault.sealing import KEY_BYTES, derived, new_key

OTHERS = stat.S_IRWXG | stat.S_IRWXO
LARGEST_FILE = 65_536
MAKE_ONE = "32 random bytes in base64, such as `openssl rand -base64 32` prints"


@dataclass(frozen=True, slots=True)
class Key:
    """One key; its id tells it from others and tells nothing of it."""

    material: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Return 12 hexadecimal digits."""
        return hashlib.sha256(b"towpath key id" + self.material).hexdigest()[:12]

    def for_use(self, purpose: str) -> bytes:
        """Return what this key is used as for one purpose."""
        return derived(self.material, purpose)


def find_key(keys: Sequence[Key], wanted: str) -> Key | None:
    """Return the key of that id, None where it is not among them."""
    return next((key for key in keys if key.id == wanted), None)


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the keys are: the environment variable ("env") or file ("file", an absolute path) called `name`. It never holds them itself.

    The first key is the one that seals; those after it only open what was sealed before: so a key can be changed while everything runs.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def read(self, vault: Path) -> list[Key]:
        """Return the keys as they are now, at least one; ConfigError says what is wrong with the place or with what it holds."""
        if self.kind == "file":
            return _parsed(self._file(vault), f"the vault's key file {self.name}")
        text = os.environ.get(self.name)
        if text is None:
            raise ConfigError(f"the environment variable {self.name}, which holds the vault's key, is not set; set it where Towpath is started")
        return _parsed(text, f"the environment variable {self.name}, which holds the vault's key,")

    def stamp(self) -> object:
        """Return what is another once the keys were changed."""
        return stamp_of(Path(self.name)) if self.kind == "file" else hash(os.environ.get(self.name))

    def make(self, vault: Path) -> None:
        """Make the key where there is none yet: a file, with a new key in it; the environment is the operator's to set."""
        if self.kind == "file" and not Path(self.name).exists():
            self._require_outside(vault)
            try:
                Path(self.name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"the vault's key file {self.name} cannot be made: {error.strerror}; make its folder, or name another") from None
            self.write([Key(new_key())])
        self.read(vault)

    def write(self, keys: Sequence[Key]) -> None:
        """Put these keys into the file, in one step."""
        path = Path(self.name).resolve()
        text = "".join(f"{base64.b64encode(key.material).decode()}\n" for key in keys)
        replace(path, text.encode(), like=path.stat() if path.exists() else None)

    def _file(self, vault: Path) -> str:
        self._require_outside(vault)
        try:
            descriptor = os.open(self.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                mode = os.fstat(descriptor).st_mode
                content = file.read(LARGEST_FILE) if stat.S_ISREG(mode) else b""
        except FileNotFoundError:
            raise ConfigError(
                f"the vault's key file {self.name} is not there; bring it back from its backup, or for a new vault run `towpath vault init`"
            ) from None
        except OSError as error:
            raise ConfigError(f"the vault's key file {self.name} cannot be read: {error.strerror}; run this as its owner") from None
        if not stat.S_ISREG(mode):
            raise ConfigError(f"the vault's key file {self.name} is no file; name the file that holds the key")
        if mode & OTHERS:
            raise ConfigError(
                f"the vault's key file {self.name} is open to others (mode {stat.S_IMODE(mode):04o}); `chmod 600` it, and if anyone may have "
                "read it, `towpath vault rotate`"
            )
        return content.decode("ascii", "replace")

    def _require_outside(self, vault: Path) -> None:
        if Path(self.name).resolve().is_relative_to(vault.resolve()):
            raise ConfigError(
                f"the vault's key file {self.name} lies in the vault's own folder, where one copy takes both; move it elsewhere and change vault.key"
            )


def _parsed(text: str, what: str) -> list[Key]:
    words = re.split(r"[\s,]+", re.sub(r"#.*", "", text).strip())
    keys = [_key(word, f"{what} is no key (the {place}. word)" if len(words) > 1 else f"{what} is no key") for place, word in enumerate(words, 1)]
    return list(dict.fromkeys(keys))


def _key(word: str, what: str) -> Key:
    try:
        material = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        material = b""
    if len(material) != KEY_BYTES:
        raise ConfigError(f"{what}: it must be {MAKE_ONE}")
    if len(set(material)) == 1:
        raise ConfigError(f"{what}: it is not random; take {MAKE_ONE}")
    return Key(material)
