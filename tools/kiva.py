"""Fold Kiva's loans by the ledger and by plain arithmetic, and say where they differ: nowhere.

`python tools/kiva.py FOLDER` prints a table for docs/benchmarks.md. FOLDER holds loans.csv,
instalments.csv and payments.csv of the public snapshot, in the layout of the mapping `kiva`. The
loans that the mapping leaves out (refunded, deleted) are folded, too, so that every loan with a
schedule is accounted for.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from duewise.book.mapping import load_mapping
from duewise.book.product import shipped_products
from duewise.jobs.ledger_files import ledger_of_part
from duewise.store.book import import_book, open_book

AS_OF = date(2015, 1, 5)  # the snapshot's day: after the last payment
TOLERANCE = Decimal("0.01")
Split = dict[int, int]


@dataclass(frozen=True)
class Account:
    """A loan as its files have it: (number, minor units) by due date, and what was paid in all."""

    status: str
    instalments: tuple[tuple[int, int], ...]
    paid: int
    currency_loss: int
    stated_paid: int  # by the loan's own row

    @property
    def due(self) -> int:
        return sum(amount for _, amount in self.instalments)

    def first_in_first_out(self) -> Split:
        """What each instalment gets if the oldest is filled first."""
        left, split = self.paid, {}
        for number, amount in self.instalments:
            split[number] = min(left, amount)
            left -= split[number]
        return split

    def cause(self) -> str | None:
        """Why what was paid is not what was due; None where the files give no reason."""
        residual, allowed = self.paid - self.due, TOLERANCE * self.due
        reasons = {
            "tolerance": abs(residual) <= allowed,
            "refunded": self.status == "refunded" and self.paid == 0,
            "deleted": self.status == "deleted" and self.paid == 0,
            "currency_loss": self.currency_loss > 0 and residual + self.currency_loss <= allowed,
            "under_payment": self.status == "defaulted" and residual < 0,
            "over_payment": residual > 0 and self.stated_paid == self.due,
        }
        return next((cause for cause, holds in reasons.items() if holds), None)


def read_accounts(folder: Path) -> dict[str, Account]:
    """Every loan with a schedule, from the files themselves and by no line of the product."""
    schedules: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for row in _rows(folder / "instalments.csv"):
        if row["schedule"] == "borrower":
            due = (row["due_date"], int(row["instalment_no"]), _minor(row["amount"]))
            schedules[row["loan_id"]].append(due)
    paid, lost = Counter[str](), Counter[str]()
    for row in _rows(folder / "payments.csv"):
        paid[row["loan_id"]] += _minor(row["amount_usd"])
        lost[row["loan_id"]] += _minor(row["currency_exchange_loss_amount"] or "0")
    return {
        row["loan_id"]: Account(
            row["status"],
            tuple((number, amount) for _, number, amount in sorted(schedules[row["loan_id"]])),
            paid[row["loan_id"]],
            lost[row["loan_id"]],
            _minor(row["paid_amount"] or "0"),
        )
        for row in _rows(folder / "loans.csv")
        if row["loan_id"] in schedules
    }


def fold(folder: Path) -> tuple[dict[str, Split], dict[str, int]]:
    """What the ledger says each instalment got, and each loan's money that nothing was due for."""
    mapping = load_mapping("kiva")
    tables = {**mapping.tables, "loans": replace(mapping.tables["loans"], leave_out=())}
    with tempfile.TemporaryDirectory(prefix="duewise-kiva-") as place:
        into = Path(place) / "book"
        whole = replace(mapping, tables=tables)
        import_book(folder, whole, into, imported_at=datetime(2015, 1, 5, tzinfo=UTC))
        book = open_book(into)
        found = [
            ledger_of_part(book, shipped_products(), number, as_of=AS_OF)
            for number in range(book.partitions)
        ]
        instalments = pl.concat(each.instalments for each in found)
        loans = pl.concat(each.loans for each in found)
    splits: dict[str, Split] = defaultdict(dict)
    got = instalments.select(
        "loan_id",
        "number",
        pl.sum_horizontal(f"{name}_paid_minor" for name in _COMPONENTS),
    )
    for loan, number, minor in got.iter_rows():
        splits[loan][number] = minor
    return splits, dict(loans.select("loan_id", "overpaid_minor").iter_rows())


_COMPONENTS = ("principal", "interest", "fee", "penalty")


def figures(folder: Path) -> dict[str, int]:
    """All that is printed: counts of loans and instalments, residuals in minor units."""
    accounts = read_accounts(folder)
    splits, overpaid = fold(folder)
    folded = {loan: each for loan, each in accounts.items() if loan in splits}
    expected = {loan: each.first_in_first_out() for loan, each in folded.items()}
    equal = sum(
        splits[loan].get(number) == minor
        for loan, split in expected.items()
        for number, minor in split.items()
    )
    causes = Counter(each.cause() for each in accounts.values())
    return {
        "loans with a schedule": len(accounts),
        "… folded by the ledger": len(folded),
        "their instalments": sum(len(split) for split in expected.values()),
        "… whose allocation equals first-in-first-out": equal,
        "loans whose money not due for anything equals what was paid too much": sum(
            overpaid[loan] == max(each.paid - each.due, 0) for loan, each in folded.items()
        ),
        **{f"residual: {words}": causes[cause] for cause, words in WORDS.items()},
        "minor units paid less than due": sum(max(a.due - a.paid, 0) for a in accounts.values()),
        "minor units paid more than due": sum(max(a.paid - a.due, 0) for a in accounts.values()),
    }


WORDS: Mapping[str | None, str] = {
    "tolerance": "none, paid and due agree within 1 %",
    "refunded": "refunded to its lenders",
    "deleted": "deleted",
    "currency_loss": "short by the stated currency loss",
    "under_payment": "under-payment of a loan that defaulted",
    "over_payment": "over-payment: more than the loan's own total, which is what was due",
    None: "of no known cause",
}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _minor(text: str) -> int:
    return int((Decimal(text) * 100).to_integral_value())


def main(arguments: Sequence[str]) -> None:
    """Print the figures as a table."""
    if len(arguments) != 1:
        sys.exit("usage: python tools/kiva.py FOLDER")
    print("| Kiva, 2005 to 2006 | |\n|---|---|")
    for name, count in figures(Path(arguments[0])).items():
        print(f"| {name} | {count:,} |")


if __name__ == "__main__":
    main(sys.argv[1:])
