"""Sealing of personal values: AES-256-GCM with rotating keys, and a blind index for numbers.

A sealed value is the key's number (1 byte), the nonce (12), the ciphertext and its tag (16). Column
and borrower go in as associated data, so a value opens only where it was sealed. Nonces are random:
a key is good for 2**32 values (NIST SP 800-38D, 8.3); add a new one long before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from duewise.errors import BadInput, DuewiseError
from duewise.store.files import private_folder, write_atomically, write_once

KEY_BYTES = 32
KEYS_MAX = 255
TOKEN_CHARS = 32
_NONCE_BYTES = 12
_HEAD_BYTES = 1 + _NONCE_BYTES
_HMAC_BLOCK_BYTES = 64
_TEXT = b"text\x00"  # no number begins so


class CannotUnseal(DuewiseError):
    """A sealed value does not open: its key is gone, or it was changed or moved."""


@dataclass(frozen=True, repr=False)
class Keyring:
    """Keys by number (the highest one seals), the key of the blind index, a source of chance."""

    keys: Mapping[int, bytes]
    index_key: bytes
    random_bytes: Callable[[int], bytes]

    def __repr__(self) -> str:
        return f"Keyring(keys={sorted(self.keys)})"

    def seal(self, text: str, *, column: str, borrower_id: str) -> bytes:
        """One value, sealed for a column of a borrower."""
        nonce = self.random_bytes(_NONCE_BYTES)
        number, cipher = self._newest
        return number + nonce + cipher.encrypt(nonce, text.encode(), _context(column, borrower_id))

    def unseal(self, sealed: bytes, *, column: str, borrower_id: str) -> str:
        """The value again. Raises CannotUnseal."""
        try:
            cipher = self._ciphers[sealed[0]]
            nonce, body = sealed[1:_HEAD_BYTES], sealed[_HEAD_BYTES:]
            return cipher.decrypt(nonce, body, _context(column, borrower_id)).decode()
        except (InvalidTag, KeyError, IndexError, ValueError) as error:
            raise CannotUnseal from error

    def seal_column(
        self, texts: Sequence[str | None], *, column: str, borrower_ids: Sequence[str]
    ) -> list[bytes | None]:
        """`seal` for many, one text a borrower; a null stays null."""
        number, cipher = self._newest
        nonces = self.random_bytes(_NONCE_BYTES * len(texts))
        encrypt, context, start = cipher.encrypt, _context(column, ""), 0
        sealed: list[bytes | None] = []
        for text, borrower_id in zip(texts, borrower_ids, strict=True):
            if text is None:
                sealed.append(None)
                continue
            nonce = nonces[start : start + _NONCE_BYTES]
            start += _NONCE_BYTES
            body = encrypt(nonce, text.encode(), context + borrower_id.encode())
            sealed.append(number + nonce + body)
        return sealed

    def unseal_column(
        self, sealed: Sequence[bytes | None], *, column: str, borrower_ids: Sequence[str]
    ) -> list[str | None]:
        """`unseal` for many; a null stays null. Raises CannotUnseal."""
        ciphers, context, head = self._ciphers, _context(column, ""), _HEAD_BYTES
        try:
            return [
                None
                if value is None
                else ciphers[value[0]]
                .decrypt(value[1:head], value[head:], context + borrower_id.encode())
                .decode()
                for value, borrower_id in zip(sealed, borrower_ids, strict=True)
            ]
        except (InvalidTag, KeyError, IndexError, ValueError) as error:
            raise CannotUnseal from error

    def number_token(self, number: str) -> str:
        """What stands for an E.164 number wherever it must be found but not read.

        The first 128 bits of HMAC-SHA256, in hex.
        """
        return self.number_tokens([number])[0]

    def number_tokens(self, numbers: Sequence[str]) -> list[str]:
        """`number_token` for many."""
        return self._tokens(number.encode() for number in numbers)

    def text_tokens(self, texts: Sequence[str | None]) -> list[str | None]:
        """What stands for a text in evidence: it shows a change, and nobody can guess from it."""
        tokens = iter(self._tokens(_TEXT + text.encode() for text in texts if text is not None))
        return [None if text is None else next(tokens) for text in texts]

    def _tokens(self, values: Iterable[bytes]) -> list[str]:
        inner, outer = self._index_pads
        tokens = []
        for value in values:
            first, second = inner.copy(), outer.copy()
            first.update(value)
            second.update(first.digest())
            tokens.append(second.hexdigest()[:TOKEN_CHARS])
        return tokens

    @cached_property
    def _ciphers(self) -> Mapping[int, AESGCM]:
        return {number: AESGCM(key) for number, key in self.keys.items()}

    @cached_property
    def _newest(self) -> tuple[bytes, AESGCM]:
        number = max(self.keys)
        return bytes([number]), self._ciphers[number]

    @cached_property
    def _index_pads(self) -> tuple[hashlib._Hash, hashlib._Hash]:
        # HMAC with the key's two blocks hashed once (RFC 2104, section 4): twice as fast.
        key = self.index_key.ljust(_HMAC_BLOCK_BYTES, b"\0")
        inner, outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
        return hashlib.sha256(inner), hashlib.sha256(outer)


def load_keyring(secrets: Path, *, random_bytes: Callable[[int], bytes]) -> Keyring:
    """The keyring of the folder `secrets`, made there on first use (`keys.json`, mode 0600).

    Raises BadInput for a file that is broken or that others may read.
    """
    path = private_folder(secrets) / "keys.json"
    if not path.exists():
        first = Keyring({1: random_bytes(KEY_BYTES)}, random_bytes(KEY_BYTES), random_bytes)
        write_once(path, _written(first), mode=0o600)
    if path.stat().st_mode & 0o077:
        raise BadInput("others may read the keys", source=str(path), mend=f"chmod 600 {path}")
    return parse_keyring(path.read_text(), source=str(path), random_bytes=random_bytes)


def parse_keyring(text: str, *, source: str, random_bytes: Callable[[int], bytes]) -> Keyring:
    """A keyring from `{"index": KEY, "keys": {"1": KEY, …}}`, each KEY 32 bytes in base64.

    Raises BadInput, which names `source` and never shows a key.
    """
    try:
        written = json.loads(text)
        keys = {int(number): _key(key) for number, key in written["keys"].items()}
        index_key = _key(written["index"])
    except (ValueError, KeyError, TypeError, AttributeError):
        keys, index_key = {}, b""
    if not keys or not all(0 < number <= KEYS_MAX for number in keys):
        raise BadInput(
            "these are no keys",
            source=source,
            mend="restore the file from a backup: without it sealed data cannot be read",
        )
    return Keyring(keys, index_key, random_bytes)


def add_key(secrets: Path, *, random_bytes: Callable[[int], bytes]) -> Keyring:
    """Rotate: from now on a new key seals, and the old ones still open. Raises BadInput."""
    old = load_keyring(secrets, random_bytes=random_bytes)
    number = max(old.keys) + 1
    if number > KEYS_MAX:
        raise BadInput("no number is left for a key", source=str(secrets), mend="remove old keys")
    new = Keyring({**old.keys, number: random_bytes(KEY_BYTES)}, old.index_key, random_bytes)
    write_atomically(secrets / "keys.json", _written(new), mode=0o600)
    return new


def _context(column: str, borrower_id: str) -> bytes:
    return f"{column}\0{borrower_id}".encode()


def _key(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise binascii.Error
    return key


def _written(keyring: Keyring) -> bytes:
    keys = {str(number): base64.b64encode(key).decode() for number, key in keyring.keys.items()}
    index = base64.b64encode(keyring.index_key).decode()
    return json.dumps({"index": index, "keys": keys}, indent=1).encode()
