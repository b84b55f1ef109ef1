"""Evidence: records sealed a second, durable, beside the plainest chain of hashes over the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import LiteralString

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from duewise.jobs.bench.figure import Figure, in_turns, prove_same, rates
from duewise.jobs.bench.road import Desk, admit
from duewise.jobs.operations import rows
from duewise.jobs.release import release_plan
from duewise.store.audit import Signer, last_head, seal, sealed, unpack

_SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"benchmark".ljust(32)))
_WAITING: LiteralString = "SELECT at, verdict_ids, body FROM unsealed ORDER BY unsealed_id"
_AGAIN: LiteralString = (
    "INSERT INTO unsealed (at, verdict_ids, body) VALUES (%(at)s, %(verdict_ids)s, %(body)s)"
)
_BYTES: LiteralString = (
    "SELECT (sum(pg_column_size(b.*)) / sum(records))::float AS batch FROM audit_batch b"
)


def audit(desk: Desk) -> list[Figure]:
    """Records of a release, sealed as often as it takes; every byte is read back and compared."""
    task = desk.task
    release_plan(desk.conn, admit(desk, task.sizes.envelopes), task.tenant, now=task.morning)
    # The second gate's: the first one's hold no facts.
    waiting = rows(desk.conn, _WAITING, {})
    waiting = [row for row in waiting if b'"gate":"release"' in unpack(row["body"])[0]]
    records = [record for row in waiting for record in unpack(row["body"])]
    times = max(1, task.sizes.fields // len(records))
    seal(desk.conn, _SIGNER, now=task.noon)
    before = last_head(desk.conn)
    seconds = []
    for _ in range(task.sizes.turns):
        for _ in range(times):
            for row in waiting:
                desk.conn.execute(_AGAIN, row)
        seconds += in_turns(
            partial(seal, desk.conn, _SIGNER, now=task.noon),
            partial(_chained, records * times),
            turns=1,
            timer=task.timer,
        )
    read_back = (
        record
        for batch in sealed(desk.conn, since=before.number + 1 if before else 1)
        for record in batch.records
    )
    count = len(records) * times
    prove_same(_chained(read_back), _chained(records * times * task.sizes.turns), bench="audit")
    size = rows(desk.conn, _BYTES, {})[0]["batch"]
    plain = sum(map(len, records)) / len(records)
    note = f"{plain:,.0f} bytes a record, {size:,.0f} as it is stored, seal included"
    return [rates("audit", "records/s", count, seconds, peer_name="hashlib chain", note=note)]


def _chained(records: Iterable[bytes]) -> bytes:
    """SHA-256 of the hash before and the record: nothing is stored, signed or provable alone."""
    chain = bytes(32)
    for record in records:
        chain = hashlib.sha256(chain + record).digest()
    return chain
