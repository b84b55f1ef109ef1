"""Hours learned from payments: one's own as far as they go, else the product's, else the book's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from tests.unit.lender import AS_OF, NOW, STRATEGY_TEXT, context, strategy, tables

from duewise.engine.partition import plan_partition
from duewise.strategy.timing import HOURS, hour_weights, place

SHANGHAI = "Asia/Shanghai"
EVENINGS = tuple(1_000 if hour == 20 else 0 for hour in range(HOURS))
MORNINGS = tuple(1_000 if hour == 9 else 0 for hour in range(HOURS))


def _weights(hours_paid: list[int], product: str = "cash") -> np.ndarray:
    """Li's shares, having paid at these hours in Shanghai; cash is paid in the evening."""
    loans = pl.DataFrame({"borrower_id": ["Li"], "product": [product]})
    midnight = datetime(2026, 7, 31, 16, tzinfo=UTC)
    payments = pl.DataFrame(
        {
            "borrower_id": ["Li"] * len(hours_paid),
            "paid_at": [midnight + timedelta(hours=hour) for hour in hours_paid],
        },
        schema={"borrower_id": pl.String, "paid_at": pl.Datetime("us", "UTC")},
    )
    paid = {"cash": EVENINGS, "card": MORNINGS}
    found = hour_weights(loans, payments, paid, zone=SHANGHAI).to_numpy()[0]
    assert abs(found.sum() - 1) < 1e-12
    return np.asarray(found)


def test_it_knows_of_a_newcomer_what_the_product_knows() -> None:
    assert _weights([]).argmax() == 20
    assert _weights([], product="card").argmax() == 9
    new_product = _weights([], product="bullet")
    assert abs(new_product[20] - new_product[9]) < 1e-12


def test_it_learns_from_each_payment_and_never_forgets_the_others() -> None:
    shares = [_weights([12] * count)[12] for count in (0, 1, 5, 50)]
    assert shares == sorted(shares)
    assert shares[0] < 0.01
    assert shares[3] > 0.8
    assert (_weights([12] * 50) > 0).all()


def test_it_spreads_a_crowd_as_its_payments_are_spread() -> None:
    weights = np.tile(_weights([]), (10_000, 1))
    draws = (np.arange(10_000) + 0.5) / 10_000
    opens, closes = np.full(10_000, 9), np.full(10_000, 21)
    hours = 9 + place(weights, opens, closes, draws) * 12
    inside = _weights([])[9:21]
    for hour in (9, 15, 20):
        share = np.mean((hours >= hour) & (hours < hour + 1))
        assert abs(share - inside[hour - 9] / inside.sum()) < 1e-3
    assert (hours >= 9).all()
    assert (hours < 21).all()


def test_it_plans_inside_the_window_at_the_borrowers_own_hour() -> None:
    half_past_six = datetime(2026, 7, 1, 10, 30, tzinfo=UTC)  # in Shanghai
    at_six = [half_past_six + timedelta(days=n % 28, seconds=n) for n in range(280)]
    given = tables(
        {
            "borrower": "Li",
            "due": [AS_OF - timedelta(days=1)],
            "paid": [(at, 100) for at in at_six],
        }
    )
    chosen = strategy(STRATEGY_TEXT + "\nsend_time: learned\n", hold_out_bp=0)
    learned = context(strategy=chosen, paid_by_hour={})
    (row,) = plan_partition(given, context=learned).rows.to_dicts()
    assert (row["step"], row["arm"]) == ("m1_day1", "neutral")
    assert NOW <= row["not_before"] < row["valid_until"]
    assert row["not_before"].hour == 10
    assert plan_partition(given, context=learned).rows.to_dicts() == [row]


def test_it_has_nothing_to_say_where_nobody_is_written_to() -> None:
    far = tables({"borrower": "Li", "due": [AS_OF + timedelta(days=20)]})
    asked = context(paid_by_hour={"instalment": MORNINGS})
    assert plan_partition(far, context=asked).rows["reason"].to_list() == ["no_step"]
