"""Whatever is done to an export is found, and the record is named: 1,300 seeded places."""

from __future__ import annotations

import random  # noqa: TID251 -- seeded below
from collections.abc import Callable

import pytest
from tests.unit.evidence_chain import KEY, RECORDS, SIZES, export

from duewise.guard.evidence import canonical
from duewise.guard.evidence_file import Finding, check, record_line

SEED = 20_260_814
PLACES = 220  # of each of six kinds
LINES, CHECKPOINT = export()
Tampered = tuple[list[bytes], set[int]]


def record_of(place: int) -> set[int]:
    """The records that may be named for a line: its own; all of its batch; none for the ends."""
    line = LINES[place]
    if line.startswith(b"R\t"):
        return {int(line.split(b"\t")[1])}
    if line.startswith(b"B\t"):
        first = int(LINES[place + 1].split(b"\t")[1])
        return set(range(first, first + SIZES[first_batches().index(first)]))
    return {0, len(RECORDS) + 1}


def first_batches() -> list[int]:
    """The first record of each batch."""
    return [sum(SIZES[:number]) + 1 for number in range(len(SIZES))]


def flip(chance: random.Random) -> Tampered:
    """One bit of one byte, anywhere in the file but the line ends."""
    place = chance.randrange(len(LINES))
    line = bytearray(LINES[place])
    line[chance.randrange(len(line))] ^= 1 << chance.randrange(8)
    return [*LINES[:place], *bytes(line).split(b"\n"), *LINES[place + 1 :]], record_of(place)


def delete(chance: random.Random) -> Tampered:
    place = chance.randrange(len(LINES))
    return [*LINES[:place], *LINES[place + 1 :]], record_of(place)


def insert(chance: random.Random) -> Tampered:
    """A record of the forger's, or a copy of one, under a number that exists or does not."""
    place = chance.randrange(1, len(LINES))
    number = chance.randrange(1, len(RECORDS) + 10)
    forged = canonical({"verdict": number, "outcome": "allow"})
    record = chance.choice([forged, RECORDS[min(number, len(RECORDS)) - 1]])
    return [*LINES[:place], record_line(number, record), *LINES[place:]], {number, 0}


def reorder(chance: random.Random) -> Tampered:
    """Two records change places; every other time they change numbers, too."""
    one, other = sorted(chance.sample(range(1, len(RECORDS) + 1), 2))
    places = {int(line.split(b"\t")[1]): n for n, line in enumerate(LINES) if line[:1] == b"R"}
    lines = list(LINES)
    if chance.random() < 0.5:
        lines[places[one]], lines[places[other]] = lines[places[other]], lines[places[one]]
    else:
        lines[places[one]] = record_line(one, RECORDS[other - 1])
        lines[places[other]] = record_line(other, RECORDS[one - 1])
    return lines, {one, other}


def truncate(chance: random.Random) -> Tampered:
    """Everything after a byte is gone."""
    text = b"\n".join(LINES)
    kept = text[: chance.randrange(len(HEAD_AND_BATCH), len(text) - 1)].split(b"\n")
    whole = [line for line in kept[1:-1] if line.startswith(b"R\t")]
    # The cut record, or the first that is missing, is named: or the checkpoint's line, if it is cut.
    return kept, {len(whole) + 1, len(whole) + 2, 0}


def rewrite(chance: random.Random) -> Tampered:
    """With full rights on the database: a record changed, and all after it sealed anew."""
    place = chance.randrange(len(RECORDS))
    record = canonical({"verdict": place + 1, "outcome": "allow", "borrower": "B9999"})
    records = (*RECORDS[:place], record, *RECORDS[place + 1 :])
    first = max(first for first in first_batches() if first <= place + 1)
    return export(records, forged_from=place + 1)[0], {first}


HEAD_AND_BATCH = LINES[0] + LINES[1]


@pytest.mark.parametrize("kind", [flip, delete, insert, reorder, truncate, rewrite])
def test_it_finds_and_names_whatever_was_done(kind: Callable[[random.Random], Tampered]) -> None:
    chance = random.Random(f"{SEED} {kind.__name__}")
    for _ in range(PLACES):
        lines, records = kind(chance)
        if lines == LINES:
            continue
        # A tail that was signed anew with a stolen database is found by what was kept elsewhere.
        found = check(lines, known=CHECKPOINT if kind is rewrite else None).findings
        named = {finding.record for finding in found}
        assert found, (kind.__name__, records)
        assert named & records, (kind.__name__, records, found[:5])


def test_it_finds_nothing_in_an_export_that_nobody_touched() -> None:
    checked = check(LINES, known=CHECKPOINT, keys=frozenset({CHECKPOINT.key.hex()}))
    assert checked.findings == []
    assert (checked.records, checked.batches) == (len(RECORDS), len(SIZES))
    assert checked.keys == {KEY.public_key().public_bytes_raw().hex()}


def test_it_names_the_one_record_that_was_changed() -> None:
    place = LINES.index(record_line(40, RECORDS[39]))
    changed = record_line(40, RECORDS[39].replace(b"B0040", b"B0041"))
    found = check([*LINES[:place], changed, *LINES[place + 1 :]]).findings
    assert found == [Finding(place + 1, 40, "record 40 was changed")]


def test_it_finds_a_key_that_is_not_trusted() -> None:
    found = check(LINES, keys=frozenset({"00" * 32})).findings
    assert len(found) == len(SIZES) + 1
    assert found[0].text == "batch 1 is signed by a key that is not trusted"


def test_it_finds_a_genuine_export_that_ends_before_the_kept_checkpoint() -> None:
    older, _ = export(RECORDS[:66], sizes=SIZES[:3])
    assert check(older).findings == []
    found = check(older, known=CHECKPOINT).findings
    assert [(each.record, each.text) for each in found] == [
        (67, "records that the kept checkpoint counts are missing at the end")
    ]


def test_it_finds_a_chain_rewritten_whole_only_by_what_was_kept() -> None:
    """Whoever has the key can write another history; a checkpoint kept elsewhere still tells."""
    record = RECORDS[0].replace(b"block", b"allow")
    other, _ = export((record, *RECORDS[1:]))
    assert check(other).findings == []
    assert check(other, known=CHECKPOINT).findings[0].record in range(1, len(RECORDS) + 1)
