"""Receipts of a carrier: told over SMPP, stored and folded before they are acknowledged."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from psycopg import Connection

from duewise.errors import IntegrityBroken
from duewise.garbage import spare_collector
from duewise.jobs.bench.figure import Figure, rates
from duewise.jobs.bench.road import Desk, counted
from duewise.jobs.bench.send import make_due
from duewise.jobs.bench.spent import server_of, tree_s
from duewise.jobs.delivery_line import listening
from duewise.jobs.operations import rows
from duewise.jobs.receive import BATCH_MAX
from duewise.store import arrays
from duewise.times import ManualClock

TIMES: Final = 2  # as many envelopes as elsewhere, for two seconds of receipts
WINDOW: Final = 1_000
SAID_S: Final = 60.0
REAPED_S: Final = 0.1  # the ended sessions' time then counts as their server's
_US = 1_000_000
_ON_THE_WIRE: LiteralString = """
WITH marked AS (UPDATE envelope SET state = 'sending', wired_at = %(now)s, attempt = 1,
                       route = %(route)s
                 WHERE state = 'ready' RETURNING envelope_id, parts)
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT envelope_id, %(route)s, to_hex(68719476736 + envelope_id * 16 + part), part, %(now)s
  FROM marked, generate_series(1, parts) AS part ORDER BY envelope_id, part
RETURNING envelope_id, provider_id
"""
_ACCEPTED: LiteralString = "UPDATE envelope SET state = 'accepted' WHERE state = 'sending'"
_DELIVERED: LiteralString = "FROM envelope WHERE state = 'delivered'"
_BARE_ROWS: LiteralString = """
INSERT INTO bare_receipt SELECT %(at)s, e, p FROM unnest(%(ids)s::bigint[], %(names)s::text[])
AS r (e, p)
"""
_BARE_FOLD: LiteralString = (
    "UPDATE bare_envelope SET state = 'delivered' WHERE envelope_id = ANY(%(ids)s::bigint[])"
)


@dataclass(frozen=True)
class Poured:
    """Seconds from the first receipt to the last acknowledgement; the processor's of each side."""

    took_s: float
    spent: tuple[float, float, float]


def receipts(desk: Desk) -> list[Figure]:
    """Receipts a second, each acknowledged once it is stored and folded; beside bare SQL."""
    seconds: list[tuple[float, float | None]] = []
    runs: list[Poured] = []
    for _ in range(max(1, desk.task.sizes.turns // 2)):
        told = _accepted(desk)
        desk.conn.execute("CREATE TABLE bare_envelope (LIKE envelope INCLUDING ALL)")
        desk.conn.execute("INSERT INTO bare_envelope SELECT * FROM envelope WHERE state='accepted'")
        before, count = counted(desk, _DELIVERED), len({envelope_id for envelope_id, _ in told})
        runs.append(asyncio.run(_poured(desk, told)))
        if counted(desk, _DELIVERED) - before != count:
            raise IntegrityBroken(f"bench receipts: not all of {count} were folded")
        began = desk.task.timer()
        _bare(desk.conn, told, at=desk.task.noon)
        seconds.append((runs[-1].took_s, desk.task.timer() - began))
        desk.conn.execute("DROP TABLE bare_envelope")
    best = min(runs, key=lambda run: run.took_s)
    own, database, carrier = (round(each / len(told) * _US) for each in best.spent)
    note = (
        f"over SMPP, window {WINDOW}, {len(told) / count:.2f} an envelope, each acknowledged once "
        f"it is stored and folded; processor time a receipt: receiver {own} µs, database "
        f"{database} µs, gateway {carrier} µs"
    )
    peer = "bare SQL that appends them to a table without an index, and sets the states of a copy"
    return [rates("receipts", "receipts/s", len(told), seconds, peer_name=peer, note=note)]


async def _poured(desk: Desk, told: Sequence[tuple[int, str]]) -> Poured:
    workspace = desk.task.tenant.workspace
    path = workspace / "poured.txt"
    path.write_text("".join(f"{name} {envelope_id}\n" for envelope_id, name in told), "ascii")
    spare_collector()
    server, done, clock = server_of(desk.conn), Counter[str](), ManualClock(desk.task.noon)
    command = [sys.executable, "-m", "duewise.jobs.bench.pourer", str(path), str(WINDOW)]
    async with _pourer([*command, str(workspace / "secrets" / "smpp")]) as lines:
        channel = desk.channel_at((await _line(lines))["port"], clock)
        before = time.process_time(), tree_s(server)
        async with listening(
            [channel], connect=desk.connect, tenant=desk.task.tenant, clock=clock, done=done
        ):
            said = await _line(lines)
            own_s = time.process_time() - before[0]
    await asyncio.sleep(REAPED_S)
    spent = own_s, tree_s(server) - before[1], float(said["own_s"])
    return Poured(float(said["took_s"]), spent)


@asynccontextmanager
async def _pourer(command: Sequence[str]) -> AsyncIterator[asyncio.StreamReader]:
    """The other side's process, for the block; what it says."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _line(lines: asyncio.StreamReader) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(await asyncio.wait_for(lines.readline(), timeout=SAID_S))
    return said


def _accepted(desk: Desk) -> list[tuple[int, str]]:
    """Envelopes that the carrier has accepted, and its name for each of their parts."""
    make_due(desk, TIMES * desk.task.sizes.envelopes)
    values = {"now": desk.task.noon, "route": "smpp"}
    told = rows(desk.conn, _ON_THE_WIRE, values)
    desk.conn.execute(_ACCEPTED)
    return [(row["envelope_id"], row["provider_id"]) for row in told]


def _bare(conn: Connection[Any], told: Sequence[tuple[int, str]], *, at: object) -> None:
    """The least that storing and folding can be: a transaction for as many as we take at once."""
    conn.execute("CREATE TABLE bare_receipt (at timestamptz, envelope_id bigint, name text)")
    for start in range(0, len(told), BATCH_MAX):
        batch = told[start : start + BATCH_MAX]
        ids = arrays.numbers(envelope_id for envelope_id, _ in batch)
        values = {"ids": ids, "names": arrays.texts([name for _, name in batch]), "at": at}
        with conn.transaction():
            conn.execute(_BARE_ROWS, values)
            conn.execute(_BARE_FOLD, values)
    conn.execute("DROP TABLE bare_receipt")
