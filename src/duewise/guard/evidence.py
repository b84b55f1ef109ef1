"""Evidence of verdicts: canonical records, a Merkle tree a batch, batches in a chain.

A record's bytes are hashed as they were written and never made again, so that no later version can
change what was proved. The tree is that of RFC 6962, section 2.1: leaves and nodes are hashed under
different prefixes, so that neither can pass for the other. What is signed, stored and asked for is
the business of `store.audit`; this file only computes.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

RECORD_SCHEMA = "verdict/1"
RECORDS_MAX = 1_024  # of a batch: a path of ten hashes at most
START = bytes(32)  # what the first batch follows
_LEAF, _NODE, _HEAD = b"\x00", b"\x01", b"\x02"
_HEAD_FIELDS = struct.Struct(">QQIq32s32s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODE = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode

QUOTED = json.encoder.encode_basestring  # a text as `canonical` spells it


@dataclass(frozen=True)
class Head:
    """One batch: its number and first record (both from 1), its tree's root, the chain before."""

    number: int
    first: int
    records: int
    sealed_at: datetime
    root: bytes
    previous: bytes

    @property
    def last(self) -> int:
        """The number of the last record."""
        return self.first + self.records - 1

    @property
    def chain(self) -> bytes:
        """The hash that stands for this batch and all before it."""
        sealed_us = (self.sealed_at - _EPOCH) // timedelta(microseconds=1)
        fields = (self.number, self.first, self.records, sealed_us, self.root, self.previous)
        return hashlib.sha256(_HEAD + _HEAD_FIELDS.pack(*fields)).digest()


def canonical(value: object) -> bytes:
    """A value's only spelling: JSON, keys in order, no spaces, UTF-8, one line.

    >>> canonical({"outcome": "allow", "at": "2026-08-14T11:55:00.000000Z"}).decode()
    '{"at":"2026-08-14T11:55:00.000000Z","outcome":"allow"}'
    """
    return _ENCODE(value).encode()


_Row: TypeAlias = tuple[str, int, str, str, str | None, str, tuple[str, ...], str | None, int]


def verdict_records(shared: Mapping[str, object], rows: Iterable[_Row]) -> list[bytes]:
    """The records of verdicts that share at, gate and rulebook, as `canonical` would spell them.

    `rows`: borrower, envelope, facts, history, next_allowed_at, outcome, rules, text, verdict;
    facts and history are canonical already, for they are large.

    >>> row = ("B1", 3, "{}", "[]", None, "allow", ("R-1",), None, 7)
    >>> verdict_records({"at": "2026-08-14", "gate": "wire", "rulebook": "4f"}, [row])[0][:50]
    b'{"at":"2026-08-14","borrower":"B1","envelope":3,"f'
    """
    at, gate, rulebook = (_ENCODE(shared[name]) for name in ("at", "gate", "rulebook"))
    known: dict[object, str] = {}

    def spelled(value: object) -> str:
        return known.get(value) or known.setdefault(value, _ENCODE(value))

    def quoted(value: str | None) -> str:
        return "null" if value is None else QUOTED(value)

    return [
        (
            f'{{"at":{at},"borrower":{QUOTED(borrower)},"envelope":{envelope},"facts":{facts},'
            f'"gate":{gate},"history":{history},"next_allowed_at":{spelled(until)},'
            f'"outcome":{spelled(outcome)},"rulebook":{rulebook},"rules":{spelled(rules)},'
            f'"schema":"{RECORD_SCHEMA}","text":{quoted(text)},"verdict":{verdict}}}'
        ).encode()
        for borrower, envelope, facts, history, until, outcome, rules, text, verdict in rows
    ]


def instant_text(at: datetime) -> str:
    """An instant's only spelling: UTC, microseconds.

    >>> instant_text(datetime(2026, 8, 14, 11, 55, tzinfo=UTC))
    '2026-08-14T11:55:00.000000Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def leaf_hash(number: int, record: bytes) -> bytes:
    """The leaf of record `number`: RFC 6962 with the number (8 bytes) and the record as entry."""
    return hashlib.sha256(_LEAF + number.to_bytes(8, "big") + record).digest()


def leaf_hashes(first: int, records: Sequence[bytes]) -> list[bytes]:
    """`leaf_hash` of records that follow each other."""
    return [leaf_hash(first + place, record) for place, record in enumerate(records)]


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962, section 2.1, over at least one leaf hash.

    >>> merkle_root([leaf_hash(1, b"a")]) == leaf_hash(1, b"a")
    True
    """
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def audit_path(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """The hashes that lead from the leaf at `place` to the root (RFC 6962, section 2.1.1).

    >>> leaves = leaf_hashes(1, [b"a", b"b", b"c"])
    >>> audit_path(leaves, 2) == [merkle_root(leaves[:2])]
    True
    """
    level, path = list(leaves), []
    while len(level) > 1:
        beside = place ^ 1
        if beside < len(level):
            path.append(level[beside])
        level, place = _above(level), place >> 1
    return path


def root_from_path(leaf: bytes, place: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root to which a path leads, or None where it has not the length that the place needs.

    >>> leaves = leaf_hashes(1, [b"a", b"b", b"c"])
    >>> root_from_path(leaves[1], 1, 3, audit_path(leaves, 1)) == merkle_root(leaves)
    True
    """
    rest, node = list(path), leaf
    while size > 1:
        beside = place ^ 1
        if beside < size:
            if not rest:
                return None
            other = rest.pop(0)
            node = _node(node, other) if place < beside else _node(other, node)
        place, size = place >> 1, (size + 1) >> 1
    return None if rest else node


def next_head(before: Head | None, leaves: Sequence[bytes], *, sealed_at: datetime) -> Head:
    """The batch of these leaves, chained to the one before."""
    return Head(
        number=before.number + 1 if before else 1,
        first=before.last + 1 if before else 1,
        records=len(leaves),
        sealed_at=sealed_at,
        root=merkle_root(leaves),
        previous=before.chain if before else START,
    )


def _above(level: Sequence[bytes]) -> list[bytes]:
    """The next level up; a node without a partner goes up as it is."""
    sha256 = hashlib.sha256
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [sha256(_NODE + left + right).digest() for left, right in pairs]
    return [*above, level[-1]] if len(level) % 2 else above


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
