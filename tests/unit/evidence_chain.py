"""A sealed chain in memory, as an export has it: for whoever wants to change it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from duewise.guard.evidence import START, Head, canonical, leaf_hashes, next_head
from duewise.guard.evidence_file import (
    HEAD_LINE,
    PREFIX_BYTES,
    Batch,
    Checkpoint,
    batch_line,
    checkpoint_line,
    record_line,
    signed_batch,
    signed_checkpoint,
)

AT = datetime(2026, 8, 14, 11, 55, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
FORGER = Ed25519PrivateKey.from_private_bytes(b"f" * 32)
SIZES = (25, 1, 40, 25, 32, 7, 64, 25, 3, 28)
RECORDS = tuple(
    canonical({"verdict": n, "outcome": ("allow", "block")[n % 2], "borrower": f"B{n:04d}"})
    for n in range(1, sum(SIZES) + 1)
)


def export(
    records: tuple[bytes, ...] = RECORDS,
    *,
    sizes: tuple[int, ...] = SIZES,
    forged_from: int | None = None,
) -> tuple[list[bytes], Checkpoint]:
    """The lines of the chain and its checkpoint; batches from record `forged_from` on are forged."""
    lines, before, start = [HEAD_LINE], None, 0
    signer = KEY
    for number, size in enumerate(sizes, start=1):
        chunk = records[start : start + size]
        leaves = leaf_hashes(start + 1, chunk)
        sealed_at = AT + timedelta(minutes=number)
        head: Head = next_head(before, leaves, sealed_at=sealed_at)
        if forged_from is not None and head.last >= forged_from:
            signer = FORGER
        prefixes = b"".join(leaf[:PREFIX_BYTES] for leaf in leaves)
        key = signer.public_key().public_bytes_raw()
        batch = Batch(head, key, signer.sign(signed_batch(head)), prefixes)
        lines.append(batch_line(batch))
        lines += [record_line(head.first + place, record) for place, record in enumerate(chunk)]
        before, start = head, start + size
    told = (len(sizes), start, before.chain if before else START, AT + timedelta(hours=1))
    signature = signer.sign(signed_checkpoint(*told))
    checkpoint = Checkpoint(*told, signer.public_key().public_bytes_raw(), signature)
    return [*lines, checkpoint_line(checkpoint)], checkpoint
