"""Who borrows, and what: kinds of payers with their habits, their loans and instalments.

Everything follows from seed, date and number of borrowers: a figure is a draw by salt and borrower.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.schema import BORROWERS, INSTALMENTS, LOANS
from duewise.frames import conform
from duewise.ids import draws, stable_hash

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Float64s = npt.NDArray[np.float64]

LOCALE, TIMEZONE = "zh-CN", "Asia/Shanghai"
AUTOPAY_SHARE = 0.30
SECOND_LOAN_SHARE = 0.10
PRODUCT, PENALTY_MULTIPLIER, DAY_COUNT = "cn-principal-first", 1.5, 360
PRINCIPAL_MIN, PRINCIPAL_MAX = 1_000, 50_000  # yuan
RATE_MIN, RATE_MAX = 0.12, 0.236
TERMS = (6, 9, 12, 18, 24)
AGE_MONTHS_MAX = 18
# A habit of one borrower lies within this part of the habit of the kind, to either side.
SPREAD = 0.25


@dataclass(frozen=True)
class Kind:
    """A kind of payer. `late` to `urgency` are the habits each borrower of the kind has alike.

    `late`: probability to miss a due date without any message; `cure`: hazard a day of paying once
    past due; `reminded`, `dunned`: how many times again the hazard rises just after a message
    before and after the due date; `urgency`: what an urgent tone multiplies that by; `no_funds`:
    probability that autopay fails; `partial`: probability that a payment is a part only.
    """

    name: str
    share: float
    late: float
    cure: float
    reminded: float
    dunned: float
    urgency: float
    no_funds: float
    partial: float


# Kinds and the order of their answers to a message: the calibration sheet (forgetful most, the
# cash-strapped and the unreachable hardly: Medina 2021; AFM and Riverty 2024; Heffetz et al. 2022).
# The levels are fitted to moments.TARGETS.
KINDS = (
    Kind("steady", 0.35, 0.07, 0.33, 0.72, 0.25, 1.0, 0.005, 0.005),
    Kind("forgetful", 0.35, 0.35, 0.20, 1.60, 0.60, 0.9, 0.010, 0.005),
    Kind("strategic", 0.10, 0.22, 0.15, 0.45, 0.30, 1.6, 0.020, 0.020),
    Kind("cash_strapped", 0.15, 0.26, 0.10, 0.05, 0.05, 1.0, 0.120, 0.100),
    Kind("unreachable", 0.05, 0.39, 0.05, 0.00, 0.00, 1.0, 0.150, 0.050),
)
HABITS = tuple(field.name for field in fields(Kind))[2:]


def new_borrowers(count: int) -> pl.DataFrame:
    """`count` borrowers in the book's form, in order of their ids."""
    ids = [f"B{number:07d}" for number in range(1, count + 1)]
    frame = pl.DataFrame(
        {"borrower_id": ids, "borrower_hash": [stable_hash(name) for name in ids]},
        schema={"borrower_id": pl.String, "borrower_hash": pl.Int64},
    ).with_columns(locale=pl.lit(LOCALE), timezone=pl.lit(TIMEZONE))
    return conform(frame, BORROWERS, name="borrowers")


def latent(people: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """What no lender sees: borrower_id, borrower_hash, kind, and a column for each of HABITS."""
    luck = people["borrower_hash"]
    edges = np.cumsum([kind.share for kind in KINDS])[:-1]
    number = np.searchsorted(edges, draws(f"sim/{seed}/kind", luck).to_numpy(), side="right")
    of_kind = np.array([astuple(kind)[2:] for kind in KINDS])[number]
    columns = []
    for place, habit in enumerate(HABITS):
        own = 1 + SPREAD * (2 * draws(f"sim/{seed}/{habit}", luck).to_numpy() - 1)
        columns.append(pl.Series(habit, of_kind[:, place] * own))
    kind = pl.Series("kind", [kind.name for kind in KINDS]).gather(number)
    return people.select("borrower_id", "borrower_hash").with_columns(kind, *columns)


def loans(people: pl.DataFrame, *, seed: int, start: date) -> pl.DataFrame:
    """Open loans in the book's form with `term` (months): all run on past the month of `start`."""
    second = draws(f"sim/{seed}/second-loan", people["borrower_hash"]) < SECOND_LOAN_SHARE
    tail = "L" + people["borrower_id"].str.slice(1)
    frame = pl.concat(
        [
            people.select("borrower_id").with_columns((tail + "1").alias("loan_id")),
            people.select("borrower_id").with_columns((tail + "2").alias("loan_id")).filter(second),
        ]
    ).sort("borrower_id", "loan_id")
    luck = pl.Series([stable_hash(loan_id) for loan_id in frame["loan_id"]], dtype=pl.Int64)

    def uniform(what: str) -> Float64s:
        return draws(f"sim/{seed}/{what}", luck).to_numpy()

    term = np.array(TERMS)[(uniform("term") * len(TERMS)).astype(np.int64)]
    age = 1 + (uniform("age") * np.minimum(AGE_MONTHS_MAX, term - 1)).astype(np.int64)
    yuan = PRINCIPAL_MIN * (PRINCIPAL_MAX / PRINCIPAL_MIN) ** uniform("principal")
    rate = np.round(RATE_MIN + (RATE_MAX - RATE_MIN) * uniform("rate"), 4)
    month = np.datetime64(start, "M") - age
    opened = month.astype("datetime64[D]") + (uniform("day") * 28).astype(np.int64)
    frame = frame.with_columns(
        pl.lit(PRODUCT).alias("product"),
        pl.lit("CNY").alias("currency"),
        pl.Series("principal_minor", (yuan / 100).astype(np.int64) * 10_000),
        pl.Series("opened_date", opened),
        pl.Series("annual_rate", rate),
        pl.lit(None).alias("penalty_rate"),
        pl.lit(PENALTY_MULTIPLIER).alias("penalty_multiplier"),
        pl.lit(DAY_COUNT).alias("day_count"),
        pl.lit("equal_instalment").alias("method"),
        pl.Series("autopay", uniform("autopay") < AUTOPAY_SHARE),
        pl.lit(0).alias("grace_days"),
        pl.lit(0).alias("tolerance_minor"),
        pl.lit("open").alias("status"),
        pl.Series("term", term),
        luck.alias("loan_hash"),
    )
    extra = {"loan_hash": pl.Int64()}
    return conform(frame, {**LOANS, **extra}, name="loans")


def instalments(loans: pl.DataFrame) -> pl.DataFrame:
    """Equal monthly instalments in the book's form; the last one takes what rounding left over.

    `loans` has the column `term`. The first is due a month after opening, on the same day.
    """
    balance = loans["principal_minor"].to_numpy().copy()
    rate, term = loans["annual_rate"].to_numpy() / 12, loans["term"].to_numpy()
    level = np.rint(balance * rate / (1 - (1 + rate) ** -term)).astype(np.int64)
    opened = loans["opened_date"].to_numpy().astype("datetime64[D]")
    month = opened.astype("datetime64[M]")
    parts = []
    for number in range(1, int(term.max(initial=0)) + 1):
        interest = np.rint(balance * rate).astype(np.int64)
        principal = np.where(number == term, balance, level - interest)
        due = (month + number).astype("datetime64[D]") + (opened - month)
        parts.append(
            loans.select("loan_id", "borrower_id")
            .with_columns(
                pl.lit(number).alias("number"),
                pl.Series("due_date", due),
                pl.Series("principal_minor", principal),
                pl.Series("interest_minor", interest),
                pl.lit(0).alias("fee_minor"),
            )
            .filter(pl.Series(number <= term))
        )
        balance = balance - principal
    frame = conform(pl.concat(parts), INSTALMENTS, name="instalments")
    return frame.sort("borrower_id", "loan_id", "number")
