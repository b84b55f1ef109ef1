"""The chain of evidence in the database: records wait, a sealer batches, chains and signs them.

Whoever judges only appends; nobody waits for the chain. The sealer takes what was committed, in one
transaction: after a kill at any moment a record is either still waiting or sealed once.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import Connection
from psycopg.rows import dict_row

from duewise.errors import BadInput
from duewise.guard.evidence import RECORDS_MAX, START, Head, leaf_hashes, next_head
from duewise.guard.evidence_file import (
    PREFIX_BYTES,
    Batch,
    Checkpoint,
    signed_batch,
    signed_checkpoint,
)
from duewise.store.files import private_folder, write_once
from duewise.store.sql import queries

LOCK_CLASS = 0x44_41  # "DA": one sealer at a time
CHUNKS_MAX = 64  # of waiting records, in one transaction
_SEED_BYTES = 32
_SQL = queries("audit")


@dataclass(frozen=True, repr=False)
class Signer:
    """The key that signs batches and checkpoints."""

    private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.key.hex()[:12]}…)"

    @cached_property
    def key(self) -> bytes:
        """The public key, 32 bytes."""
        return self.private.public_key().public_bytes_raw()

    def sign(self, said: bytes) -> bytes:
        """An Ed25519 signature (RFC 8032), 64 bytes."""
        return self.private.sign(said)


@dataclass(frozen=True)
class Sealed:
    """A batch with its records, and the verdicts they are of."""

    batch: Batch
    verdict_ids: Sequence[int]
    records: Sequence[bytes]


@dataclass(frozen=True)
class Counts:
    """Verdicts since evidence began, those sealed, those that wait, and since when."""

    verdicts: int
    sealed: int
    waiting: int
    waiting_since: datetime | None


def load_signer(secrets: Path, *, random_bytes: Callable[[int], bytes]) -> Signer:
    """The signer of the folder `secrets`, made there on first use (`audit.pem`, mode 0600).

    Raises BadInput for a file that is no such key or that others may read.
    """
    path = private_folder(secrets) / "audit.pem"
    if not path.exists():
        fresh = Ed25519PrivateKey.from_private_bytes(random_bytes(_SEED_BYTES))
        pem = fresh.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_once(path, pem, mode=0o600)
    if path.stat().st_mode & 0o077:
        raise BadInput("others may read the key", source=str(path), mend=f"chmod 600 {path}")
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _no_key(path)
    return Signer(private)


def _no_key(path: Path) -> BadInput:
    mend = "restore it from a backup, or move it away: a new key then signs from here on"
    return BadInput("this is no Ed25519 key", source=str(path), mend=mend)


def pack(records: Sequence[bytes]) -> bytes:
    """Records as they are stored: lines, compressed. Bodies may be laid one after the other."""
    return zlib.compress(b"\n".join(records), level=1)


def unpack(body: bytes) -> list[bytes]:
    """The records again, in their order."""
    records: list[bytes] = []
    while body:
        stream = zlib.decompressobj()
        records += stream.decompress(body).split(b"\n")
        body = stream.unused_data
    return records


def seal(conn: Connection[Any], signer: Signer, *, now: datetime) -> int:
    """Seal all that waits; how many records. 0 also where another sealer is at work."""
    sealed = 0
    while True:
        with conn.transaction():
            batch = _seal_some(conn, signer, now=now)
        sealed += batch
        if not batch:
            return sealed


def _seal_some(conn: Connection[Any], signer: Signer, *, now: datetime) -> int:
    if not _one(conn, "sealer_lock", lock_class=LOCK_CLASS)["is_ours"]:
        return 0
    waiting = _rows(conn, "unsealed", limit=CHUNKS_MAX)
    if not waiting:
        return 0
    before = last_head(conn)
    first = before
    for chunks in _batches(waiting):
        before = _add_batch(conn, before, chunks, signer, now=now)
    conn.execute(_SQL["drop_unsealed"], {"unsealed_ids": [row["unsealed_id"] for row in waiting]})
    assert before is not None
    return before.last - (first.last if first else 0)


def _batches(waiting: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Whole chunks together, as many as fit into a batch."""
    batch: list[dict[str, Any]] = []
    size = 0
    for row in waiting:
        if batch and size + len(row["verdict_ids"]) > RECORDS_MAX:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row["verdict_ids"])
    yield batch


def _add_batch(
    conn: Connection[Any],
    before: Head | None,
    chunks: Sequence[dict[str, Any]],
    signer: Signer,
    *,
    now: datetime,
) -> Head:
    body = b"".join(row["body"] for row in chunks)
    leaves = leaf_hashes(before.last + 1 if before else 1, unpack(body))
    head = next_head(before, leaves, sealed_at=now)
    verdict_ids = [verdict_id for row in chunks for verdict_id in row["verdict_ids"]]
    assert len(verdict_ids) == head.records, "a record for each verdict"
    conn.execute(
        _SQL["add_batch"],
        {
            "number": head.number,
            "first": head.first,
            "records": head.records,
            "from_at": min(row["at"] for row in chunks),
            "until_at": max(row["at"] for row in chunks),
            "verdict_ids": verdict_ids,
            "first_verdict": min(verdict_ids),
            "last_verdict": max(verdict_ids),
            "sealed_at": head.sealed_at,
            "root": head.root,
            "previous": head.previous,
            "key": signer.key,
            "signature": signer.sign(signed_batch(head)),
            "leaves": b"".join(leaf[:PREFIX_BYTES] for leaf in leaves),
            "body": body,
        },
    )
    return head


def last_head(conn: Connection[Any]) -> Head | None:
    """The newest batch's head."""
    found = _rows(conn, "last_head", number=None)
    return Head(**found[0]) if found else None


def head_of(conn: Connection[Any], number: int) -> Head | None:
    """The head of a batch."""
    found = _rows(conn, "last_head", number=number)
    return Head(**found[0]) if found else None


def checkpoint(conn: Connection[Any], signer: Signer, *, now: datetime) -> Checkpoint:
    """How far the chain reaches, signed."""
    last = last_head(conn)
    told = (last.number, last.last, last.chain, now) if last else (0, 0, START, now)
    return Checkpoint(*told, signer.key, signer.sign(signed_checkpoint(*told)))


def sealed(
    conn: Connection[Any],
    *,
    since: int = 1,
    from_at: datetime | None = None,
    until_at: datetime | None = None,
) -> Iterator[Sealed]:
    """The batches from a number on, or those that hold verdicts of a span of instants."""
    values = {"since": since, "from_at": from_at, "until_at": until_at}
    with conn.transaction(), conn.cursor("sealed", row_factory=dict_row) as cursor:
        cursor.itersize = 16
        cursor.execute(_SQL["batches"], values)
        for row in cursor:
            yield _sealed(row)


def sealed_with(conn: Connection[Any], verdict_id: int) -> Sealed | None:
    """The batch that holds a verdict."""
    found = _rows(conn, "batch_of", verdict_id=verdict_id)
    return _sealed(found[0]) if found else None


def counts(conn: Connection[Any]) -> Counts:
    """How many verdicts there are, and how many of them are sealed."""
    return Counts(**_one(conn, "sealed_counts"))


def verdicts_as_told(conn: Connection[Any], verdict_ids: Sequence[int]) -> list[dict[str, Any]]:
    """What the table of verdicts says of these."""
    return _rows(conn, "verdicts_as_told", verdict_ids=list(verdict_ids))


def _sealed(row: dict[str, Any]) -> Sealed:
    names = ("number", "first", "records", "sealed_at", "root", "previous")
    head, records = Head(*(row[name] for name in names)), unpack(row["body"])
    leaves = leaf_hashes(head.first, records)
    prefixes = b"".join(leaf[:PREFIX_BYTES] for leaf in leaves)
    return Sealed(Batch(head, row["key"], row["signature"], prefixes), row["verdict_ids"], records)


def _rows(conn: Connection[Any], name: str, **values: object) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SQL[name], values).fetchall()


def _one(conn: Connection[Any], name: str, **values: object) -> dict[str, Any]:
    return _rows(conn, name, **values)[0]
