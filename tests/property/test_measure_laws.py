from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from duewise.book.schema import INSTALMENTS, PAYMENTS
from duewise.measure.outcome import late_outcomes
from duewise.measure.stats import Estimate, Inconclusive, Reason, Tally, difference

ZONE = ZoneInfo("Asia/Shanghai")
FIRST = date(2026, 3, 1)

tallies = st.builds(Tally, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))


@st.composite
def counts(draw: st.DrawFn) -> Tally:
    n = draw(st.integers(0, 5_000))
    late = draw(st.integers(0, n))
    return Tally(n, late, late)


@given(tallies, tallies, tallies)
def test_it_adds_tallies_in_any_order_and_grouping(a: Tally, b: Tally, c: Tally) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Tally(0, 0, 0) == a


@given(st.lists(st.integers(-50, 50), min_size=2), st.integers(0, 100))
def test_it_tells_the_same_of_parts_as_of_the_whole(values: list[int], at: int) -> None:
    whole, head, tail = (tally(part) for part in (values, values[:at], values[at:]))
    assert head + tail == whole
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    assert abs(whole.variance - variance) < 1e-6


def tally(values: list[int]) -> Tally:
    return Tally(len(values), sum(values), sum(value**2 for value in values))


@given(counts(), counts())
def test_it_never_gives_a_point_outside_its_interval(control: Tally, treated: Tally) -> None:
    found = difference(control, treated)
    if isinstance(found, Inconclusive):
        assert found.reason in {Reason.TOO_FEW_BORROWERS, Reason.NO_EVENTS}
        return
    assert -1 - 1e-12 <= found.low <= found.point <= found.high <= 1 + 1e-12


@given(counts(), counts())
def test_it_mirrors_when_the_arms_change_places(control: Tally, treated: Tally) -> None:
    there, back = difference(control, treated), difference(treated, control)
    if isinstance(there, Estimate) and isinstance(back, Estimate):
        mirrored = (there.point + back.point, there.low + back.high, there.high + back.low)
        assert max(map(abs, mirrored)) < 1e-12
    else:
        assert there == back


events = st.lists(
    st.tuples(st.integers(-10, 60), st.integers(0, 23), st.integers(1, 250), st.booleans()),
    max_size=6,
)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4, unique=True), events, st.integers(0, 70)
)
def test_it_agrees_with_a_book_kept_by_hand(
    dues: list[int], moves: list[tuple[int, int, int, bool]], known_day: int
) -> None:
    due_dates = [FIRST + timedelta(days=day) for day in sorted(dues)]
    payments = [
        (
            datetime.combine(FIRST + timedelta(days=day), time(hour), ZONE).astimezone(UTC),
            amount,
            "reversal" if is_reversal else "payment",
        )
        for day, hour, amount, is_reversal in moves
    ]
    known_at = datetime.combine(FIRST + timedelta(days=known_day), time(12), ZONE).astimezone(UTC)
    found = late_outcomes(
        pl.DataFrame(
            [("L", "Li", number, due, 100, 0, 0) for number, due in enumerate(due_dates, 1)],
            schema=dict(INSTALMENTS),
            orient="row",
        ),
        pl.DataFrame(
            [
                (str(n), "L", "Li", at, minor, kind, None, None, "")
                for n, (at, minor, kind) in enumerate(payments)
            ],
            schema=dict(PAYMENTS),
            orient="row",
        ),
        known_at=known_at,
        zone="Asia/Shanghai",
    )
    for number, due in enumerate(due_dates, start=1):
        for days in (1, 7, 30):
            end = datetime.combine(due + timedelta(days=days + 1), time(), ZONE)
            told = found[f"late_{days}d"][number - 1]
            if end.astimezone(UTC) > known_at:
                assert told is None
                continue
            net = sum(
                minor if kind == "payment" else -minor
                for at, minor, kind in payments
                if at < end and at <= known_at
            )
            assert told == (net < 100 * number)
