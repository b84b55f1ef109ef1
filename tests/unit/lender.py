"""A small invented lender for tests of the core: the cast, their loans, and a context to plan in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from duewise.book.product import shipped_products
from duewise.engine.facts import LenderFacts
from duewise.engine.partition import PlanContext, Tables
from duewise.frames import INSTANT
from duewise.guard.profile import load_rulebook
from duewise.ids import stable_hash
from duewise.message.choose import stages_of
from duewise.message.template import EXAMPLE_SENDERS, load_templates
from duewise.strategy.plan import parse_strategy

AS_OF = date(2026, 8, 14)  # a Friday
NOW = datetime(2026, 8, 14, 0, 30, tzinfo=UTC)  # 08:30 in Shanghai
SENDER = EXAMPLE_SENDERS["zh-CN"]
TEMPLATES = load_templates()
STAGES = stages_of(TEMPLATES)
STRATEGY_FILE = Path(__file__).parents[2] / (
    "src/duewise/strategy/strategies/cn-instalment-loan.yaml"
)
STRATEGY_TEXT = STRATEGY_FILE.read_text(encoding="utf-8")
RULEBOOK = load_rulebook(("CN", "HOUSE"))


def strategy(text: str = STRATEGY_TEXT, **changes: Any) -> Any:
    """The shipped strategy, or another text, with fields changed."""
    return replace(parse_strategy(text, source="strategy.yaml", templates=STAGES), **changes)


def context(**changes: Any) -> PlanContext:
    """A plan's context on the morning of `AS_OF`, without a hold-out unless asked for."""
    plain = PlanContext(
        plan_id="plan-1",
        as_of=AS_OF,
        now=NOW,
        strategy=strategy(hold_out_bp=0),
        templates=TEMPLATES,
        products=shipped_products(),
        sender=SENDER,
        rulebook=RULEBOOK,
        lender=LenderFacts(
            "consumer_finance",
            "fi_dedicated",
            is_signature_registered=True,
            holds_validity=("sms",),
        ),
        ledger_complete_until=NOW,
    )
    return replace(plain, **changes)


def tables(*loans: dict[str, Any], **changes: pl.DataFrame) -> Tables:
    """Tables from loans: borrower, due dates of instalments of 868.40 yuan, payments (at, fen)."""
    borrowers = sorted({loan["borrower"] for loan in loans})
    plain = Tables(
        borrowers=pl.DataFrame(
            {
                "borrower_id": borrowers,
                "borrower_hash": [stable_hash(borrower) for borrower in borrowers],
                "locale": "zh-CN",
                "timezone": "Asia/Shanghai",
            },
            schema_overrides={"borrower_id": pl.String, "borrower_hash": pl.Int64},
        ),
        loans=_loans(loans),
        instalments=_instalments(loans),
        payments=_payments(loans),
        addresses=addresses(*borrowers),
        contacts=contacts(),
        cases=cases(),
    )
    return replace(plain, **changes)


def addresses(*borrowers: str, opted_out: tuple[str, ...] = ()) -> pl.DataFrame:
    """Everybody reachable by SMS."""
    return pl.DataFrame(
        {
            "borrower_id": list(borrowers),
            "channel": ["sms"] * len(borrowers),
            "number_token": [f"token-{borrower}" for borrower in borrowers],
            "number_state": ["valid"] * len(borrowers),
            "role": ["debtor"] * len(borrowers),
            "wrong_party": [False] * len(borrowers),
            "opted_out": [borrower in opted_out for borrower in borrowers],
            "timezone": ["Asia/Shanghai"] * len(borrowers),
        }
    )


def contacts(*events: tuple[str, datetime, str, str]) -> pl.DataFrame:
    """Own outbound SMS: borrower, instant, stage, loan."""
    return pl.DataFrame(
        [
            (borrower, at, "sms", "out", None, stage, "own", f"token-{borrower}", loan, [])
            for borrower, at, stage, loan in events
        ],
        schema={
            "borrower_id": pl.String,
            "at": INSTANT,
            "channel": pl.String,
            "dir": pl.String,
            "outcome": pl.String,
            "stage": pl.String,
            "actor": pl.String,
            "number": pl.String,
            "debt": pl.String,
            "flags": pl.List(pl.String),
        },
        orient="row",
    )


def cases(**open_cases: str) -> pl.DataFrame:
    """Open cases by borrower: `Wang="dispute_open"`."""
    flags = ("dispute_open", "hardship_pending", "deceased", "incapacity")
    return pl.DataFrame(
        [
            (borrower, *(flag == case for flag in flags), "none", "none", True, False)
            for borrower, case in open_cases.items()
        ],
        schema={
            "borrower_id": pl.String,
            **dict.fromkeys(flags, pl.Boolean),
            "bankruptcy": pl.String,
            "plan": pl.String,
            "plan_kept": pl.Boolean,
            "blackout": pl.Boolean,
        },
        orient="row",
    )


def _loans(loans: tuple[dict[str, Any], ...]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (
                loan.get("loan", f"{loan['borrower']}-1001"),
                loan["borrower"],
                "instalment",
                "CNY",
                1_000_000,
                date(2026, 1, 14),
                0.216,
                1.5,
                "equal_instalment",
                loan.get("autopay", False),
                0,
                0,
                "open",
            )
            for loan in loans
        ],
        schema={
            "loan_id": pl.String,
            "borrower_id": pl.String,
            "product": pl.String,
            "currency": pl.String,
            "principal_minor": pl.Int64,
            "opened_date": pl.Date,
            "annual_rate": pl.Float64,
            "penalty_multiplier": pl.Float64,
            "method": pl.String,
            "autopay": pl.Boolean,
            "grace_days": pl.Int32,
            "tolerance_minor": pl.Int64,
            "status": pl.String,
        },
        orient="row",
    )


def _instalments(loans: tuple[dict[str, Any], ...]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (loan.get("loan", f"{loan['borrower']}-1001"), loan["borrower"], n, due, 80000, 6840, 0)
            for loan in loans
            for n, due in enumerate(loan["due"], start=1)
        ],
        schema={
            "loan_id": pl.String,
            "borrower_id": pl.String,
            "number": pl.Int32,
            "due_date": pl.Date,
            "principal_minor": pl.Int64,
            "interest_minor": pl.Int64,
            "fee_minor": pl.Int64,
        },
        orient="row",
    )


def _payments(loans: tuple[dict[str, Any], ...]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (
                f"{loan['borrower']}-{n}",
                loan.get("loan", f"{loan['borrower']}-1001"),
                loan["borrower"],
                at,
                minor,
                "payment",
                None,
                "core",
            )
            for loan in loans
            for n, (at, minor) in enumerate(loan.get("paid", ()))
        ],
        schema={
            "payment_id": pl.String,
            "loan_id": pl.String,
            "borrower_id": pl.String,
            "paid_at": INSTANT,
            "amount_minor": pl.Int64,
            "kind": pl.String,
            "reverses": pl.String,
            "source": pl.String,
        },
        orient="row",
    )
