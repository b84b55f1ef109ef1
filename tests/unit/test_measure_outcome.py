from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from duewise.book.schema import INSTALMENTS, PAYMENTS
from duewise.measure.outcome import effects, late_outcomes, sample_ratio, tallies
from duewise.measure.stats import Estimate, Inconclusive, Reason, SampleRatio, Tally

ZONE = "Asia/Shanghai"
DUE = date(2026, 3, 1)
LATER = datetime(2026, 6, 1, tzinfo=UTC)
IN_ORDER = SampleRatio(p_value=0.5, is_mismatch=False)


def owed(*dues: date, borrower: str = "Li", amount: int = 100) -> pl.DataFrame:
    rows = [
        (f"{borrower}-1", borrower, number, due, amount, 0, 0)
        for number, due in enumerate(dues, start=1)
    ]
    return pl.DataFrame(rows, schema=dict(INSTALMENTS), orient="row")


def local(day: int, hour: int = 12, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


def paid(*payments: tuple[datetime, int], kind: str = "payment") -> pl.DataFrame:
    rows = [
        (f"{kind}{number}", "Li-1", "Li", at, amount, kind, None, None, "file")
        for number, (at, amount) in enumerate(payments)
    ]
    return pl.DataFrame(rows, schema=dict(PAYMENTS), orient="row")


def late(
    instalments: pl.DataFrame, payments: pl.DataFrame, at: datetime = LATER
) -> Sequence[object]:
    found = late_outcomes(instalments, payments, known_at=at, zone=ZONE)
    return found.select("late_1d", "late_7d", "late_30d").rows()


def test_it_calls_nobody_late_who_pays_by_the_due_date() -> None:
    assert late(owed(DUE), paid((local(1), 100))) == [(False, False, False)]


def test_it_counts_the_last_minute_of_the_local_day() -> None:
    assert late(owed(DUE), paid((local(2, 23, 59), 100))) == [(False, False, False)]
    assert late(owed(DUE), paid((local(3, 0, 0), 100))) == [(True, False, False)]


def test_it_calls_a_part_not_enough() -> None:
    assert late(owed(DUE), paid((local(1), 99))) == [(True, True, True)]


def test_it_lets_a_rest_within_the_tolerance_pass() -> None:
    instalments = owed(DUE).with_columns(tolerance_minor=pl.lit(1))
    assert late(instalments, paid((local(1), 99))) == [(False, False, False)]


def test_it_settles_the_oldest_instalment_first() -> None:
    instalments = owed(DUE, date(2026, 4, 1))
    assert late(instalments, paid((local(1, month=4), 100))) == [
        (True, True, True),
        (True, True, True),
    ]


def test_it_counts_a_reversal_from_its_own_time_on() -> None:
    payments = pl.concat([paid((local(1), 100)), paid((local(5), 100), kind="reversal")])
    assert late(owed(DUE), payments) == [(False, True, True)]


def test_it_does_not_know_what_has_not_happened_yet() -> None:
    assert late(owed(DUE), paid(), at=local(2, 23, 59)) == [(None, None, None)]
    assert late(owed(DUE), paid(), at=local(9)) == [(True, True, None)]


def test_it_does_not_see_payments_that_were_not_known() -> None:
    payments = paid((local(6), 100), (local(20), 100))
    assert late(owed(DUE), payments, at=local(5)) == [(True, None, None)]


def test_it_keeps_the_rows_of_the_instalments_in_order() -> None:
    instalments = pl.concat([owed(DUE, borrower="Wang"), owed(date(2026, 2, 1), DUE)])
    found = late_outcomes(instalments, paid(), known_at=LATER, zone=ZONE)
    assert found.select(instalments.columns[:4]).equals(instalments[:, :4])


def test_it_takes_any_instalment_of_a_borrower_as_one_event() -> None:
    outcomes = pl.DataFrame(
        {
            "borrower_id": ["Li", "Li", "Wang", "Zhao", "Chen"],
            "due_date": [DUE] * 5,
            "late_1d": [True, True, False, None, True],
        }
    )
    assignments = assigned(Li="treated", Wang="treated", Zhao="treated", Chen="hold_out")
    found = tallies(outcomes, assignments, outcome="late_1d")
    assert found == {"treated": Tally(2, 1, 1), "hold_out": Tally(1, 1, 1)}


def test_it_counts_only_what_fell_due_since_the_assignment() -> None:
    outcomes = pl.DataFrame(
        {
            "borrower_id": ["Li", "Li"],
            "due_date": [date(2026, 2, 27), DUE],
            "late_1d": [True, False],
        }
    )
    found = tallies(outcomes, assigned(Li="treated"), outcome="late_1d")
    assert found == {"treated": Tally(1, 0, 0)}


def test_it_keeps_a_borrower_in_the_arm_of_the_first_assignment() -> None:
    outcomes = pl.DataFrame({"borrower_id": ["Li"], "due_date": [DUE], "late_1d": [True]})
    twice = pl.concat(
        [
            assigned(Li="treated", on=date(2026, 2, 28)),
            assigned(Li="hold_out", on=date(2026, 2, 26)),
        ]
    )
    assert list(tallies(outcomes, twice, outcome="late_1d")) == ["hold_out"]


def assigned(*, on: date = date(2026, 2, 28), **arms: str) -> pl.DataFrame:
    return pl.DataFrame({"borrower_id": list(arms), "arm": list(arms.values())}).with_columns(
        assigned_date=pl.lit(on)
    )


def crowd(treated: int, hold_out: int, *, late_in_10: tuple[int, int]) -> tuple[pl.DataFrame, ...]:
    ids = [f"T{n}" for n in range(treated)] + [f"H{n}" for n in range(hold_out)]
    flags = [n % 10 < late_in_10[0] for n in range(treated)]
    flags += [n % 10 < late_in_10[1] for n in range(hold_out)]
    outcomes = pl.DataFrame({"borrower_id": ids, "late_1d": flags}).with_columns(
        due_date=pl.lit(DUE), late_30d=pl.lit(None, pl.Boolean)
    )
    arms = ["treated"] * treated + ["hold_out"] * hold_out
    assignments = pl.DataFrame({"borrower_id": ids, "arm": arms})
    return outcomes, assignments.with_columns(assigned_date=pl.lit(DUE))


def test_it_compares_treated_with_hold_out() -> None:
    outcomes, assignments = crowd(900, 100, late_in_10=(1, 2))
    ratio = sample_ratio(assignments, hold_out_share=0.1)
    day_1, day_30 = effects(outcomes, assignments, mismatch=ratio, horizons=(1, 30))
    assert isinstance(day_1.estimate, Estimate)
    assert day_1.estimate.point == pytest.approx(-0.1)
    assert day_30.estimate == Inconclusive(Reason.HORIZON_NOT_REACHED)
    assert day_30.treated.mean is None


def test_it_compares_nothing_when_the_arms_are_out_of_ratio() -> None:
    outcomes, assignments = crowd(900, 100, late_in_10=(1, 2))
    ratio = sample_ratio(assignments, hold_out_share=0.05)
    (found,) = effects(outcomes, assignments, mismatch=ratio, horizons=(1,))
    assert found.estimate == Inconclusive(Reason.SAMPLE_RATIO_MISMATCH)


def test_it_compares_nothing_against_an_empty_hold_out() -> None:
    outcomes, assignments = crowd(900, 0, late_in_10=(1, 2))
    (found,) = effects(outcomes, assignments, mismatch=IN_ORDER, horizons=(1,))
    assert found.estimate == Inconclusive(Reason.TOO_FEW_BORROWERS)
