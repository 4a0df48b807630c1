"""API keys: made once, kept as hashes in a file, found again by what a client sends."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

Scope = Literal["read", "write"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "bma_"  # so that what scans code and chats for secrets can tell one
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")


class KeysError(ValueError):
    """A keys file can't be used, or not for this; `str()` is one sentence with the remedy."""


@dataclass(frozen=True)
class Key:
    """What is known of a key, which is not the key.

    Attributes:
        name: whose it is; logs say it.
        scope: `read`, or `write`, which includes reading.
        hash: SHA-256 of the key, hexadecimal. A key is 256 random bits, so that nothing slower is needed: a slow hash
            makes guessing dear where people choose the secret, and would cost each request its time here.
        created: when, in ISO 8601.
    """

    name: str
    scope: Scope
    hash: str
    created: str = ""

    def allows(self, scope: Scope) -> bool:
        """Whether the key may do this."""
        return scope == "read" or self.scope == "write"


class Keys:
    """The keys of a service.

    Args:
        keys: of different names.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def become(self, others: Keys) -> None:
        """Have the keys of others from now on."""
        self._keys = others._keys

    def find(self, secret: str) -> Key | None:
        """The key that a client has sent. All are compared, each in constant time, whichever it is."""
        sent = _hash(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.hash, sent):
                found = key
        return found


def read_keys(file: Path) -> Keys:
    """The keys of a file.

    Raises:
        KeysError: it can't be read, or holds no keys.
    """
    keys = _read(file)
    if not keys:
        raise KeysError(f"{file} holds no keys; make one with 'bma keys add NAME --scope read --keys {file}'")
    return Keys(keys)


def add_key(file: Path, name: str, scope: Scope) -> str:
    """Make a key and note it in a file, which is made where there is none; the key, which is nowhere else.

    Raises:
        KeysError: the name is taken or is none, or the file can't be read or written.
    """
    if not _NAME.fullmatch(name):
        raise KeysError(f"'{name[:80]}' can't name a key; use letters, digits, '.', '_' and '-', at most 64")
    keys = _read(file) if file.exists() else []
    if any(key.name == name for key in keys):
        raise KeysError(f"{file} has a key named {name}; take another name, or remove that one first")
    secret = PREFIX + secrets.token_urlsafe(32)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    _write(file, [*keys, Key(name, scope, _hash(secret), now)])
    return secret


def remove_key(file: Path, name: str) -> None:
    """Take a key out of a file.

    Raises:
        KeysError: there is none of that name, or the file can't be read or written.
    """
    keys = _read(file)
    left = [key for key in keys if key.name != name]
    if len(left) == len(keys):
        raise KeysError(f"{file} has no key named {name[:80]}; it has {', '.join(key.name for key in keys) or 'none'}")
    _write(file, left)


def _read(file: Path) -> list[Key]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["keys"]
        keys = [Key(**entry) for entry in entries]
    except FileNotFoundError:
        raise KeysError(f"{file} is not there; make it with 'bma keys add NAME --scope read --keys {file}'") from None
    except OSError as error:
        raise KeysError(f"{file} can't be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise KeysError(f"{file} is not a keys file; move it away, or name another") from None
    for key in keys:
        texts = all(isinstance(text, str) for text in (key.name, key.hash, key.created))
        if not texts or key.scope not in SCOPES or not _NAME.fullmatch(key.name) or not _HASH.fullmatch(key.hash):
            raise KeysError(f"{file} has an entry that is no key; take it out, and make the key anew with 'bma keys'")
    if len({key.name for key in keys}) < len(keys):
        raise KeysError(f"{file} has two keys of one name; take one of them out")
    return keys


def _write(file: Path, keys: list[Key]) -> None:
    """Whole or not at all, and for its owner alone: hashes tell no keys, but names and scopes are nobody's business."""
    draft = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    text = json.dumps({"keys": [asdict(key) for key in keys]}, indent=2) + "\n"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            draft.unlink()
        raise KeysError(f"{file} can't be written ({error.strerror}); name another file") from None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
