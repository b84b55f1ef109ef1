"""What an analyst sees of one loan, and who types something wrong."""

import json
import re

import pytest
from tests.scenario.road import CommandLine

LOAN = ("--principal", "12000", "--rate", "21.6%", "--term", "12", "--opened", "2026-01-31")


@pytest.fixture
def duewise(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_it_shows_the_instalments_and_what_they_cost(duewise: CommandLine) -> None:
    said = duewise("schedule", *LOAN)
    assert said.code == 0
    assert [line.split() for line in said.out.splitlines() if "2026-02-28" in line] == [
        [
            "│",
            "1",
            "│",
            "2026-02-28",
            "│",
            "1,120.82",
            "│",
            "904.82",
            "│",
            "216.00",
            "│",
            "0.00",
            "│",
            "11,095.18",
            "│",
        ]
    ]
    assert "total cost: 1,449.87" in said.out


def test_it_states_the_rates_by_each_definition(duewise: CommandLine) -> None:
    told = json.loads(duewise("--json", "schedule", *LOAN, "--upfront-fee", "1%").out)
    rates, due = told["rates"], [float(row["instalment"]) for row in told["instalments"]]
    monthly = rates["simple_rate"] / 12
    worth = sum(amount / (1 + monthly) ** month for month, amount in enumerate(due, start=1))
    assert worth == pytest.approx(11_880, abs=1e-6)  # 12 000 less the fee of 1 %
    assert rates["effective_rate"] == pytest.approx((1 + monthly) ** 12 - 1)
    assert rates["us_apr"] == pytest.approx(12 * monthly)  # no odd days: the same by Appendix J
    assert (rates["annual_rate"], rates["reason"]) == (0.216, None)

    shown = duewise("schedule", *LOAN, "--upfront-fee", "1%").out
    assert re.findall(r"│ (\w+) +│ ([0-9.]+) % +│", shown) == [
        ("nominal", "21.60"),
        ("compound", f"{100 * rates['effective_rate']:.2f}"),
        ("simple", f"{100 * rates['simple_rate']:.2f}"),
        ("APRC", f"{100 * rates['effective_rate']:.1f}"),
        ("APR", f"{100 * rates['us_apr']:.2f}"),
    ]


def test_it_says_why_there_is_no_rate(duewise: CommandLine) -> None:
    said = duewise("schedule", *LOAN, "--upfront-fee", "12000")
    assert said.code == 0
    assert "no annual rate (no_sign_change): money goes one way only" in said.out
    told = json.loads(duewise("--json", "schedule", *LOAN, "--upfront-fee", "12000").out)["rates"]
    assert (told["effective_rate"], told["reason"]) == (None, "no_sign_change")


def test_it_tells_machines_the_same(duewise: CommandLine) -> None:
    said = duewise("--json", "schedule", *LOAN, "--upfront-fee", "1%", "--instalment-fee", "3.50")
    told = json.loads(said.out)
    assert told["instalments"][0] == {
        "number": 1,
        "due_date": "2026-02-28",
        "principal": "904.82",
        "interest": "216.00",
        "fee": "3.50",
        "instalment": "1124.32",
        "owed": "11095.18",
    }
    assert told["totals"]["upfront_fee"] == "120.00"
    assert told["totals"]["total_cost"] == "1611.87"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--rate", "21.6"),
        ("--rate", "much"),
        ("--rate", "nan"),
        ("--rate", "1001%"),
        ("--term", "0"),
        ("--term", "601"),
        ("--principal", "0"),
        ("--principal", "1.005"),
        ("--principal", "1e99"),
        ("--currency", "XX"),
        ("--opened", "2026"),
        ("--opened", "0001-01-01"),
        ("--first-due", "2026-01-31"),
        ("--upfront-fee", "-5"),
        ("--instalment-fee", "101%"),
        ("--minimum-share", "200%"),
    ],
)
def test_it_names_the_option_and_the_mend(duewise: CommandLine, option: str, value: str) -> None:
    said = duewise("schedule", *LOAN, option, value)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"duewise: {option}: ")
    assert ". Mend: " in said.err


def test_it_lists_the_methods_there_are(duewise: CommandLine) -> None:
    said = duewise("schedule", *LOAN, "--method", "annuity")
    assert said.code == 2
    assert "--method" in said.err
    assert "equal_instalment" in said.err
