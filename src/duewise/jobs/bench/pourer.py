"""A carrier's side of the receipts benchmark: receipts over SMPP to who binds, a process apart.

`pourer.py FILE WINDOW SECRET`: a receipt for each line of FILE (id, reference), as the bundled
gateway tells it, to the account whose password is in the file SECRET. Prints its port; then, when
the last one is acknowledged, the seconds since the first was told and the processor's share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from duewise.channels.gateway.dialect import NEVER, Ending, Receipt, Submission
from duewise.channels.gateway.hub import Hub
from duewise.channels.gateway.link import Link
from duewise.channels.gateway.log import SubmitLog
from duewise.channels.gateway.settings import GatewaySettings
from duewise.channels.gateway.smpp import SmppDialect
from duewise.channels.wire.text import ALONE
from duewise.times import ManualClock

ACCOUNT = "duewise"
ADDRESS = "+8613800000000"


def receipts_of(path: Path, *, at: datetime) -> list[Receipt]:
    """The receipts that are poured, each says "delivered"."""
    poured, delivered = [], Ending("DELIVRD", "000", at, at)
    for line in path.read_text(encoding="ascii").splitlines():
        message_id, reference = line.split()
        told = Submission(0, "10690001", ADDRESS, reference, "", ALONE, "ucs2", NEVER, True)  # noqa: FBT003
        poured.append(Receipt(message_id, told, delivered))
    return poured


class Tap(Link):
    """A link that notes when it begins to tell, and when it is gone."""

    began: tuple[float, float] | None = None
    gone: asyncio.Event

    def pull(self) -> None:
        if self.began is None:
            self.began = time.perf_counter(), time.process_time()
        super().pull()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.gone.set()


async def pour(path: Path, window: int, password: str) -> None:
    """Pour until all are acknowledged, and whoever listens has gone."""
    at = datetime(2026, 8, 14, 4, tzinfo=UTC)
    settings = GatewaySettings(receipt_window=window, accounts={ACCOUNT: password})
    done, gone, links = asyncio.Event(), asyncio.Event(), set[Link]()
    with SubmitLog(Path("/dev/null")) as log:
        hub = Hub(settings, SmppDialect(settings), clock=ManualClock(at), log=log)
        account = hub.accounts[ACCOUNT]
        account.waiting.extend(receipts_of(path, at=at))
        total = len(account.waiting)
        account.on_change = lambda: done.set() if account.acked == total else None
        link = Tap(hub, links, SmppDialect(settings))
        link.gone = gone
        server = await asyncio.get_running_loop().create_server(lambda: link, "127.0.0.1", 0)
        _say({"port": server.sockets[0].getsockname()[1]})
        ended = {asyncio.ensure_future(event.wait()) for event in (done, gone)}
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        now = time.perf_counter(), time.process_time()
        took_s, own_s = (end - start for end, start in zip(now, link.began or now, strict=True))
        _say({"took_s": took_s, "own_s": own_s, "acked": account.acked})
        await gone.wait()
        server.close()


def _say(words: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(pour(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_text().strip()))
