"""The two public files of credit scoring as frames of features: documented ratios and trends.

Features are made row by row, from the row alone: nothing is learned here, so no fold can leak.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

MONTHS = range(1, 7)  # 1 is September 2005, the latest
IDLE = -2  # the card was not used
GMSC_COUNTS = {
    30: "NumberOfTime30-59DaysPastDueNotWorse",
    60: "NumberOfTime60-89DaysPastDueNotWorse",
    90: "NumberOfTimes90DaysLate",
}
LATE_TWO = 2  # months: one month late is often a bill that crossed a payment
CODES_FROM = 96  # of Give Me Some Credit: such counts are codes


@dataclass(frozen=True)
class Task:
    """What is predicted of a file, and what is known beforehand of its features' signs."""

    frame: pl.DataFrame
    signs: Mapping[str, int]
    target: str = "late"
    group: str = "row"
    money: str = "money"
    protected: tuple[str, ...] = ()


def uci_card(folder: Path) -> Task:
    """30,000 card holders in Taiwan, 2005: late in the month after six known ones."""
    raw = pl.read_csv(folder / "uci-credit-card-default" / "UCI_Credit_Card.csv")
    status = {n: pl.col(f"PAY_{0 if n == 1 else n}").cast(pl.Float64) for n in MONTHS}
    bill = {n: pl.col(f"BILL_AMT{n}").cast(pl.Float64) for n in MONTHS}
    paid = {n: pl.col(f"PAY_AMT{n}").cast(pl.Float64) for n in MONTHS}
    limit = pl.col("LIMIT_BAL").cast(pl.Float64)
    frame = raw.select(
        row=pl.col("ID"),
        late=pl.col("default.payment.next.month"),
        money=pl.col("BILL_AMT1").clip(lower_bound=0),
        age=pl.col("AGE"),
        sex=pl.col("SEX").replace_strict({1: "male", 2: "female"}),
        limit=limit,
        education=pl.col("EDUCATION").cast(pl.String),
        marriage=pl.col("MARRIAGE").cast(pl.String),
        **{f"status_{n}": status[n] for n in MONTHS},
        **{f"bill_{n}": bill[n] for n in MONTHS},
        **{f"paid_{n}": paid[n] for n in MONTHS},
        **_late_counts(status),
        **_ratios(bill, paid, limit),
        **_trends(bill, paid, limit),
    )
    return Task(frame, _uci_signs(), protected=("age", "sex", "marriage"))


def _late_counts(status: Mapping[int, pl.Expr]) -> dict[str, pl.Expr]:
    """How often, how long, how lately and how steadily the bill came late."""
    late = {n: status[n].clip(lower_bound=0) for n in MONTHS}
    weights = {n: 0.6 ** (n - 1) for n in MONTHS}
    return {
        "late_months": sum_of((late[n] > 0).cast(pl.Float64) for n in MONTHS),
        "late_2_months": sum_of((late[n] >= LATE_TWO).cast(pl.Float64) for n in MONTHS),
        "late_3_latest": sum_of((late[n] >= LATE_TWO).cast(pl.Float64) for n in (1, 2, 3)),
        "late_worst": pl.max_horizontal(late.values()),
        "late_sum": sum_of(late.values()),
        "late_fading": sum_of(late[n] * weights[n] for n in MONTHS),
        "late_change": late[1] - late[2],
        "late_trend": late[1] + late[2] + late[3] - late[4] - late[5] - late[6],
        "status_sum": sum_of(status.values()),
        "idle_months": sum_of((status[n] == IDLE).cast(pl.Float64) for n in MONTHS),
        "paid_in_full_months": sum_of((status[n] == -1).cast(pl.Float64) for n in MONTHS),
        "months_since_late": pl.coalesce(
            pl.when(late[n] >= LATE_TWO).then(float(n)) for n in MONTHS
        ).fill_null(7.0),
    }


def _ratios(
    bill: Mapping[int, pl.Expr], paid: Mapping[int, pl.Expr], limit: pl.Expr
) -> dict[str, pl.Expr]:
    """Utilisation of the limit; what of a bill was paid in the month after it."""
    share = {
        n: pl.when(bill[n + 1] > 0).then((paid[n] / bill[n + 1]).clip(upper_bound=2))
        for n in range(1, 6)
    }
    shortfall = {n: (bill[n + 1] - paid[n]) / limit for n in range(1, 6)}
    used = {n: bill[n] / limit for n in MONTHS}
    return {
        **{f"used_{n}": used[n] for n in (1, 2, 3)},
        "used_mean": pl.mean_horizontal(used.values()),
        "used_max": pl.max_horizontal(used.values()),
        **{f"paid_share_{n}": share[n] for n in (1, 2, 3)},
        "paid_share_mean": pl.mean_horizontal(share.values()),
        "paid_share_min": pl.min_horizontal(share.values()),
        "paid_to_limit": pl.mean_horizontal(paid.values()) / limit,
        "paid_all": pl.sum_horizontal(paid.values())
        / pl.sum_horizontal(bill[n].clip(lower_bound=0) for n in MONTHS).clip(lower_bound=1),
        "shortfall_1": shortfall[1],
        "shortfall_mean": pl.mean_horizontal(shortfall.values()),
        "room": limit - bill[1],
    }


def _trends(
    bill: Mapping[int, pl.Expr], paid: Mapping[int, pl.Expr], limit: pl.Expr
) -> dict[str, pl.Expr]:
    """How the bill and the payments move, and how unsteadily."""
    return {
        "bill_change_1": (bill[1] - bill[2]) / limit,
        "bill_change_3": (bill[1] - bill[4]) / limit,
        "bill_change_5": (bill[1] - bill[6]) / limit,
        "bill_spread": pl.concat_list(list(bill.values())).list.std() / limit,
        "paid_max": pl.max_horizontal(paid.values()),
        "paid_min": pl.min_horizontal(paid.values()),
        "paid_mean": pl.mean_horizontal(paid.values()),
        "paid_change": (paid[1] - pl.mean_horizontal(paid[n] for n in (2, 3, 4))) / limit,
        "paid_nothing_months": sum_of((paid[n] == 0).cast(pl.Float64) for n in MONTHS),
        "paid_nothing_latest": sum_of((paid[n] == 0).cast(pl.Float64) for n in (1, 2)),
        "spent": (bill[1] - bill[2] + paid[1]) / limit,
    }


def _uci_signs() -> dict[str, int]:
    """More lateness never means less risk; more limit or more paid never means more."""
    worse = [
        "late_months",
        "late_2_months",
        "late_3_latest",
        "late_worst",
        "late_sum",
        "late_fading",
    ]
    better = ["limit", "paid_to_limit", "paid_max", "paid_mean", "paid_1", "paid_2", "paid_3"]
    return dict.fromkeys(worse, 1) | dict.fromkeys(better, -1)


def give_me_some_credit(folder: Path) -> Task:
    """150,000 borrowers, 2011: 90 days late within two years. Codes 96 and 98 are not counts."""
    path = folder / "give-me-some-credit" / "cs-training.csv"
    raw = pl.read_csv(path, null_values=["NA", ""]).rename({"": "row"})
    income = pl.when(pl.col("MonthlyIncome") > 0).then(pl.col("MonthlyIncome")).cast(pl.Float64)
    used = pl.col("RevolvingUtilizationOfUnsecuredLines")
    lines = pl.col("NumberOfOpenCreditLinesAndLoans").cast(pl.Float64)
    homes = pl.col("NumberRealEstateLoansOrLines").cast(pl.Float64)
    ratio = pl.col("DebtRatio")
    # Where the income is missing or nearly nothing, the file's "ratio" is the debt itself.
    debt = pl.when(income > 1).then(ratio * income).otherwise(ratio)
    family = pl.col("NumberOfDependents").cast(pl.Float64)
    frame = raw.select(
        row=pl.col("row"),
        late=pl.col("SeriousDlqin2yrs"),
        money=debt.fill_null(0.0),
        age=pl.when(pl.col("age") > 0).then(pl.col("age")),
        used=used,
        used_per_line=used / lines.clip(lower_bound=1),
        used_fully=(used >= 1).cast(pl.Float64),
        income=income,
        income_each=income / (family.fill_null(0) + 1),
        has_income=income.is_not_null().cast(pl.Float64),
        debt=debt,
        debt_to_income=pl.when(income > 1).then(ratio),
        left_over=income - debt,
        lines=lines,
        homes=homes,
        other_lines=lines - homes,
        family=family,
        **_gmsc_lateness(lines, used),
    )
    worse = [
        "late_30",
        "late_60",
        "late_90",
        "late_times",
        "late_weighed",
        "late_kinds",
        "late_and_used",
    ]
    return Task(frame, dict.fromkeys(worse, 1), protected=("age",))


def _gmsc_lateness(lines: pl.Expr, used: pl.Expr) -> dict[str, pl.Expr]:
    """Counts of being 30, 60 and 90 days late, added up and weighed."""
    late = {days: pl.col(name).cast(pl.Float64) for days, name in GMSC_COUNTS.items()}
    counts = {days: pl.when(count < CODES_FROM).then(count) for days, count in late.items()}
    times = sum_of(counts.values())
    return {
        **{f"late_{days}": count for days, count in counts.items()},
        "late_code": (late[90] >= CODES_FROM).cast(pl.Float64),
        "late_times": times,
        "late_weighed": counts[30] + 2 * counts[60] + 3 * counts[90],
        "late_kinds": sum_of((count > 0).cast(pl.Float64) for count in counts.values()),
        "late_per_line": times / lines.clip(lower_bound=1),
        "late_and_used": times * used.clip(upper_bound=1.5),
    }


def sum_of(terms: Iterable[pl.Expr]) -> pl.Expr:
    """Null where a term is."""
    return pl.sum_horizontal(*terms, ignore_nulls=False)
