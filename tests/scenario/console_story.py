"""A day at an invented lender, told to database and journal: what the console's tests look at.

Li is late and is reminded; Wang disputes and is held; Zhao opted out before the wire; Chen is in
the hold-out; Sun's notice breaks a rule. Times are those of Monday, 10 August 2026, in Shanghai.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from duewise.frames import INSTANT
from duewise.store import journal
from duewise.store.seal import Keyring

DAY = date(2026, 8, 10)
PLANNED = datetime(2026, 8, 10, 0, 10, tzinfo=UTC)
NOW = datetime(2026, 8, 10, 4, 0, tzinfo=UTC)
PLAN = "plan-2026-08-10"
TEXT = "【安心贷】李*您好，您尾号1234的借款868.40元已逾期1天，请通过App还款，客服95000。"
KEYRING = Keyring({1: b"k" * 32}, b"i" * 32, lambda size: b"n" * size)
Moves = Sequence[tuple[str, str]]

LI: Moves = (("ready", "released"), ("sending", "claimed"), ("accepted", ""), ("delivered", ""))
WANG: Moves = (("ready", "released"), ("held", "reply_dispute"))
ZHAO: Moves = (("ready", "released"), ("cancelled", "opted_out"))
SUN: Moves = (("blocked", "block: CN-CAP-05, CN-HRS-03"),)


def tell(conn: Connection[Any], workspace: Path) -> dict[str, int]:
    """Write the day; the envelopes by borrower. The caller commits."""
    _tell_people(conn)
    _tell_plan(conn, workspace)
    envelopes = {
        "Li": _envelope(conn, "Li", LI),
        "Wang": _envelope(conn, "Wang", WANG),
        "Zhao": _envelope(conn, "Zhao", ZHAO),
        "Sun": _envelope(conn, "Sun", SUN, rules=("CN-CAP-05", "CN-HRS-03")),
    }
    _tell_delivery(conn, envelopes["Li"])
    _tell_news(conn)
    return envelopes


def _tell_people(conn: Connection[Any]) -> None:
    for name in ("Li", "Wang", "Zhao", "Chen", "Sun"):
        add(
            conn,
            "person",
            borrower_id=name,
            name_sealed=KEYRING.seal(f"{name} the borrower", column="name", borrower_id=name),
            phone_sealed=KEYRING.seal("+8613800000000", column="phone", borrower_id=name),
            number_token=KEYRING.number_token(f"+86138000000{len(name)}"),
            locale="zh-CN",
            timezone="Asia/Shanghai",
            number_state="valid",
            is_wrong_party=False,
        )
        add(conn, "account", loan_id=f"L-{name}", borrower_id=name, currency="CNY")


def _tell_plan(conn: Connection[Any], workspace: Path) -> None:
    add(
        conn,
        "plan_run",
        plan_id=PLAN,
        as_of=DAY,
        planned_at=PLANNED,
        released_at=PLANNED + timedelta(minutes=5),
        strategy="cn-instalment-loan",
        strategy_hash="5" * 16,
        rulebook_hash="a" * 16,
        template_hash="b" * 16,
        borrowers=5,
        proposals=4,
        held_out=1,
    )
    rows = [
        journal_row(
            "Li", "proposed", arm="gentle_sms", propensity=0.95, losers=["L-Li-2:due_today"]
        ),
        journal_row("Wang", "proposed", arm="gentle_sms", propensity=0.95),
        journal_row("Zhao", "proposed", arm="gentle_sms", propensity=0.95),
        journal_row("Sun", "proposed", arm="gentle_sms", propensity=0.95),
        journal_row("Chen", "held_out", reason="hold_out", hold_out=True, propensity=0.05),
    ]
    frame = pl.DataFrame(rows, schema_overrides=dict.fromkeys(("arm", "outcome"), pl.String))
    instants = ("not_before", "valid_until", "next_allowed_at")
    journal.append(workspace, frame.with_columns(pl.col(*instants).cast(INSTANT)))


def journal_row(borrower_id: str, decision: str, **given: object) -> dict[str, Any]:
    """One considered borrower-day; what is not given is what a plan writes on average."""
    return {
        "plan_id": PLAN,
        "as_of": DAY,
        "planned_at": PLANNED,
        "borrower_id": borrower_id,
        "borrower_hash": 1,
        "loan_id": f"L-{borrower_id}",
        "decision": decision,
        "reason": "",
        "step": "m1_day1",
        "arm": None,
        "propensity": None,
        "hold_out": False,
        "stage": "overdue",
        "channel": "sms",
        "template": "zh.overdue.gentle",
        "tone": "gentle",
        "losers": [],
        "days_past_due": 1,
        "dpd": 1,
        "bucket": "M1",
        "past_due_minor": 86_840,
        "outstanding_minor": 520_000,
        "amount_minor": 86_840,
        "currency": "CNY",
        "due_date": DAY - timedelta(days=1),
        "probability_of_default": 0.231,
        "number_token": "t",
        "not_before": None,
        "valid_until": None,
        "key": f"{borrower_id}|m1_day1|{DAY}",
        "outcome": "allow" if decision == "proposed" else None,
        "rules": [],
        "next_allowed_at": None,
        "locale": "zh-CN",
    } | given


def _envelope(
    conn: Connection[Any], borrower_id: str, moves: Moves, *, rules: Sequence[str] = ()
) -> int:
    """An envelope that went through these states, 20 minutes apart, with a verdict at each gate."""
    (state, reason), *later = moves
    envelope_id = _intent(conn, borrower_id, state, reason)
    outcome = "block" if rules else "allow"
    gates = ("plan", "release", "wire") if len(moves) > 2 else ("plan", "release")
    for gate in gates:
        add(
            conn,
            "verdict_row",
            envelope_id=envelope_id,
            gate=gate,
            at=PLANNED,
            outcome=outcome if gate == "release" else "allow",
            rules=list(rules) if gate == "release" else [],
            next_allowed_at=None,
            rulebook_hash="a" * 16,
            facts=Jsonb({"acct.amount_due": 86_840}),
        )
    for step, (new_state, why) in enumerate(later, start=1):
        conn.execute(
            "UPDATE envelope SET state = %s, reason = %s, changed_at = %s WHERE envelope_id = %s",
            [new_state, why, PLANNED + timedelta(minutes=20 * step), envelope_id],
        )
    return envelope_id


def _intent(conn: Connection[Any], borrower_id: str, state: str, reason: str) -> int:
    return add(
        conn,
        "envelope",
        returning="envelope_id",
        key=f"{borrower_id}|m1_day1|{DAY}",
        plan_id=PLAN,
        as_of=DAY,
        borrower_id=borrower_id,
        loan_id=f"L-{borrower_id}",
        step="m1_day1",
        arm="gentle_sms",
        propensity=0.95,
        stage="overdue",
        channel="sms",
        template="zh.overdue.gentle",
        template_hash="b" * 16,
        amount_minor=86_840,
        currency="CNY",
        due_date=DAY - timedelta(days=1),
        facts=Jsonb({"acct.amount_due": 86_840}),
        text_sealed=KEYRING.seal(TEXT, column="text", borrower_id=borrower_id),
        parts=1,
        sender_id="9500012",
        number_token="t" * 32,
        not_before=PLANNED + timedelta(hours=1),
        valid_until=PLANNED + timedelta(hours=9),
        state=state,
        reason=reason,
        changed_at=PLANNED,
        attempt=0,
        created_at=PLANNED,
    )


def _tell_delivery(conn: Connection[Any], envelope_id: int) -> None:
    at = PLANNED + timedelta(minutes=40)
    add(
        conn,
        "submission",
        route="smpp",
        provider_id="0A1B2C3D",
        envelope_id=envelope_id,
        part=1,
        accepted_at=at,
    )
    add(
        conn,
        "receipt_row",
        route="smpp",
        provider_id="0A1B2C3D",
        envelope_id=envelope_id,
        status="delivered",
        code="DELIVRD",
        reference="",
        at=at,
    )


def _tell_news(conn: Connection[Any]) -> None:
    token, at = "w" * 32, PLANNED + timedelta(minutes=20)
    add(
        conn,
        "reply",
        borrower_id="Wang",
        number_token=token,
        route="smpp",
        inbound_id="mo-1",
        text_sealed=KEYRING.seal("我没有借过这笔钱", column="text", borrower_id=token),
        intent="dispute",
        action="open_dispute",
        at=at,
    )
    add(conn, "case_file", borrower_id="Wang", kind="dispute", opened_at=at, source="reply")
    add(conn, "opt_out", borrower_id="Zhao", channel="sms", at=at, source="reply", is_active=True)
    for what, by, why in (("approved", "Chen", ""), ("withdrawn", "Zhao", "a number that is gone")):
        said = {"template": "zh.m1_day1.neutral", "content_hash": "c" * 64, "author": "Li"}
        add(conn, "template_approval", **said, what=what, by=by, at=at, why=why)
    add(conn, "feed", name="payments", complete_until=NOW - timedelta(seconds=95))
    add(
        conn,
        "payment_event",
        payment_id="P-1",
        loan_id="L-Li",
        borrower_id="Li",
        paid_at=PLANNED,
        known_at=NOW,
        amount_minor=86_840,
        currency="CNY",
        kind="payment",
        source="api",
    )


def add(conn: Connection[Any], table: str, *, returning: str | None = None, **row: object) -> int:
    """Insert one row; the value of the column `returning`, else 0."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
        sql.Identifier(returning) if returning else sql.SQL("0"),
    )
    found = conn.execute(statement, row).fetchone()
    assert found is not None, "an insert returns its row"
    return int(found[0])
