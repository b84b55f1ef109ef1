from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.compared import fold
from tests.histories import columns, history_of

from duewise.book import compiled, reading
from duewise.book.compiled import COMPILED, sources_hash
from duewise.book.straight import fold_straight

BOOK = Path(compiled.__file__).parent


@pytest.mark.parametrize("name", COMPILED)
def test_it_runs_no_old_arithmetic_when_a_compiled_file_changes(tmp_path: Path, name: str) -> None:
    for each in COMPILED:
        shutil.copy(BOOK / each, tmp_path / each)
    before = sources_hash(tmp_path)
    assert before == sources_hash(BOOK)
    with (tmp_path / name).open("a") as file:
        file.write("# changed\n")
    assert sources_hash(tmp_path) != before


def test_it_knows_every_file_that_is_compiled() -> None:
    makers = ("@compiled", "@inlined")
    found = {p.name for p in BOOK.glob("*.py") if any(m in p.read_text() for m in makers)}
    assert found <= set(COMPILED)


def test_it_takes_the_short_way_where_it_can() -> None:
    histories = [history_of(seed) for seed in range(1_000)]
    made = columns(histories)
    rows, figures = fold(made, [each.as_of for each in histories])
    days = np.array([each.as_of for each in histories], np.int32)
    others = np.empty(len(days), np.int64)
    count = fold_straight(made, days, rows, figures, others)
    for k, each in enumerate(histories):
        terms, kinds = each.terms, {e.kind for e in each.events if e.day <= each.as_of}
        is_straight = (
            (terms.by, terms.advance, terms.compound_every_days) == ("instalment", "next", 0)
            and terms.late_fee is terms.late_fee_share is None
            and kinds <= {"payment"}
            and not each.pauses
        )
        assert is_straight != (k in others[:count])
    assert len(histories) - count > 300


def test_it_compiles_the_fold_once_whatever_the_history() -> None:
    for seed in range(20):
        each = history_of(seed)
        fold(columns([each]), [each.as_of])
    assert len(vars(reading)["fold_loans"].signatures) == 1
