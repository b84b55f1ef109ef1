"""One-time grants of WeChat: told of as contacts, used up by what leaves, and asked at every gate."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
from tests.scenario.desk import EVENING, MORNING, Desk
from tests.scenario.provider_desk import LI, WANG, released

from duewise.jobs.contacts import Contact, record_contacts
from duewise.jobs.operations import addresses_of, contacts_of
from duewise.store.people import upsert_people
from duewise.store.sql import queries


def granted(desk: Desk, borrower: str, count: int) -> None:
    """Tell of so many grants of a borrower, this morning."""
    told = [
        Contact(f"{borrower}-{n}", borrower, MORNING, "wechat", "in", "own", outcome="granted")
        for n in range(count)
    ]
    with desk.app.connect(desk.dsn) as conn:
        record_contacts(conn, told, now=EVENING)


def reached(desk: Desk) -> list[str]:
    """Who can be reached by WeChat."""
    with desk.app.connect(desk.dsn) as conn:
        return list(addresses_of(conn, [LI, WANG]).filter(channel="wechat")["borrower_id"])


def at_the_wire(desk: Desk) -> dict[str, str]:
    """Whose address the wire's gate would not use, and why."""
    values = {"borrower_ids": [LI, WANG], "channels": ["wechat"]}
    with desk.app.connect(desk.dsn) as conn:
        found = conn.execute(queries("outbox")["refusals"], values).fetchall()
    return {who: why for who, _, why in found}


def test_it_uses_up_a_grant_with_each_message(tmp_path: Path, dsn: str) -> None:
    desk = released(tmp_path, dsn, LI, WANG)
    row = {"locale": "zh-CN", "timezone": "Asia/Shanghai"}
    people = [row | {"borrower_id": who, "wechat_openid": f"o-{who}"} for who in (LI, WANG)]
    with desk.app.connect(dsn) as conn:
        upsert_people(conn, pl.DataFrame(people), keyring=desk.app.keyring)
    desk.run("UPDATE envelope SET channel = 'wechat'")
    assert reached(desk) == [LI, WANG], "nobody's grants are counted"
    granted(desk, LI, 1)
    assert reached(desk) == [LI]
    assert at_the_wire(desk) == {WANG: "no_grant"}
    with desk.app.connect(dsn) as conn:
        assert contacts_of(conn, [LI], now=EVENING).is_empty(), "a grant is no contact for caps"
    desk.run(
        "UPDATE envelope SET state = 'sending', wired_at = %(at)s WHERE borrower_id = %(who)s",
        at=EVENING + timedelta(minutes=1),
        who=LI,
    )
    assert reached(desk) == []
    desk.run(
        "UPDATE envelope SET state = 'failed', reason = 'refused: 47003' WHERE state = 'sending'"
    )
    assert reached(desk) == [LI], "what was refused has used up nothing"
