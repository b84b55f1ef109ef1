from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from duewise.book.align import LoanTables
from duewise.book.ledger import Ledger, ledger
from duewise.book.product import shipped_products
from duewise.book.schema import BORROWERS, INSTALMENTS, LOANS, PAYMENTS
from duewise.errors import BadInput
from duewise.frames import empty
from duewise.message.reply import read_reply
from duewise.sim.lender import DELIVERED, Lender, live_day, synthetic_lender
from duewise.sim.replies import TEXTS

START = date(2026, 8, 14)
SEED = 11
SILENCE = empty(DELIVERED)
FRAMES = ("borrowers", "loans", "instalments", "payments", "people", "latent")


@pytest.fixture(scope="module")
def lender() -> Lender:
    return synthetic_lender(1_500, seed=SEED, start=START)


def reminders(lender: Lender, at: datetime) -> pl.DataFrame:
    return lender.loans.select(
        "borrower_id",
        "loan_id",
        pl.lit(at).cast(DELIVERED["at"]).alias("at"),
        pl.lit("pre_due").alias("stage"),
        pl.lit("gentle").alias("tone"),
        pl.lit(10, pl.Int32).alias("hour"),
    )


def test_it_makes_the_same_lender_from_the_same_seed(lender: Lender) -> None:
    again = synthetic_lender(1_500, seed=SEED, start=START)
    assert all(getattr(lender, name).equals(getattr(again, name)) for name in FRAMES)


def test_it_makes_another_lender_from_another_seed(lender: Lender) -> None:
    other = synthetic_lender(1_500, seed=SEED + 1, start=START)
    assert not lender.loans.equals(other.loans)


def test_it_refuses_a_lender_without_borrowers() -> None:
    with pytest.raises(BadInput, match="0 borrowers"):
        synthetic_lender(0, seed=SEED, start=START)


def test_it_speaks_the_form_of_the_book(lender: Lender) -> None:
    assert lender.borrowers.schema == pl.Schema(BORROWERS)
    assert lender.loans.schema == pl.Schema(LOANS)
    assert lender.instalments.schema == pl.Schema(INSTALMENTS)
    assert lender.payments.schema == pl.Schema(PAYMENTS)
    assert lender.people["phone"].is_unique().all()
    assert lender.people["phone"].str.contains(r"^\+861\d{10}$").all()


def test_it_divides_the_principal_without_loss(lender: Lender) -> None:
    repaid = lender.instalments.group_by("loan_id").agg(pl.col("principal_minor").sum())
    both = lender.loans.join(repaid, on="loan_id", suffix="_repaid")
    assert (both["principal_minor"] == both["principal_minor_repaid"]).all()
    assert lender.instalments.select((pl.col("principal_minor") > 0).all()).item()


def test_it_keeps_the_standing_the_ledger_reads_off_the_payments(lender: Lender) -> None:
    life = lender.twin()
    payments = [life.payments]
    for number in range(5):
        day = START + timedelta(days=number)
        payments.append(live_day(life, day=day, delivered=SILENCE, seed=SEED).payments)
    now = datetime(2026, 8, 18, 16, tzinfo=UTC)  # midnight in Shanghai
    today = date(2026, 8, 18)
    status = owed(life, pl.concat(payments), as_of=today, known_at=now).instalments
    first = status.group_by("loan_id", maintain_order=True).agg(
        pl.col("outstanding_minor").filter(pl.col("outstanding_minor") > 0).first()
    )["outstanding_minor"]
    standing, every = life.standing, np.arange(lender.loans.height)
    is_open = standing.row < standing.end
    owing = every[is_open]
    expected = np.zeros(len(every), np.int64)
    expected[is_open] = standing.rest_minor[owing] + standing.penalty_minor(owing, today)
    assert first.fill_null(0).to_list() == expected.tolist()
    assert status["penalty_paid_minor"].sum() > 0, "somebody has paid a penalty"


def owed(lender: Lender, payments: pl.DataFrame, *, as_of: date, known_at: datetime) -> Ledger:
    tables = LoanTables(lender.loans, lender.instalments, payments)
    products = shipped_products()
    return ledger(tables, products, as_of=as_of, known_at=known_at, zone="Asia/Shanghai")


def test_it_has_history_before_the_start_and_none_after(lender: Lender) -> None:
    assert (lender.payments["paid_at"] < datetime(2026, 8, 13, 16, tzinfo=UTC)).all()
    assert lender.payments["payment_id"].is_unique().all()


def test_it_starts_with_loans_in_several_buckets(lender: Lender) -> None:
    now = datetime(2026, 8, 14, tzinfo=UTC)
    late = owed(lender, lender.payments, as_of=START, known_at=now).instalments["days_past_due"]
    assert late.is_between(1, 30).any()
    assert late.is_between(31, 60).any()


def test_it_pays_between_seven_and_eleven_at_night(lender: Lender) -> None:
    events = live_day(lender.twin(), day=START, delivered=SILENCE, seed=SEED)
    local = events.payments["paid_at"].dt.convert_time_zone("Asia/Shanghai")
    assert (local.dt.date() == START).all()
    assert local.dt.hour().is_between(7, 22).all()


def test_it_does_not_mind_the_order_of_the_messages(lender: Lender) -> None:
    at = datetime(2026, 8, 13, 2, tzinfo=UTC)
    sent = pl.concat([reminders(lender, at - timedelta(days=days)) for days in range(3)])
    one = live_day(lender.twin(), day=START, delivered=sent, seed=SEED)
    two = live_day(lender.twin(), day=START, delivered=sent.reverse(), seed=SEED)
    assert one.payments.equals(two.payments)
    assert one.replies.equals(two.replies)


def test_it_loses_no_payment_to_a_message(lender: Lender) -> None:
    quiet = live_day(lender.twin(), day=START, delivered=SILENCE, seed=SEED).payments
    sent = reminders(lender, datetime(2026, 8, 13, 2, tzinfo=UTC))
    told = live_day(lender.twin(), day=START, delivered=sent, seed=SEED).payments
    assert quiet.join(told, on=quiet.columns, how="anti", nulls_equal=True).is_empty()
    assert told.height > quiet.height


@pytest.mark.parametrize("change", [{"stage": "service"}, {"borrower_id": "nobody"}])
def test_it_is_not_moved_by_messages_that_ask_for_nothing_or_reach_no_one(
    lender: Lender, change: dict[str, str]
) -> None:
    sent = reminders(lender, datetime(2026, 8, 13, 2, tzinfo=UTC))
    sent = sent.with_columns(pl.lit(text).alias(name) for name, text in change.items())
    told = live_day(lender.twin(), day=START, delivered=sent, seed=SEED)
    quiet = live_day(lender.twin(), day=START, delivered=SILENCE, seed=SEED)
    assert told.payments.equals(quiet.payments)
    assert told.replies.is_empty()


def test_it_lives_one_day_after_the_other(lender: Lender) -> None:
    life = lender.twin()
    with pytest.raises(AssertionError, match="next day to live is 2026-08-14"):
        live_day(life, day=START + timedelta(days=1), delivered=SILENCE, seed=SEED)


def test_it_leaves_its_twin_alone(lender: Lender) -> None:
    rest = lender.standing.rest_minor.copy()
    live_day(lender.twin(), day=START, delivered=SILENCE, seed=SEED)
    assert (lender.standing.rest_minor == rest).all()
    assert replace(lender).standing.today == START


@pytest.mark.parametrize("kind", TEXTS)
def test_it_answers_in_words_that_are_understood(kind: str) -> None:
    heard = {text: read_reply(text, today=START).kind for text in TEXTS[kind]}
    assert heard == dict.fromkeys(TEXTS[kind], kind)
