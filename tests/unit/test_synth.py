from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from duewise.book.schema import PEOPLE
from duewise.book.synth import NUMBERS, PREFIXES, people, phone_numbers
from duewise.ids import stable_hash
from duewise.store.phone import normalise_phone


def borrowers(*names: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"borrower_id": names, "borrower_hash": [stable_hash(name) for name in names]}
    ).with_columns(locale=pl.lit("zh-CN"), timezone=pl.lit("Asia/Shanghai"))


def test_it_makes_the_same_person_of_the_same_borrower() -> None:
    group = borrowers("Li", "Wang", "Zhao", "Chen")
    made = people(group, phone_numbers(group["borrower_hash"]))
    again = people(group.reverse(), phone_numbers(group.reverse()["borrower_hash"])).reverse()
    assert made.equals(again)
    assert made.schema == pl.Schema(PEOPLE)
    assert made["phone"].to_list() == again["phone"].to_list()


def test_it_masks_the_name_in_the_salutation() -> None:
    group = borrowers(*(f"B{n}" for n in range(200)))
    made = people(group, phone_numbers(group["borrower_hash"]))
    assert made["salutation"].str.contains(r"^\p{Han}\*(先生|女士)$").all()
    assert (made["salutation"].str.slice(0, 1) == made["name"].str.slice(0, 1)).all()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_it_gives_numbers_that_can_take_a_message(prefix: int) -> None:
    assert normalise_phone(f"+86{prefix}00000000") == f"+86{prefix}00000000"


def test_it_gives_no_number_twice_even_where_hashes_collide() -> None:
    crowd = np.random.default_rng(7).integers(0, 2**63 - 1, 300_000)
    # A hash and its double in slot: the mixing is not undone here, so the crowd is simply large.
    numbers = phone_numbers(pl.Series(crowd))
    assert numbers["phone"].n_unique() == pl.Series(crowd).n_unique()
    assert numbers["phone"].str.len_chars().unique().to_list() == [len("+8613800138000")]
    assert len(crowd) ** 2 / (2 * NUMBERS) > 5  # so some do collide


def test_it_leaves_most_numbers_alone_when_others_come() -> None:
    crowd = np.random.default_rng(7).integers(0, 2**63 - 1, 100_000)
    before = phone_numbers(pl.Series(crowd[:50_000]))
    after = phone_numbers(pl.Series(crowd)).join(before, on=["borrower_hash", "phone"])
    assert after.height > 49_990
