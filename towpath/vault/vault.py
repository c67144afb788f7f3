"""One vault: read at any time by every role, changed by one process at a time."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from towpath.errors import ConfigError
from towpath.failpoints import Failpoints
from towpath.vault.files import one_writer, replace, stamp_of
from towpath.vault.keys import Key, KeyPlace, find_key
from towpath.vault.sealing import NotOpenedError, new_key
from towpath.vault.sheet import FILE, RESTORE, Entry, Sheet, opened_entry, opened_index, read_sheet, sealed_entry, sealed_index

NAME: Final = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
LONGEST_NAME: Final = 64
LARGEST_SECRET: Final = 65_536  # bytes
READS: Final = 5  # file and key are read one after the other, and a rotation changes both


@dataclass(frozen=True, slots=True)
class Held:
    """What an entry holds: its value, and the one before it while that is still to be accepted."""

    value: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    until: datetime | None = None

    @classmethod
    def parsed(cls, plain: bytes) -> Held:
        """Return what `plain` was made from."""
        content = json.loads(plain)
        return cls(content["value"], content["previous"], content["until"] and datetime.fromisoformat(content["until"]))

    def plain(self) -> bytes:
        """Return it as it is sealed."""
        return json.dumps({"value": self.value, "previous": self.previous, "until": self.until and self.until.isoformat()}).encode()

    def at(self, now: datetime) -> Held:
        """Return what it holds at that time."""
        return self if self.until is not None and now < self.until else Held(self.value)


@dataclass(frozen=True, slots=True)
class _Opened:
    sheet: Sheet
    keys: list[Key]
    key: Key
    index: dict[str, str]


@dataclass(frozen=True, slots=True)
class Vault:
    """The vault in `folder`, opened by the keys at `place`; every error names the entry or file at fault and what to do, and no value."""

    folder: Path
    place: KeyPlace
    _known: dict[str, tuple[object, Held]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def make(self) -> None:
        """Make an empty vault, and its key file where there is none; ConfigError where there is a vault already."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the vault's folder {self.folder} cannot be made: {error.strerror}; name another as vault.dir") from None
        with one_writer(self.folder):
            if (self.folder / FILE).exists():
                raise ConfigError(f"there is a vault in {self.folder} already; `towpath vault set` puts secrets into it")
            self.place.make(self.folder)
            self._write(self.place.read(self.folder)[0], secrets.token_hex(16), {}, {})

    def held(self, name: str) -> Held:
        """Return what the entry holds now; ConfigError where it is not there, or is not as it was put there.

        It is opened again when the vault's file or key is another than it was, so that it may be asked for with each call to a system.
        """
        stamp = (stamp_of(self.folder / FILE), self.place.stamp())
        known = self._known.get(name)
        if known is None or known[0] != stamp:
            known = self._known[name] = (stamp, self._held(self._open(), name))
        return known[1]

    def names(self) -> Mapping[str, str]:
        """Return when each entry was set (ISO 8601 UTC), by its name in order; those that were taken out of the file too, with ""."""
        opened = self._open()
        return {name: opened.sheet.entries[name].set_at if name in opened.sheet.entries else "" for name in sorted(opened.index)}

    def set(self, name: str, value: str, now: datetime, *, keep_old: timedelta = timedelta()) -> None:
        """Put a secret in under that name; the one before it is accepted beside it for `keep_old` where whoever reads it takes several."""
        _require_name(name)
        _require_value(value)
        with one_writer(self.folder):
            opened = self._open()
            old = self._held(opened, name).value if keep_old > timedelta() and name in opened.index else None
            held = Held(value) if old is None else Held(value, old, now + keep_old)
            entry = sealed_entry(opened.key, opened.sheet.vault, name, held.plain(), now.isoformat(timespec="seconds"))
            self._write(opened.key, opened.sheet.vault, {**opened.sheet.entries, name: entry}, {**opened.index, name: entry.digest()})

    def remove(self, name: str) -> None:
        """Take an entry out, also one that is damaged; ConfigError where there is none."""
        with one_writer(self.folder):
            opened = self._open()
            if name not in {*opened.index, *opened.sheet.entries}:
                raise ConfigError(_unknown(name, opened))
            entries, index = dict(opened.sheet.entries), dict(opened.index)
            entries.pop(name, None)
            index.pop(name, None)
            self._write(opened.key, opened.sheet.vault, entries, index)

    def rotate(self, now: datetime, failpoints: Failpoints, *, keep_key: bool = False) -> int:
        """Seal every entry anew, with new data keys, and return how many; a new key of the vault takes the place of those before it.

        With `keep_key`, or a key in the environment, the first key of those that are there seals, and none is made or dropped. Whoever reads
        meanwhile finds a key that opens: a new one is there before it seals, an old one until nothing needs it, also where the process is killed.
        """
        with one_writer(self.folder):
            opened = self._open()
            if wrong := [f"{name}: {trouble}" for name, trouble in self._troubles(opened).items() if trouble]:
                raise ConfigError(f"the vault in {self.folder} is not whole, so it is not rotated; {wrong[0]}")
            makes = self.place.kind == "file" and not keep_key
            if not makes and not keep_key and opened.keys[0].id == opened.sheet.key:
                raise ConfigError(
                    f"{self.place} holds no new key: put one before it there, with a comma between, start the roles again, and then rotate; "
                    "or give --keep-key to renew the data keys alone"
                )
            keys = [Key(new_key()), *opened.keys] if makes else opened.keys
            if makes:
                self.place.write(keys)
                failpoints.hit("vault.key_added")
            self._seal_anew(opened, keys[0], now)
            failpoints.hit("vault.sealed")
            if makes:
                self.place.write(keys[:1])
            return len(opened.index)

    def verify(self) -> tuple[dict[str, str], list[str]]:
        """Return what is wrong with each entry ("" where it is whole), by its name, and what else there is to be done."""
        opened = self._open()
        idle = [key.id for key in opened.keys if key.id != opened.sheet.key]
        notes = [
            f"{self.place} holds a key that seals nothing here ({name}): a rotation that is not finished; `towpath vault rotate`" for name in idle
        ]
        return self._troubles(opened), notes

    def keys_for(self, purpose: str) -> list[bytes]:
        """Return the keys as they are used for one purpose outside of the vault's file: the first seals, each may open."""
        opened = self._open()
        first = [opened.key, *(key for key in opened.keys if key.id != opened.key.id)]
        return [key.for_use(purpose) for key in first]

    def _open(self) -> _Opened:
        sheet, keys = read_sheet(self.folder), self.place.read(self.folder)
        for _ in range(READS):
            if (key := find_key(keys, sheet.key)) is not None:
                return _Opened(sheet, keys, key, opened_index(key, sheet, self.folder / FILE))
            sheet, keys = read_sheet(self.folder), self.place.read(self.folder)
        raise ConfigError(
            f"the vault in {self.folder} was sealed with the key {sheet.key}, and {self.place} holds {', '.join(key.id for key in keys)}; "
            f"put the right key there, from its backup"
        )

    def _held(self, opened: _Opened, name: str) -> Held:
        if trouble := _trouble(opened, name):
            raise ConfigError(trouble)
        return Held.parsed(opened_entry(opened.key, opened.sheet.vault, name, opened.sheet.entries[name]))

    def _troubles(self, opened: _Opened) -> dict[str, str]:
        return {name: _trouble(opened, name) for name in sorted({*opened.index, *opened.sheet.entries})}

    def _seal_anew(self, opened: _Opened, key: Key, now: datetime) -> None:
        entries: dict[str, Entry] = {}
        for name, entry in opened.sheet.entries.items():
            plain = self._held(opened, name).at(now).plain()
            entries[name] = sealed_entry(key, opened.sheet.vault, name, plain, entry.set_at)
        self._write(key, opened.sheet.vault, entries, {name: entry.digest() for name, entry in entries.items()})

    def _write(self, key: Key, vault: str, entries: dict[str, Entry], index: dict[str, str]) -> None:
        sheet = Sheet(vault=vault, key=key.id, index=sealed_index(key, vault, index), entries=dict(sorted(entries.items())))
        replace(self.folder / FILE, sheet.model_dump_json(indent=2).encode() + b"\n")


def _trouble(opened: _Opened, name: str) -> str:
    """Return what is wrong with an entry and what to do, "" where nothing is."""
    entry, known = opened.sheet.entries.get(name), opened.index.get(name)
    mend = f"{RESTORE}, or set it again with `towpath vault set {name}`"
    if entry is None:
        return _unknown(name, opened) if known is None else f'the entry "{name}" was taken out of the vault\'s file; {mend}'
    if known is None:
        return f'the entry "{name}" was put into the vault\'s file by other means than `towpath vault set`; {mend}'
    try:
        opened_entry(opened.key, opened.sheet.vault, name, entry)
    except NotOpenedError:
        return f'the entry "{name}" was altered, or swapped with another; {mend}'
    return "" if entry.digest() == known else f'the entry "{name}" is not the one that was set last; {mend}'


def _unknown(name: str, opened: _Opened) -> str:
    close = get_close_matches(name, list(opened.index), n=1)
    near = f'did you mean "{close[0]}"? Else ' if close else ""
    return f'the vault has no entry called "{name[:LONGEST_NAME]}"; {near}set it with `towpath vault set {name[:LONGEST_NAME]}`'


def is_entry_name(name: str) -> bool:
    """Return whether an entry may be called so."""
    return NAME.fullmatch(name) is not None and len(name) <= LONGEST_NAME


def _require_name(name: str) -> None:
    if not is_entry_name(name):
        raise ConfigError(
            f"a name must be small letters and digits with single hyphens, dots or underscores, at most {LONGEST_NAME}, such as erp-key"
        )


def _require_value(value: str) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        size = 0
    if not value.strip() or not 0 < size <= LARGEST_SECRET or "\0" in value:
        raise ConfigError(f"the secret is empty, larger than {LARGEST_SECRET} bytes, or no text; nothing was changed")
