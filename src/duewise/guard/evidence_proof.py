"""The proof of one verdict: its record, and a few hundred bytes that tie it to a signed batch."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from duewise.guard.evidence import (
    Head,
    audit_path,
    canonical,
    leaf_hash,
    leaf_hashes,
    merkle_root,
    root_from_path,
)
from duewise.guard.evidence_file import Batch, is_signed, signed_batch

SCHEMA = "proof/1"
_FIXED = struct.Struct(">QQIIq32s32s64s")
_HASH_BYTES = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Proof:
    """Record `first + place` of a batch, the path to its root, and the batch's signature."""

    number: int
    first: int
    records: int
    place: int
    sealed_at: datetime
    previous: bytes
    key: bytes
    signature: bytes
    path: tuple[bytes, ...]

    @property
    def record(self) -> int:
        """The record's number in the chain."""
        return self.first + self.place

    def packed(self) -> bytes:
        """The proof in bytes: 160, and 32 for each of the ten steps at most."""
        sealed_us = (self.sealed_at - _EPOCH) // timedelta(microseconds=1)
        counts = (self.number, self.first, self.records, self.place)
        fixed = _FIXED.pack(*counts, sealed_us, self.previous, self.key, self.signature)
        return fixed + b"".join(self.path)

    def holds(self, record: bytes) -> bool:
        """Whether these are the bytes of the record that was sealed and signed."""
        leaf = leaf_hash(self.record, record)
        root = root_from_path(leaf, self.place, self.records, self.path)
        if root is None or not self.place < self.records:
            return False
        counts = (self.number, self.first, self.records)
        head = Head(*counts, self.sealed_at, root, self.previous)
        return is_signed(self.key, self.signature, signed_batch(head))


def prove(batch: Batch, records: Sequence[bytes], place: int) -> Proof | None:
    """The proof of the record at a place of its batch; None where the batch does not hold."""
    head, leaves = batch.head, leaf_hashes(batch.head.first, records)
    if merkle_root(leaves) != head.root:
        return None
    return Proof(
        head.number,
        head.first,
        head.records,
        place,
        head.sealed_at,
        head.previous,
        batch.key,
        batch.signature,
        tuple(audit_path(leaves, place)),
    )


def proof_text(proof: Proof, record: bytes) -> bytes:
    """The file that is handed out: one JSON object on one line."""
    packed = base64.b64encode(proof.packed()).decode()
    said = {"schema": SCHEMA, "proof": packed, "record": record.decode()}
    return canonical(said) + b"\n"


def read_proof(text: bytes) -> tuple[Proof, bytes] | None:
    """Proof and record of such a file, or None where it is not one."""
    try:
        said = json.loads(text)
        packed, record = base64.b64decode(said["proof"], validate=True), said["record"].encode()
        counts = _FIXED.unpack(packed[: _FIXED.size])
        number, first, records, place, sealed_us, previous, key, signature = counts
        steps = packed[_FIXED.size :]
        path = tuple(steps[at : at + _HASH_BYTES] for at in range(0, len(steps), _HASH_BYTES))
        sealed_at = _EPOCH + timedelta(microseconds=sealed_us)
        proof = Proof(number, first, records, place, sealed_at, previous, key, signature, path)
        return (proof, record) if proof_text(proof, record) == text else None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, struct.error):
        return None
