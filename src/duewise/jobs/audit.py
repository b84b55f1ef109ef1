"""Evidence handed out: the chain as a file, the proof of one verdict, and the check of both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection

from duewise.errors import BadInput, IntegrityBroken
from duewise.guard.evidence_file import (
    HEAD_LINE,
    Checked,
    Checkpoint,
    Finding,
    batch_line,
    check,
    checkpoint_line,
    is_signed,
    read_checkpoint,
    record_line,
    signed_checkpoint,
)
from duewise.guard.evidence_proof import proof_text, prove, read_proof
from duewise.store.audit import (
    Sealed,
    Signer,
    checkpoint,
    counts,
    head_of,
    sealed,
    sealed_with,
    verdicts_as_told,
)
from duewise.store.files import written_atomically

LINE_BYTES_MAX = 1 << 20
EXAMINED_MAX = 200  # batches, of the newest
FINDINGS_SHOWN_MAX = 3
LAG_MAX = timedelta(minutes=10)
_TOLD = {
    "verdict_id": "verdict",
    "envelope_id": "envelope",
    "gate": "gate",
    "outcome": "outcome",
    "rules": "rules",
}
_PROOF_BEGINS = b'{"proof":'
_PAGE_BEGINS = b"<!doctype html>"
_PACK_BEGINS = b'<script type="application/json" id="pack">'
_SHOWN = ("verdict", "at", "outcome", "rules", "next_allowed_at")


@dataclass(frozen=True)
class Exported:
    """Where an export went, and how far it reaches."""

    path: Path
    batches: int
    records: int
    chain: str


def export_chain(conn: Connection[Any], signer: Signer, into: Path, *, now: datetime) -> Exported:
    """Write the whole chain and a checkpoint. `into` is a file to be, or a folder for one."""
    with conn.transaction():
        end = checkpoint(conn, signer, now=now)
    name = f"audit-{end.records}-{now:%Y%m%dT%H%M%SZ}.txt"
    path = into / name if into.is_dir() else into
    with written_atomically(path) as file:
        for line in _chain_lines(sealed(conn), end):
            file.write(line + b"\n")
    return Exported(path, end.number, end.records, end.chain.hex())


def _chain_lines(batches: Iterable[Sealed], end: Checkpoint) -> Iterator[bytes]:
    """The lines of an export; what was sealed after the checkpoint is left out."""
    yield HEAD_LINE
    for batch in batches:
        head = batch.batch.head
        if head.number > end.number:
            break
        yield batch_line(batch.batch)
        for place, record in enumerate(batch.records):
            yield record_line(head.first + place, record)
    yield checkpoint_line(end)


def export_checkpoint(
    conn: Connection[Any], signer: Signer, path: Path, *, now: datetime
) -> Checkpoint:
    """Write how far the chain reaches, signed: to be kept where the database's people are not."""
    end = checkpoint(conn, signer, now=now)
    with written_atomically(path) as file:
        file.write(checkpoint_line(end) + b"\n")
    return end


def load_checkpoint(path: Path) -> Checkpoint:
    """A kept checkpoint. Raises BadInput for a file that is none."""
    known = read_checkpoint(path.read_bytes().removesuffix(b"\n"))
    if known is None or not is_signed(
        known.key,
        known.signature,
        signed_checkpoint(known.number, known.records, known.chain, known.at),
    ):
        mend = "name a file that `duewise audit checkpoint` wrote"
        raise BadInput("this is no checkpoint", source=str(path), mend=mend)
    return known


def verify_file(
    path: Path, *, known: Checkpoint | None = None, keys: frozenset[str] = frozenset()
) -> Checked:
    """Check an export, a proof or a pack, from the file alone. Raises BadInput for another file.

    What is wrong is among the findings.
    """
    with path.open("rb") as file:
        beginning = file.read(len(HEAD_LINE))
    trusted = keys or frozenset({known.key.hex()} if known else ())
    if beginning.startswith(_PROOF_BEGINS):
        return _check_proofs([(path.read_bytes(), None)], keys=trusted)
    if beginning.startswith(_PAGE_BEGINS):
        return _check_proofs(_proofs_of_pack(path), keys=trusted)
    if not beginning.startswith(HEAD_LINE[:10]):
        mend = "name a file that `duewise audit export`, `proof` or `pack` wrote"
        raise BadInput("this is no evidence", source=str(path), mend=mend)
    return check(_lines(path), known=known, keys=keys)


def _lines(path: Path) -> Iterator[bytes]:
    """The file's lines without their ends; a last line without one is a line too many."""
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX):
            if line.endswith(b"\n"):
                yield line[:-1]
            else:
                yield line + b" (cut off)"


def _proofs_of_pack(path: Path) -> list[tuple[bytes, dict[str, Any] | None]]:
    """The proofs in a complaint handler's file, each with the verdict that is shown for it."""
    _, _, data = path.read_bytes().partition(_PACK_BEGINS)
    try:
        pack = json.loads(data.partition(b"</script>")[0])
        verdicts = [each for notice in pack["notices"] for each in notice["verdicts"]]
        return [(each["proof"].encode(), each) for each in verdicts if each["proof"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        mend = "name a file that `duewise audit pack` wrote"
        raise BadInput("the page holds no data", source=str(path), mend=mend) from error


def _check_proofs(
    proofs: Sequence[tuple[bytes, dict[str, Any] | None]], *, keys: frozenset[str]
) -> Checked:
    checked = Checked()
    for text, shown in proofs:
        found = read_proof(text)
        if found is None:
            checked.findings.append(Finding(1, 0, "a proof was changed"))
            continue
        proof, record = found
        checked.records += 1
        checked.keys.add(proof.key.hex())
        texts = []
        if not proof.holds(record):
            texts.append(f"record {proof.record} is not what was sealed and signed")
        elif shown and any(shown[name] != json.loads(record)[name] for name in _SHOWN):
            texts.append(f"record {proof.record} says other than what is shown")
        if keys and proof.key.hex() not in keys:
            texts.append("signed by a key that is not trusted")
        checked.findings += [Finding(1, proof.record, text) for text in texts]
    return checked


def prove_verdict(conn: Connection[Any], verdict_id: int) -> tuple[bytes, int]:
    """The proof of a verdict as a file's bytes, and the size of the proof proper in bytes.

    Raises BadInput for a verdict that is not sealed, IntegrityBroken where its batch was changed.
    """
    found = sealed_with(conn, verdict_id)
    if found is None:
        mend = "see `duewise explain`; what was judged just now is sealed by `duewise audit seal`"
        raise BadInput(f"no sealed verdict {verdict_id}", mend=mend)
    place = list(found.verdict_ids).index(verdict_id)
    proof = prove(found.batch, found.records, place)
    if proof is None:
        raise IntegrityBroken(f"batch {found.batch.head.number} is not what was sealed")
    return proof_text(proof, found.records[place]), len(proof.packed())


def examine_chain(conn: Connection[Any], signer: Signer, *, now: datetime) -> tuple[bool, str]:
    """Whether the newest batches hold, and every verdict is sealed or waits; and what was found.

    The whole chain is for `export_chain` and `verify_file`: it may be long.
    """
    end = checkpoint(conn, signer, now=now)
    since = max(1, end.number - EXAMINED_MAX + 1)
    after = head_of(conn, since - 1)
    batches = list(sealed(conn, since=since))
    checked = check(_chain_lines(batches, end), after=after)
    found = [finding.text for finding in checked.findings]
    found += [text for batch in batches for text in _contradictions(conn, batch)]
    told = counts(conn)
    if told.sealed + told.waiting != told.verdicts:
        found.append(
            f"{told.verdicts} verdicts, but {told.sealed} sealed and {told.waiting} waiting"
        )
    if told.waiting_since and now - told.waiting_since > LAG_MAX:
        found.append(f"{told.waiting} records wait since {told.waiting_since.isoformat()}")
    text = f"{told.sealed:,} records sealed in {end.number:,} batches, {told.waiting:,} wait"
    return not found, "; ".join([text, *found[:FINDINGS_SHOWN_MAX]])


def _contradictions(conn: Connection[Any], batch: Sealed) -> Iterator[str]:
    """Where the table of verdicts, which people ask, says other than what was sealed."""
    told = {row["verdict_id"]: row for row in verdicts_as_told(conn, batch.verdict_ids)}
    for verdict_id, record in zip(batch.verdict_ids, batch.records, strict=True):
        row, was = told.get(verdict_id), json.loads(record)
        if row is None:
            yield f"verdict {verdict_id} is gone from the table of verdicts"
        elif any(row[column] != was[name] for column, name in _TOLD.items()):
            yield f"verdict {verdict_id} says other than its sealed record"
