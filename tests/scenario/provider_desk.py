"""A desk whose texts leave by an account at a provider."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from tests.scenario.desk import EVENING, Desk, admit, open_desk, plan_and_release

from duewise.config import AccountSection, RoutesSection
from duewise.jobs.deliver import Run
from duewise.jobs.delivery_line import run_lines
from duewise.jobs.ingest import complete_feed

LI, WANG, ZHAO = "LI", "WANG", "ZHAO"
NUMBERS = {LI: "+8613800000000", WANG: "+8613800000001", ZHAO: "+8613800000002"}


def with_account(desk: Desk, endpoint: str, **more: Any) -> Desk:
    given = {"provider": "twilio", "sender_id": "+8610690001", "account_sid": "AC1"}
    account = AccountSection.model_validate(given | {"endpoint": endpoint} | more)
    changed = {"carrier": "main", "accounts": {"main": account}}
    (desk.app.workspace / "secrets" / "main.auth_token").write_text("invented", encoding="utf-8")
    return replace(desk, app=replace(desk.app, config=desk.app.config.model_copy(update=changed)))


def with_second(desk: Desk, **more: Any) -> Desk:
    """The same, and a second account that shares the texts under a number of its own."""
    first = desk.app.config.accounts["main"]
    second = first.model_copy(update={"sender_id": "+8610690002"} | more)
    (desk.app.workspace / "secrets" / "second.auth_token").write_text("invented", encoding="utf-8")
    changed = {
        "accounts": {"main": first, "second": second},
        "routes": RoutesSection(sms=("second",)),
    }
    return replace(desk, app=replace(desk.app, config=desk.app.config.model_copy(update=changed)))


def released(folder: Path, dsn: str, *borrowers: str) -> Desk:
    desk = open_desk(folder / "workspace", dsn)
    admit(desk, *borrowers)
    release(desk, *borrowers)
    return desk


def release(desk: Desk, *borrowers: str) -> None:
    """Plan and release a notice for each, and let it be the evening."""
    plan_and_release(desk, *({"borrower": each, "due": [date(2026, 8, 13)]} for each in borrowers))
    desk.clock.set(EVENING)
    with desk.app.connect(desk.dsn) as conn:
        complete_feed(conn, EVENING)


async def send(desk: Desk) -> Counter[str]:
    return await run_lines(
        [(line.channel, line.settings) for line in desk.app.lines],
        connect=desk.app.connector(desk.dsn),
        tenant=desk.app.tenant,
        clock=desk.clock,
        run=Run(stop=asyncio.Event()),
    )
