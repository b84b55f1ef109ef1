"""The lines of an exported chain, and its check from those lines alone: no database, no workspace.

The file (schema `audit/1`) is a head line, then for each batch a line `B` and its records as lines
`R`, and at the end a checkpoint `C`. Every line has one spelling only, so that any changed byte
shows. A batch line repeats four bytes of each record's leaf hash: what they are for is to name the
record that was changed, where the tree's root alone could only say that one of them was.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from duewise.guard.evidence import (
    RECORDS_MAX,
    START,
    Head,
    canonical,
    instant_text,
    leaf_hashes,
    merkle_root,
)
from duewise.times import parse_instant

HEAD_LINE = b'{"schema":"audit/1"}'
PREFIX_BYTES = 4
FINDINGS_MAX = 100
_BATCH_DOMAIN, _CHECKPOINT_DOMAIN = b"duewise batch/1\x00", b"duewise checkpoint/1\x00"


@dataclass(frozen=True)
class Batch:
    """A batch's head, the key (32 bytes) that signed it, and the beginnings of its leaves."""

    head: Head
    key: bytes
    signature: bytes
    prefixes: bytes


@dataclass(frozen=True)
class Checkpoint:
    """How far the chain reached at an instant, signed. Kept elsewhere, it guards the tail."""

    number: int
    records: int
    chain: bytes
    at: datetime
    key: bytes
    signature: bytes


@dataclass(frozen=True)
class Finding:
    """Something wrong: the line of the file, the record concerned (0: none by itself), and what."""

    line: int
    record: int
    text: str


@dataclass
class Checked:
    """What a check found, and what it counted."""

    records: int = 0
    batches: int = 0
    checkpoint: Checkpoint | None = None
    keys: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def signed_batch(head: Head) -> bytes:
    """What is signed of a batch."""
    return _BATCH_DOMAIN + head.chain


def signed_checkpoint(number: int, records: int, chain: bytes, at: datetime) -> bytes:
    """What is signed of a checkpoint."""
    said = f"{number} {records} {chain.hex()} {instant_text(at)}"
    return _CHECKPOINT_DOMAIN + said.encode()


def batch_line(batch: Batch) -> bytes:
    """A batch's line."""
    head = batch.head
    said = {
        "number": head.number,
        "first": head.first,
        "records": head.records,
        "sealed_at": instant_text(head.sealed_at),
        "root": head.root.hex(),
        "previous": head.previous.hex(),
        "key": batch.key.hex(),
        "signature": batch.signature.hex(),
        "leaves": base64.b64encode(batch.prefixes).decode(),
    }
    return b"B\t" + canonical(said)


def checkpoint_line(checkpoint: Checkpoint) -> bytes:
    """A checkpoint's line; alone in a file it is what `verify --checkpoint` takes."""
    said = {
        "number": checkpoint.number,
        "records": checkpoint.records,
        "chain": checkpoint.chain.hex(),
        "at": instant_text(checkpoint.at),
        "key": checkpoint.key.hex(),
        "signature": checkpoint.signature.hex(),
    }
    return b"C\t" + canonical(said)


def record_line(number: int, record: bytes) -> bytes:
    """A record's line."""
    return b"R\t%d\t%s" % (number, record)


def read_batch(line: bytes) -> Batch | None:
    """The batch of a line, or None where the line is not spelt as one."""
    try:
        said = json.loads(line[2:])
        head = Head(
            said["number"],
            said["first"],
            said["records"],
            parse_instant(said["sealed_at"]),
            bytes.fromhex(said["root"]),
            bytes.fromhex(said["previous"]),
        )
        prefixes = base64.b64decode(said["leaves"], validate=True)
        batch = Batch(head, bytes.fromhex(said["key"]), bytes.fromhex(said["signature"]), prefixes)
        return batch if batch_line(batch) == line and _is_plausible(head) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def read_checkpoint(line: bytes) -> Checkpoint | None:
    """The checkpoint of a line, or None where the line is not spelt as one."""
    try:
        said = json.loads(line[2:])
        checkpoint = Checkpoint(
            said["number"],
            said["records"],
            bytes.fromhex(said["chain"]),
            parse_instant(said["at"]),
            bytes.fromhex(said["key"]),
            bytes.fromhex(said["signature"]),
        )
        return checkpoint if checkpoint_line(checkpoint) == line else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def is_signed(key: bytes, signature: bytes, said: bytes) -> bool:
    """Whether the Ed25519 signature (RFC 8032) is that of the key, given as its 32 bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, said)
    except (InvalidSignature, ValueError):
        return False
    return True


def check(
    lines: Iterable[bytes],
    *,
    known: Checkpoint | None = None,
    keys: frozenset[str] = frozenset(),
    after: Head | None = None,
) -> Checked:
    """Check an export, line by line without line ends, in the memory of one batch.

    `known`: a checkpoint that was kept elsewhere; `keys`: those trusted, in hex (default: that of
    the kept checkpoint, or any); `after`: the batch that the first one follows, if it is not the
    first of all. At most `FINDINGS_MAX` findings are kept.
    """
    checker = _Checker(known, keys, after)
    for number, line in enumerate(lines, start=1):
        checker.take(number, line)
    checker.end()
    del checker.checked.findings[FINDINGS_MAX:]
    return checker.checked


class _Checker:
    """Goes through the lines; a batch is judged when the next line that is no record comes."""

    def __init__(self, known: Checkpoint | None, keys: frozenset[str], after: Head | None) -> None:
        self.checked = Checked()
        # Whoever kept a checkpoint trusts its key, and no other unless told to.
        self._known = known
        self._keys = keys or (frozenset({known.key.hex()}) if known else keys)
        self._line = 0
        self._before = after
        self._batch: tuple[int, Batch] | None = None
        self._records: list[tuple[int, int, bytes]] = []

    def take(self, number: int, line: bytes) -> None:
        self._line = number
        if number == 1:
            if line != HEAD_LINE:
                self._find(0, "this is not the head of an export, schema audit/1")
        elif self.checked.checkpoint:
            self._find(0, "something follows the checkpoint")
        elif line[:2] == b"R\t":
            self._take_record(line)
        elif line[:2] == b"B\t":
            self._close()
            self._take_batch(line)
        elif line[:2] == b"C\t":
            self._close()
            self._take_checkpoint(line)
        else:
            self._find(self._next(), "the line is no record, batch or checkpoint")

    def end(self) -> None:
        self._close()
        last = self._before.last if self._before else 0
        if not self.checked.checkpoint:
            self._find(last + 1, f"no checkpoint: the file was cut off after record {last}")
        if self._known and self._known.number > (self._before.number if self._before else 0):
            self._find(last + 1, "records that the kept checkpoint counts are missing at the end")

    def _take_record(self, line: bytes) -> None:
        number, tab, record = line[2:].partition(b"\t")
        if not tab or not number.isdigit() or number != b"%d" % int(number):
            self._find(self._next(), "the record's line has no number")
            return
        self._records.append((self._line, int(number), record))

    def _next(self) -> int:
        """The record that should stand on this line."""
        if self._records:
            return self._records[-1][1] + 1
        return self._before.last + 1 if self._before else 1

    def _take_batch(self, line: bytes) -> None:
        batch = read_batch(line)
        if batch is None:
            self._find(self._next(), "the batch's line was changed")
            return
        head, before = batch.head, self._before
        expected = (before.number + 1, before.last + 1, before.chain) if before else (1, 1, START)
        if (head.number, head.first, head.previous) != expected:
            after = f"batch {before.number}" if before else "the start"
            self._find(expected[1], f"batch {head.number} does not follow {after}")
        if not is_signed(batch.key, batch.signature, signed_batch(head)):
            self._find(head.first, f"batch {head.number} was changed: its signature is wrong")
        self._check_key(batch.key, head.first, f"batch {head.number}")
        known = self._known
        if known and known.number == head.number and known.chain != head.chain:
            text = f"batch {head.number} is not the one of the kept checkpoint: rewritten since"
            self._find(head.first, text)
        self._batch, self._before = (self._line, batch), head

    def _take_checkpoint(self, line: bytes) -> None:
        said, last = read_checkpoint(line), self._before
        if said is None:
            self._find(0, "the checkpoint's line was changed")
            return
        self.checked.checkpoint = said
        counted = (last.number, last.last, last.chain) if last else (0, 0, START)
        if (said.number, said.records, said.chain) != counted:
            self._find(counted[1] + 1, f"the checkpoint counts {said.records} records, not these")
        told = signed_checkpoint(said.number, said.records, said.chain, said.at)
        if not is_signed(said.key, said.signature, told):
            self._find(0, "the checkpoint was changed: its signature is wrong")
        self._check_key(said.key, 0, "the checkpoint")

    def _check_key(self, key: bytes, record: int, what: str) -> None:
        self.checked.keys.add(key.hex())
        if self._keys and key.hex() not in self._keys:
            self._find(record, f"{what} is signed by a key that is not trusted")

    def _close(self) -> None:
        """Judge the batch whose records have all come."""
        records, self._records = self._records, []
        if self._batch is None:
            for line, number, _ in records:
                self.checked.findings.append(
                    Finding(line, number, f"record {number} belongs to no batch")
                )
            return
        line, batch = self._batch
        self._batch = None
        self.checked.batches += 1
        self.checked.records += len(records)
        findings = list(_findings(batch, records, line))
        self.checked.findings += findings

    def _find(self, record: int, text: str) -> None:
        self.checked.findings.append(Finding(self._line, record, text))


def _findings(
    batch: Batch, records: Sequence[tuple[int, int, bytes]], line: int
) -> Iterator[Finding]:
    """What is wrong with the records of a batch, each named."""
    head = batch.head
    placed = list(_misplaced(head, records, line))
    yield from placed
    leaves = [leaf_hashes(number, [record])[0] for _, number, record in records]
    changed = [
        Finding(at, number, f"record {number} was changed")
        for (at, number, _), leaf in zip(records, leaves, strict=True)
        if head.first <= number <= head.last
        and leaf[:PREFIX_BYTES] != _prefix(batch.prefixes, number - head.first)
    ]
    has_root = not placed and merkle_root(leaves) == head.root
    if has_root and (changed or len(batch.prefixes) != PREFIX_BYTES * head.records):
        yield Finding(line, head.first, f"batch {head.number}: its list of leaves was changed")
    elif not has_root and not placed and not changed:
        span = f"records {head.first} to {head.last}"
        yield Finding(line, head.first, f"batch {head.number}, {span}: not what was sealed")
    else:
        yield from changed


def _misplaced(
    head: Head, records: Sequence[tuple[int, int, bytes]], line: int
) -> Iterator[Finding]:
    """Records that are missing, double, out of order or of no batch."""
    wanted = range(head.first, head.last + 1)
    times = Counter(number for _, number, _ in records)
    yield from (
        Finding(line, number, f"record {number} is missing")
        for number in wanted
        if not times[number]
    )
    is_whole = times == Counter(wanted)
    for place, (at, number, _) in enumerate(records):
        if number not in wanted:
            yield Finding(at, number, f"record {number} does not belong to batch {head.number}")
        elif times[number] > 1:
            yield Finding(at, number, f"record {number} stands here {times[number]} times")
        elif is_whole and number != wanted[place]:
            yield Finding(at, number, f"record {number} stands out of order")


def _prefix(prefixes: bytes, place: int) -> bytes:
    return prefixes[place * PREFIX_BYTES : (place + 1) * PREFIX_BYTES]


def _is_plausible(head: Head) -> bool:
    counts: tuple[Any, ...] = (head.number, head.first, head.records)
    return (
        all(type(count) is int and 0 < count < 1 << 62 for count in counts)
        and head.records <= RECORDS_MAX
        and len(head.root) == len(head.previous) == len(START)
    )
