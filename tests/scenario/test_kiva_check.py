"""The check against Kiva's loans, on invented rows in the layout of its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.kiva import figures, main

LOANS = """\
loan_id,status,sector,posted_date,funded_date,disbursal_date,loan_amount,paid_amount
1,paid,Food,,,2006-05-03T07:00:00Z,100,100
2,refunded,Food,,,2006-05-03T07:00:00Z,100,
3,paid,Food,,2006-05-03T07:00:00Z,,100,100
4,defaulted,Food,,,2006-05-03T07:00:00Z,100,
5,paid,Food,,,2006-05-03T07:00:00Z,100,{stated}
6,paid,Food,,,2006-05-03T07:00:00Z,100,90
7,paid,Food,,,2006-05-03T07:00:00Z,100,100
"""
PAYMENTS = """\
payment_id,loan_id,processed_date,amount_usd,currency_exchange_loss_amount
1,1,2006-06-10T13:19:00Z,30,0
2,1,2006-07-10T13:19:00Z,69.5,0
3,4,2006-06-10T13:19:00Z,70,0
4,5,2006-06-10T13:19:00Z,120,0
5,6,2006-06-10T13:19:00Z,90,10
6,7,2006-06-10T13:19:00Z,100,0
"""


def write(folder: Path, *, stated: str = "100") -> Path:
    (folder / "loans.csv").write_text(LOANS.format(stated=stated))
    with_schedule = [1, 2, 4, 5, 6]
    rows = [
        f"{loan},{schedule},{number},2006-0{number + 5}-03,50.0"
        for loan in with_schedule
        for schedule in ("borrower", "lender")
        for number in (1, 2)
    ]
    head = "loan_id,schedule,instalment_no,due_date,amount"
    (folder / "instalments.csv").write_text("\n".join([head, *rows]) + "\n")
    (folder / "payments.csv").write_text(PAYMENTS)
    return folder


def test_it_folds_every_loan_with_a_schedule_and_explains_what_is_left(tmp_path: Path) -> None:
    found = figures(write(tmp_path))
    residuals = {name: count for name, count in found.items() if name.startswith("residual: ")}
    assert list(found.values())[:5] == [5, 5, 10, 10, 5]
    assert list(residuals.values()) == [1, 1, 0, 1, 1, 1, 0]
    assert found["minor units paid less than due"] == 10_000 + 50 + 3_000 + 1_000
    assert found["minor units paid more than due"] == 2_000


def test_it_says_where_it_knows_no_cause(tmp_path: Path) -> None:
    found = figures(write(tmp_path, stated="110"))
    assert found["residual: of no known cause"] == 1


def test_it_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(write(tmp_path))])
    printed = capsys.readouterr().out
    assert "| loans with a schedule | 5 |" in printed
    assert "| … whose allocation equals first-in-first-out | 10 |" in printed
