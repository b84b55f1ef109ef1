"""Everything, on nothing: a synthetic lender, fourteen days, every stage, the real wire.

The lender's days pass hour by hour on a clock that is moved by hand; the gateway simulator is a
process of its own and speaks SMPP over TCP. What the borrowers do depends on what reached them.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from psycopg import Connection

from duewise.channels.base import Channel
from duewise.channels.gateway.control import GatewayControl
from duewise.errors import Unreachable
from duewise.frames import INSTANT
from duewise.jobs.deliver import Connect, DeliverySettings, Worker, send_due, tidy, worker
from duewise.jobs.delivery_line import receiving
from duewise.jobs.ingest import Payment, complete_feed, record_payments
from duewise.jobs.operations import rows
from duewise.jobs.plan_day import plan_book
from duewise.jobs.release import release_plan
from duewise.jobs.replan import replan_held
from duewise.jobs.tenant import Tenant
from duewise.money import Money
from duewise.sim.lender import DayEvents, Lender, live_day
from duewise.store.audit import Signer, seal
from duewise.store.book import Book
from duewise.store.sql import queries
from duewise.times import ManualClock

PLAN_AT = time(8, 30)
# Just before each full hour, so that what is due in the hour is sent within its window.
TICKS = tuple(time(hour, 55) for hour in range(8, 20))
SETTLE_S_MAX = 30.0

OnDay = Callable[[int, int], None]


@dataclass(frozen=True)
class Stage:
    """What the demo plays on: database, book, tenant, channel and the gateway's control."""

    conn: Connection[Any]
    connect: Connect
    book: Book
    tenant: Tenant
    channel: Channel
    control: GatewayControl
    clock: ManualClock
    settings: DeliverySettings
    plans: Path
    signer: Signer


async def play(
    stage: Stage, lender: Lender, *, start: date, days: int, seed: int, on_day: OnDay | None
) -> None:
    """Play `days` days from `start`, then let every open end come to its end."""
    done: Counter[str] = Counter()
    await stage.channel.open()
    try:
        async with (
            worker(stage.connect) as sender,
            receiving(
                stage.channel,
                connect=stage.connect,
                tenant=stage.tenant,
                clock=stage.clock,
                done=done,
            ),
        ):
            for number in range(days):
                day = start + timedelta(days=number)
                await _play_day(stage, sender, lender, day=day, seed=seed)
                if on_day:
                    on_day(number + 1, days)
            await _close(stage, sender, start + timedelta(days=days))
    finally:
        await stage.channel.close()


async def _play_day(stage: Stage, sender: Worker, lender: Lender, *, day: date, seed: int) -> None:
    """Plan and release in the morning, then live the day hour by hour."""
    events = live_day(
        lender, day=day, delivered=_delivered(stage, before=_at(stage, day, time())), seed=seed
    )
    await _move(stage, _at(stage, day, PLAN_AT), events)
    now = stage.clock.now()
    folder = stage.plans / day.isoformat()
    # In a thread, so that the links to gateway and database live on while it is planned.
    await asyncio.to_thread(
        plan_book, stage.conn, stage.book, stage.tenant, as_of=day, now=now, out=folder
    )
    await asyncio.to_thread(release_plan, stage.conn, folder, stage.tenant, now=now)
    for tick in TICKS:
        await _move(stage, _at(stage, day, tick), events)
        await tidy(sender, stage.channel, now=stage.clock.now(), settings=stage.settings)
        await send_due(
            sender,
            stage.channel,
            tenant=stage.tenant,
            clock=stage.clock,
            settings=stage.settings,
        )
        await _settle(stage)
    await _move(stage, _at(stage, day, time(23, 59)), events)
    seal(stage.conn, stage.signer, now=stage.clock.now())


async def _move(stage: Stage, instant: datetime, events: DayEvents) -> None:
    """Let the time pass to an instant: receipts, replies and payments up to it become known."""
    since = stage.clock.now()
    stage.clock.set(instant)
    await stage.control.clock(instant)
    for borrower_id, _, text in _between(events.replies, "at", since, instant):
        await _reply(stage, borrower_id, text)
    paid = events.payments.filter((pl.col("paid_at") > since) & (pl.col("paid_at") <= instant))
    payments = [_payment(row, currency=stage.tenant.currency) for row in paid.iter_rows(named=True)]
    with stage.conn.transaction():
        held = record_payments(stage.conn, payments, now=instant).held if payments else 0
        complete_feed(stage.conn, instant)
    if held:
        await asyncio.to_thread(replan_held, stage.conn, stage.book, stage.tenant, now=instant)
    await _settle(stage)


def _between(
    frame: pl.DataFrame, column: str, since: datetime, until: datetime
) -> list[tuple[Any, ...]]:
    return frame.filter((pl.col(column) > since) & (pl.col(column) <= until)).rows()


def _payment(row: dict[str, Any], *, currency: str) -> Payment:
    return Payment(
        payment_id=row["payment_id"],
        loan_id=row["loan_id"],
        paid_at=row["paid_at"],
        amount=Money(row["amount_minor"], currency).major,
        kind=row["kind"],
        reverses=row["reverses"],
        source="core",
    )


async def _reply(stage: Stage, borrower_id: str, text: str) -> None:
    """A borrower answers from the handset, through the gateway."""
    row = stage.conn.execute(
        "SELECT phone_sealed FROM person WHERE borrower_id = %s", [borrower_id]
    ).fetchone()
    assert row is not None
    phone = stage.tenant.keyring.unseal(row[0], column="phone", borrower_id=borrower_id)
    await stage.control.reply(source=phone, destination=stage.tenant.sender_id, text=text)


async def _settle(stage: Stage) -> None:
    """Until the gateway has nothing more to say at this instant, and we have taken it in."""
    await stage.control.flush(timeout_s=SETTLE_S_MAX)


def _delivered(stage: Stage, *, before: datetime) -> pl.DataFrame:
    """The messages that reached a handset in the last days, as the borrowers know them."""
    found = rows(
        stage.conn, queries("report")["delivered"], {"before": before, "days": timedelta(days=4)}
    )
    zone = stage.tenant.strategy.timezone
    tones = {name: template.tone for name, template in stage.tenant.templates.items()}
    frame = pl.DataFrame(
        [{**row, "tone": tones[row.pop("template")]} for row in found],
        schema={
            "borrower_id": pl.String,
            "loan_id": pl.String,
            "at": INSTANT,
            "stage": pl.String,
            "tone": pl.String,
        },
    )
    hour = pl.col("at").dt.convert_time_zone(zone).dt.hour().cast(pl.Int32)
    return frame.with_columns(hour=hour)


async def _close(stage: Stage, sender: Worker, day: date) -> None:
    """After the last day: validity ends, and receipts that never came are called unknown."""
    end = _at(stage, day, time()) + timedelta(seconds=stage.settings.receipt_horizon_s)
    stage.clock.set(end)
    await stage.control.clock(end)
    await _settle(stage)
    await tidy(sender, stage.channel, now=end, settings=stage.settings)


def _at(stage: Stage, day: date, hour: time) -> datetime:
    local = datetime.combine(day, hour, ZoneInfo(stage.tenant.strategy.timezone))
    return local.astimezone(UTC)


@asynccontextmanager
async def gateway_process(command: list[str]) -> AsyncIterator[dict[str, Any]]:
    """The gateway simulator as a process of its own, for the block; the ports it printed."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), timeout=60)
        if not line:
            raise Unreachable("the gateway simulator did not start")
        yield json.loads(line)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
