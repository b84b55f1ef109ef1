"""The compiled ledger beside the oracle: what each says of a history, and that they agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tests.histories import DAY_0, History, columns
from tests.oracle import Account

from duewise.book.columns import COMPONENTS, FIGURES, NEVER, Columns, Rows
from duewise.book.reading import fold_loans

Figures = npt.NDArray[np.int64]


def fold(columns: Columns, as_of: list[int]) -> tuple[Rows, Figures]:
    n = len(columns.instalments.due)
    rows = Rows(
        effective=np.zeros(n, np.int32),
        penalty=np.zeros(n, np.int64),
        paid=np.zeros((4, n), np.int64),
        waived=np.zeros(n, np.int64),
        paid_in_advance=np.zeros(n, np.int64),
        paid_late=np.zeros(n, np.int64),
        settled=np.zeros(n, np.int32),
        outstanding=np.zeros(n, np.int64),
        days_past_due=np.zeros(n, np.int32),
    )
    figures = np.zeros((len(as_of), len(FIGURES)), np.int64)
    fold_loans(columns, np.array(as_of, np.int32), rows, figures)
    return rows, figures


def told(history: History) -> tuple[dict[str, int | None], list[tuple[object, ...]]]:
    """What the oracle says: the loan's figures, and a tuple an instalment."""
    account = Account(history.terms, history.lines(), history.pauses)
    account.live(min(history.terms.opened, DAY_0 - 1), history.as_of, history.events)
    figures = account.figures(history.as_of)
    lines: list[tuple[object, ...]] = [
        (
            line.effective,
            line.charged["penalty"],
            [line.paid[component] for component in COMPONENTS],
            sum(line.waived.values()),
            line.early,
            line.late,
            line.settled,
            line.owed,
            account.days_past_due(line, history.as_of),
        )
        for line in account.lines
    ]
    charged = sum(line.charged["penalty"] for line in account.lines)
    account.pass_day(history.as_of + 1)
    tomorrow = sum(line.charged["penalty"] for line in account.lines)
    return {**figures, "cost_of_one_more_day": tomorrow - charged}, lines


def assert_agrees(all_of_them: list[History], seeds: list[int] | None = None) -> None:
    made = columns(all_of_them)
    rows, figures = fold(made, [each.as_of for each in all_of_them])
    starts = made.loans.instalment_start
    for k, each in enumerate(all_of_them):
        expected, lines = told(each)
        found = {name: or_none(value) for name, value in zip(FIGURES, figures[k], strict=True)}
        name = f"seed {seeds[k]}" if seeds else str(each)
        assert {key: found[key] for key in expected} == expected, name
        for place, line in zip(range(starts[k], starts[k + 1]), lines, strict=True):
            assert line_of(rows, place) == line, name


def line_of(rows: Rows, place: int) -> tuple[object, ...]:
    return (
        int(rows.effective[place]),
        int(rows.penalty[place]),
        [int(rows.paid[component, place]) for component in range(4)],
        int(rows.waived[place]),
        int(rows.paid_in_advance[place]),
        int(rows.paid_late[place]),
        or_none(rows.settled[place]),
        int(rows.outstanding[place]),
        int(rows.days_past_due[place]),
    )


def or_none(value: np.int64 | np.int32) -> int | None:
    return None if value == NEVER else int(value)
