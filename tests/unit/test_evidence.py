"""Merkle trees, paths and chains, against the definition of RFC 6962 written out plainly."""

from __future__ import annotations

import hashlib
import random  # noqa: TID251 -- seeded below
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from duewise.guard.evidence import (
    START,
    audit_path,
    canonical,
    leaf_hash,
    leaf_hashes,
    merkle_root,
    next_head,
    root_from_path,
    verdict_records,
)

AT = datetime(2026, 8, 14, 11, 55, tzinfo=UTC)
# The seven leaves and their roots of the Certificate Transparency reference tests are leaves
# without a number; ours begin with eight bytes of it.
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100, 1023, 1024)


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1: split at the largest power of two below n."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    left, right = by_definition(leaves[:half]), by_definition(leaves[half:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", SIZES)
def test_it_builds_the_tree_of_the_rfc(size: int) -> None:
    leaves = leaf_hashes(17, [b"%d" % n for n in range(size)])
    assert merkle_root(leaves) == by_definition(leaves)


@pytest.mark.parametrize("size", SIZES)
def test_it_proves_each_leaf_and_no_other(size: int) -> None:
    leaves = leaf_hashes(1, [b"%d" % n for n in range(size)])
    root = merkle_root(leaves)
    chance = random.Random(size)
    for place in chance.sample(range(size), min(size, 20)):
        path = audit_path(leaves, place)
        assert len(path) <= 10
        assert root_from_path(leaves[place], place, size, path) == root
        assert root_from_path(leaf_hash(1, b"other"), place, size, path) != root
        assert root_from_path(leaves[place], place, size, [*path, root]) is None
        if path:
            assert root_from_path(leaves[place], place, size, path[1:]) != root


def test_it_hashes_a_leaf_under_its_number() -> None:
    expected = hashlib.sha256(b"\x00" + b"\x00\x00\x00\x00\x00\x00\x00\x07" + b"record")
    assert leaf_hash(7, b"record") == expected.digest()


def test_it_chains_a_batch_to_all_that_was_before() -> None:
    first = next_head(None, leaf_hashes(1, [b"a", b"b"]), sealed_at=AT)
    second = next_head(first, leaf_hashes(3, [b"c"]), sealed_at=AT)
    assert (first.number, first.first, first.last, first.previous) == (1, 1, 2, START)
    assert (second.number, second.first, second.last) == (2, 3, 3)
    assert second.previous == first.chain
    fields: dict[str, Any] = {
        "number": 3,
        "first": 4,
        "records": 2,
        "root": START,
        "previous": START,
    }
    for name, value in fields.items():
        assert replace(second, **{name: value}).chain != second.chain
    assert replace(second, sealed_at=AT.replace(microsecond=1)).chain != second.chain


def test_it_writes_a_record_in_one_way_only() -> None:
    record = {"b": [1, 2.5, None, True], "a": {"z": "李*先生\n", "y": "\u2028"}}
    shuffled = {"a": {"y": "\u2028", "z": "李*先生\n"}, "b": [1, 2.5, None, True]}
    assert canonical(record) == canonical(shuffled)
    assert b"\n" not in canonical(record)
    with pytest.raises(ValueError, match="Out of range float"):
        canonical({"a": float("nan")})


@pytest.mark.parametrize("until", [None, "2026-08-15T00:00:00.000000Z"])
def test_it_writes_a_verdict_in_its_canonical_spelling(until: str | None) -> None:
    shared = {"at": "2026-08-14T11:55:00.000000Z", "gate": "wire", "rulebook": "4f"}
    said = shared | {
        "borrower": 'B"\\\n1 王',
        "envelope": 3,
        "facts": {"to.number_state": "valid"},
        "history": [["sms", 1]],
        "next_allowed_at": until,
        "outcome": "defer",
        "rules": ["CN-CAP-04", "X"],
        "schema": "verdict/1",
        "text": "token",
        "verdict": 7,
    }
    row = (
        str(said["borrower"]),
        3,
        '{"to.number_state":"valid"}',
        '[["sms",1]]',
        until,
        "defer",
        ("CN-CAP-04", "X"),
        "token",
        7,
    )
    assert verdict_records(shared, [row]) == [canonical(said)]
