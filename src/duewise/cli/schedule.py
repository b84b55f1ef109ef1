"""The command that shows what a loan looks like, for whoever designs or checks one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from duewise.cli.common import parse_day, print_json, print_table, say, wants_json
from duewise.errors import BadInput

if TYPE_CHECKING:
    import polars as pl

Method = Literal["equal_instalment", "equal_principal", "interest_only", "bullet", "revolving"]
Frequency = Literal["monthly", "quarterly", "weekly", "fortnightly"]
DayCount = Literal["equal_periods", "actual_360", "actual_365", "30_360", "30e_360", "30e_360_isda"]
MonthEnd = Literal["anchor", "end_of_month", "isda_eom"]
Residue = Literal["last", "first"]

# Which option a column of the terms comes from, where it is not called like it.
OPTIONS = {
    "principal_minor": "--principal",
    "annual_rate": "--rate",
    "opened_date": "--opened",
    "first_due_date": "--first-due",
    "minimum_share": "--minimum-share",
    "minimum_floor_minor": "--minimum-floor",
    "upfront_fee_minor": "--upfront-fee",
    "upfront_fee_share": "--upfront-fee",
    "instalment_fee_minor": "--instalment-fee",
    "instalment_fee_share": "--instalment-fee",
}
NUMBER_MAX = 10**12  # in major units
RATES = (  # as shown: name, column, decimals, by which definition
    ("nominal", "annual_rate", "0.01", "the contract"),
    ("compound", "effective_rate", "0.01", "PBOC [2021] No. 3, internal rate of return"),
    ("simple", "simple_rate", "0.01", "PBOC [2021] No. 3, simple"),
    ("APRC", "effective_rate", "0.1", "2008/48/EC, 2014/17/EU, (EU) 2023/2225"),
    ("APR", "us_apr", "0.01", "12 CFR 1026, Appendix J, actuarial method"),
)
AMOUNTS = ("principal_minor", "interest_minor", "fee_minor")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(schedule)


def schedule(
    context: typer.Context,
    principal: Annotated[str, typer.Option(help="Decimal, in major units.")],
    rate: Annotated[str, typer.Option(help="A year's: 21.6% or 0.216.")],
    term: Annotated[int, typer.Option(help="How many periods.")],
    opened: Annotated[str, typer.Option(help="The day the money is paid out.")],
    first_due: Annotated[
        str | None, typer.Option(help="First due date; default one period later.")
    ] = None,
    method: Annotated[Method, typer.Option(help="How it is repaid.")] = "equal_instalment",
    frequency: Annotated[Frequency, typer.Option(help="How long a period is.")] = "monthly",
    day_count: Annotated[DayCount, typer.Option(help="How days become years.")] = "equal_periods",
    month_end: Annotated[MonthEnd, typer.Option(help="Where a short month ends.")] = "anchor",
    residue: Annotated[Residue, typer.Option(help="Which instalment takes it.")] = "last",
    minimum_share: Annotated[str, typer.Option(help="Revolving: of the balance.")] = "10%",
    minimum_floor: Annotated[str, typer.Option(help="Revolving: no less than this.")] = "0",
    upfront_fee: Annotated[str, typer.Option(help="An amount, or a share such as 1%.")] = "0",
    instalment_fee: Annotated[str, typer.Option(help="The same, with each instalment.")] = "0",
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = "CNY",
) -> None:
    """Show a loan's instalments, what it costs, and its rates by each definition."""
    money = _Money(_currency(currency))
    loan = {
        "loan_id": "loan",
        "principal_minor": money.minor(principal, "--principal"),
        "annual_rate": _share(rate, "--rate"),
        "opened_date": parse_day(opened, source="--opened"),
        "first_due_date": parse_day(first_due, source="--first-due") if first_due else None,
        "term": term,
        "method": method,
        "frequency": frequency,
        "day_count": day_count,
        "month_end": month_end,
        "residue": residue,
        "minimum_share": _share(minimum_share, "--minimum-share"),
        "minimum_floor_minor": money.minor(minimum_floor, "--minimum-floor"),
        **money.fee("upfront_fee", upfront_fee),
        **money.fee("instalment_fee", instalment_fee),
    }
    _show(loan, money, as_json=wants_json(context))


def _show(loan: dict[str, object], money: _Money, *, as_json: bool) -> None:
    import polars as pl

    from duewise.book.rate import annual_rates
    from duewise.book.schedule import instalments, upfront_fees

    terms = pl.DataFrame([loan])
    try:
        rows = instalments(terms)
    except BadInput as error:
        column = error.source or ""
        option = OPTIONS.get(column, f"--{column.replace('_', '-')}")
        said = error.message.removeprefix(f"{column} ").replace(" of loan 'loan'", "")
        mend = "give an amount above 0" if column == "principal_minor" else error.mend
        raise BadInput(said, source=option, mend=mend) from error
    rows = rows.with_columns(
        pl.sum_horizontal(AMOUNTS).alias("instalment_minor"),
        (terms["principal_minor"][0] - pl.col("principal_minor").cum_sum()).alias("owed_minor"),
    )
    totals = _totals(rows, upfront=upfront_fees(terms)[0])
    rates = annual_rates(terms, rows).drop("loan_id").row(0, named=True)
    if as_json:
        listed = [money.plain(row) for row in rows.drop("loan_id").iter_rows(named=True)]
        stated = {"annual_rate": loan["annual_rate"], **rates}
        print_json({"instalments": listed, "totals": money.plain(totals), "rates": stated})
        return
    columns = ["number", "due_date", "instalment", *_bare(AMOUNTS), "owed"]
    table = [
        [str(row[name]) if name in row else money.shown(row[f"{name}_minor"]) for name in columns]
        for row in rows.iter_rows(named=True)
    ]
    print_table(f"Schedule in {money.currency}", columns, table)
    for name, amount in totals.items():
        say(f"{name.removesuffix('_minor').replace('_', ' ')}: {money.shown(amount)}")
    _show_rates({"annual_rate": loan["annual_rate"], **rates})


def _show_rates(rates: Mapping[str, object]) -> None:
    from duewise.book.rate import Reason

    lines = [
        [name, f"{Decimal(value * 100).quantize(Decimal(places), ROUND_HALF_UP)} %", source]
        for name, column, places, source in RATES
        if isinstance(value := rates[column], float)
    ]
    print_table("Rates a year", ["rate", "per cent", "by"], lines)
    if rates["reason"]:
        reason = Reason(str(rates["reason"]))
        say(f"no annual rate ({reason}): {reason.meaning}")


def _totals(rows: pl.DataFrame, *, upfront: int) -> dict[str, int]:
    """What is borrowed, and what it costs altogether."""
    principal, interest, fee = (int(rows[name].sum()) for name in AMOUNTS)
    return {
        "principal_minor": principal,
        "interest_minor": interest,
        "fee_minor": fee,
        "upfront_fee_minor": upfront,
        "total_cost_minor": interest + fee + upfront,
    }


def _bare(names: tuple[str, ...]) -> list[str]:
    return [name.removesuffix("_minor") for name in names]


@dataclass(frozen=True)
class _Money:
    """Amounts as the caller writes and reads them, in one currency."""

    currency: str

    def minor(self, text: str, option: str) -> int:
        """Whole minor units of a decimal amount."""
        from duewise.money import minor_digits

        digits = minor_digits(self.currency)
        amount = _decimal(text, option, mend=f"write 12000{'.00'[: digits + 1 if digits else 0]}")
        if amount < 0:
            raise BadInput(f"{text!r} is negative", source=option, mend="leave out the sign")
        scaled = amount.scaleb(digits)
        if scaled != int(scaled):
            said = f"{self.currency} has {digits} decimals"
            raise BadInput(f"{text!r}: {said}", source=option, mend="give no more")
        return int(scaled)

    def fee(self, name: str, text: str) -> dict[str, object]:
        """A fee's two columns: a fixed amount, or a share of the principal."""
        option = f"--{name.replace('_', '-')}"
        if text.endswith("%"):
            return {f"{name}_minor": 0, f"{name}_share": _share(text, option)}
        return {f"{name}_minor": self.minor(text, option), f"{name}_share": 0.0}

    def shown(self, minor: int) -> str:
        """The amount with its decimals, without the currency."""
        from duewise.money import Money

        return f"{Money(minor, self.currency).major:,f}"

    def plain(self, amounts: Mapping[str, object]) -> dict[str, object]:
        """The same row, each amount a decimal text in major units."""
        from duewise.money import Money

        return {
            name.removesuffix("_minor"): str(Money(value, self.currency).major)
            if name.endswith("_minor") and isinstance(value, int)
            else value
            for name, value in amounts.items()
        }


def _currency(text: str) -> str:
    from babel.numbers import is_currency

    if not is_currency(text, locale="en"):
        raise BadInput(f"{text!r} is no currency", source="--currency", mend="write CNY")
    return text


def _share(text: str, option: str) -> float:
    """A rate or share: `21.6%` or `0.216`. From 1 on it takes the sign to say what is meant."""
    mend = "write 21.6% or 0.216"
    number = _decimal(text.removesuffix("%"), option, mend=mend)
    if not text.endswith("%") and number >= 1:
        raise BadInput(f"{text!r} may be a number or per cent", source=option, mend=mend)
    return float(number / 100 if text.endswith("%") else number)


def _decimal(text: str, option: str, *, mend: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise BadInput(f"{text!r} is no number", source=option, mend=mend) from error
    if not number.is_finite() or abs(number) > NUMBER_MAX:
        raise BadInput(f"{text!r} is no number to reckon with", source=option, mend=mend)
    return number
