"""A proof is a few hundred bytes, holds for its record alone, and survives no change."""

from __future__ import annotations

import random  # noqa: TID251 -- seeded below

import pytest
from tests.unit.evidence_chain import AT, KEY

from duewise.guard.evidence import RECORDS_MAX, canonical, leaf_hashes, next_head
from duewise.guard.evidence_file import PREFIX_BYTES, Batch, signed_batch
from duewise.guard.evidence_proof import Proof, proof_text, prove, read_proof

SEED = 7
FLIPS = 400


def sealed(size: int) -> tuple[Batch, list[bytes]]:
    records = [canonical({"verdict": n, "outcome": "allow"}) for n in range(size)]
    leaves = leaf_hashes(1, records)
    head = next_head(None, leaves, sealed_at=AT)
    prefixes = b"".join(leaf[:PREFIX_BYTES] for leaf in leaves)
    signature = KEY.sign(signed_batch(head))
    return Batch(head, KEY.public_key().public_bytes_raw(), signature, prefixes), records


@pytest.mark.parametrize(("size", "most"), [(1, 160), (2, 192), (500, 448), (RECORDS_MAX, 480)])
def test_it_is_a_few_hundred_bytes_whatever_the_batch(size: int, most: int) -> None:
    batch, records = sealed(size)
    proofs = [prove(batch, records, place) for place in {0, size // 2, size - 1}]
    sizes = [len(proof.packed()) for proof in proofs if proof]
    assert max(sizes) == most
    assert len(sizes) == len(proofs)


def test_it_holds_for_its_own_record_and_no_other() -> None:
    batch, records = sealed(100)
    for place in (0, 41, 99):
        proof = prove(batch, records, place)
        assert proof is not None
        assert [n for n, record in enumerate(records) if proof.holds(record)] == [place]
        assert read_proof(proof_text(proof, records[place])) == (proof, records[place])


def test_it_proves_nothing_of_a_batch_that_was_changed() -> None:
    batch, records = sealed(10)
    assert prove(batch, [*records[:9], b"{}"], 3) is None


def test_it_survives_no_flipped_bit() -> None:
    batch, records = sealed(300)
    proof = prove(batch, records, 123)
    assert proof is not None
    text, chance = proof_text(proof, records[123]), random.Random(SEED)
    for _ in range(FLIPS):
        changed = bytearray(text)
        place, bit = chance.randrange(len(text)), chance.randrange(8)
        changed[place] ^= 1 << bit
        assert not _holds(read_proof(bytes(changed))), (SEED, place, bit)


def _holds(found: tuple[Proof, bytes] | None) -> bool:
    return found is not None and found[0].holds(found[1])
