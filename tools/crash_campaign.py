"""Kill workers, the gateway and the database at random moments, and count on the gateway's record.

`python tools/crash_campaign.py --messages 20000 --kills 100` plans and releases invented messages,
sends them by several `duewise send` processes over SMPP to a gateway process, and SIGKILLs them,
often several of a sort at once: a worker, the gateway, a session of PostgreSQL (the server then
throws everybody out and recovers) or its postmaster. What was killed is started again, from a
process that has all imports done. As it goes it prints a line of JSON after each so many kills, and
another one at the end; it leaves with exit code 1 if a message was lost, doubled or left claimed,
if more stayed unknown than the kills can explain, or if the books do not tie.

`--minutes` is a limit: three quarters of it may be spent on kills; then the senders are let run at
full speed, and asked to end in order where the time is over. What then still waits is told.

A killed gateway forgets the receipts it owed, so `resend_unknown_after_s` is off, as for carriers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from duewise.app import App, demo_app
from duewise.config import FILE
from duewise.errors import Unreachable
from duewise.ids import draw
from duewise.jobs.bench.book import Task
from duewise.jobs.bench.figure import FULL
from duewise.jobs.bench.road import ALL_DUE, Desk, admit, release_of
from duewise.jobs.bench.senders import Outfit
from duewise.jobs.chunk import FLYING_MAX, DeliverySettings
from duewise.jobs.ingest import complete_feed
from duewise.jobs.reconcile import reconcile

AS_OF = date(2026, 8, 14)  # a Friday, no holiday
# In a process that is forked for each of ours: starting again takes no time that is not ours.
PRELOADED = ["duewise.cli", "duewise.jobs.deliver", "duewise.jobs.delivery_line",
             "duewise.channels.gateway.server", "duewise.channels.smpp.channel"]  # fmt: skip
VICTIMS = ("worker",) * 5 + ("gateway",) * 2 + ("session",) * 2 + ("postmaster",)
AT_ONCE = (1, 1, 2, 3)  # kills before anything is started again
TOLD_EVERY = 25  # kills
FULL_SPEED = 100_000.0
KILLING = 0.75  # of the time that is given
LIFE_S_MAX = 0.4  # of whatever is killed next, counted from the first message after the last kill
PROGRESS_S_MAX = 15.0
END_S_MAX = 900.0
BLOCK = 5_000  # borrowers admitted at a time; four in five of them get a message
_OPEN = "SELECT count(*) FROM envelope WHERE state IN ('ready', 'sending')"


class Told:
    """A `duewise` process, and the file that holds what it prints."""

    def __init__(self, path: Path, environment: dict[str, str], arguments: list[str]) -> None:
        self._path = path
        given = (path, environment, arguments)
        self._process = multiprocessing.get_context("forkserver").Process(target=_be, args=given)
        self._process.start()

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def first_line(self) -> str:
        """What it says once it is ready. Raises RuntimeError if it ends before."""
        for _ in range(3_000):
            said = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
            if "\n" in said:
                return said
            if not self.is_alive:
                break
            time.sleep(0.01)
        raise RuntimeError("it says nothing")

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def end(self) -> None:
        """In order, or after half a minute by force."""
        self._process.terminate()
        self._process.join(30)
        self.kill()


def _be(path: Path, environment: dict[str, str], arguments: list[str]) -> None:
    """Become a `duewise` process."""
    os.environ.pop("DUEWISE_DATABASE_URL", None)
    os.environ.update(environment)
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    from duewise.cli import main as duewise

    duewise(arguments)


@dataclass
class Campaign:
    """A lender's workspace, and the processes that live and die in it."""

    app: App
    workers: int
    rate_per_s: float
    stack: ExitStack
    clock: str = ""
    dsn: str = ""
    port: int = 0
    speed: float = 0.0
    started: int = 0
    gateway: Told | None = None
    senders: list[Told] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def log(self) -> Path:
        return self.app.workspace / "gateway.jsonl"

    def command(self, *arguments: str) -> Told:
        """A `duewise` process of this workspace; all of them share one clock."""
        self.started += 1
        environment = {
            "DUEWISE_SMPP__PORT": str(self.port or 2775),
            "DUEWISE_SMPP__RATE_PER_S": str(self.speed or self.rate_per_s),
            "DUEWISE_LEDGER__FEED": "events",
            "DUEWISE_CLOCK": self.clock,
        }
        said = self.app.workspace.parent / f"said-{self.started}"
        return Told(said, environment, ["--workspace", str(self.app.workspace), *arguments])

    def serve(self) -> None:
        """Start the database and the gateway, where they do not run."""
        self.dsn = self.stack.enter_context(self.app.database(migrated=not self.dsn))
        if self.gateway is None or not self.gateway.is_alive:
            shares = ("--failed", "0", "--expired", "0", "--silent", "0", "--delay-s", "0")
            self.gateway = self.command("--json", "gateway", "--port", str(self.port), *shares)
            self.port = json.loads(self.gateway.first_line())["port"]

    def man(self) -> None:
        """See that there are as many senders as there should be: some end as their peer dies."""
        self.senders = [each for each in self.senders if each.is_alive]
        while len(self.senders) < self.workers:
            self.senders.append(self.command("send", "--no-until-empty"))

    def kill(self, victim: str, chance: float) -> None:
        """SIGKILL one process of a kind; one that was killed before is not killed again."""
        match victim:
            case "worker" if self.senders:
                self.senders.pop(int(chance * len(self.senders))).kill()
            case "gateway" if self.gateway is not None and self.gateway.is_alive:
                self.gateway.kill()
            case "session" | "postmaster" if postmaster := _postmaster(self.app.workspace):
                sessions = _sessions(postmaster)
                pick = sessions[int(chance * len(sessions))] if sessions else postmaster
                try:
                    os.kill(pick if victim == "session" else postmaster, signal.SIGKILL)
                except ProcessLookupError:
                    return
            case _:
                return
        self.kills[victim] += 1

    def mend(self) -> None:
        """Start again what was killed."""
        self.serve()
        self.man()

    def hurry(self) -> None:
        """From now on at full speed."""
        self.speed = FULL_SPEED
        for sender in self.senders:
            sender.end()
        self.mend()

    def ask(self, query: str) -> list[Any]:
        """The rows of a question, asked again while the database recovers."""
        return _patiently(lambda: self._ask(query), self.serve)

    def _ask(self, query: str) -> list[Any]:
        with self.app.connect(self.dsn) as conn:
            return conn.execute(query.encode()).fetchall()


def prepare(campaign: Campaign, messages: int, since: float) -> None:
    """Invented people with a released message each, all of them due, and a feed that is alive."""
    app = campaign.app
    task = Task(app.tenant, FULL, AS_OF, timer=time.perf_counter)
    campaign.clock = f"{task.noon.isoformat()}*1@{since}"
    campaign.serve()
    with app.connect(campaign.dsn) as conn:
        connect = app.connector(campaign.dsn)
        outfit = Outfit(app.tenant, app.clock, connect, lambda _: app.channel())
        desk = Desk(task, conn, connect, lambda _, __: app.channel(), lambda: outfit, ())
        released = 0
        while released < messages:
            wanted = min(BLOCK, max(BLOCK // 50, (messages - released) * 4 // 3))
            released += release_of(desk, admit(desk, wanted))
        conn.execute(ALL_DUE)
        complete_feed(conn, task.noon + timedelta(hours=6))


def run(campaign: Campaign, kills: int, seed: int, *, until: float) -> None:
    """Kill so many times, each in the midst of sending, then let everything come to its end.

    `until`: an instant of the monotonic clock by which all is to be over.
    """
    campaign.man()
    began = time.monotonic()
    kill_until = began + KILLING * (until - began)
    number = told = 0
    while campaign.kills.total() < kills and time.monotonic() < kill_until:
        size = _size(campaign.log)
        _wait(partial(_has_grown, campaign.log, size), PROGRESS_S_MAX, campaign.man)
        if not _has_grown(campaign.log, size) and campaign.ask(_OPEN) == [(0,)]:
            break  # nothing is left to be sent
        time.sleep(draw(f"life {number}", seed) * LIFE_S_MAX)
        at_once = AT_ONCE[int(draw(f"at once {number}", seed) * len(AT_ONCE))]
        for each in range(min(at_once, kills - campaign.kills.total())):
            name = f"{number} {each}" if each else f"{number}"
            victim = VICTIMS[int(draw(f"victim {name}", seed) * len(VICTIMS))]
            campaign.kill(victim, draw(f"which {name}", seed))
        campaign.mend()
        number += 1
        if campaign.kills.total() >= told + TOLD_EVERY:
            told = campaign.kills.total()
            _tell(campaign, time.monotonic() - began)
    campaign.hurry()
    left_s = min(END_S_MAX, until - time.monotonic())
    _wait(lambda: campaign.ask(_OPEN) == [(0,)], left_s, campaign.mend, pause_s=0.2)
    for sender in campaign.senders:
        sender.end()


def _tell(campaign: Campaign, after_s: float) -> None:
    """How it stands."""
    states = dict(campaign.ask("SELECT state, count(*) FROM envelope GROUP BY state"))
    told = {"after_s": round(after_s, 1), "kills": dict(campaign.kills), "states": states}
    print(json.dumps(told), flush=True)


def count(campaign: Campaign) -> dict[str, Any]:
    """What the gateway's record says, beside what our books say."""
    parts: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for line in campaign.log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["status"] == "accepted":
            parts[int(record["reference"])][record["part"]] += 1
    states = {number: (state, size) for number, state, size in campaign.ask(
        "SELECT envelope_id, state, parts FROM envelope"
    )}  # fmt: skip
    sent = {"accepted", "delivered", "failed", "expired"}
    claimed = "SELECT count(*) FROM envelope WHERE owner IS NOT NULL OR state = 'sending'"
    with campaign.app.connect(campaign.dsn) as conn:
        found = reconcile(conn, zone=campaign.app.tenant.strategy.timezone)
    # A killed worker leaves its marked chunks in doubt, a killed gateway what every worker has on
    # the wire; a database that comes back leaves nothing, for the answers are kept until then.
    on_the_way = FLYING_MAX * DeliverySettings(rate_per_s=campaign.rate_per_s).chunk
    explained = on_the_way * (
        campaign.kills["worker"] + campaign.workers * campaign.kills["gateway"]
    )
    unknown = [number for number, (state, _) in states.items() if state == "unknown"]
    return {
        "messages": len(states),
        "kills": dict(campaign.kills),
        "killed": campaign.kills.total(),
        "lost": sum(state in sent and n not in parts for n, (state, _) in states.items()),
        "waiting": sum(state in {"ready", "held"} for state, _ in states.values()),
        "doubled": sum(max(each.values()) > 1 for each in parts.values()),
        "halved": sum(len(each) < states[number][1] for number, each in parts.items()),
        "strangers": len(parts.keys() - states.keys()),
        "claimed": campaign.ask(claimed)[0][0],
        "unknown": len(unknown),
        "unknown_never_taken": sum(number not in parts for number in unknown),
        "unknown_explained": explained,
        "states": dict(Counter(state for state, _ in states.values())),
        "ties": found.ties,
    }


def is_clean(found: dict[str, Any], *, is_over: bool) -> bool:
    """Nothing lost, doubled or stuck, and no more doubts than the kills explain.

    Where time was over something may still wait.
    """
    bad = ("lost", "doubled", "strangers", "claimed", *(() if is_over else ("waiting",)))
    return (
        not any(found[name] for name in bad)
        and found["unknown"] <= found["unknown_explained"]
        and found["ties"]
    )


def main(arguments: list[str] | None = None) -> int:
    """One campaign in a folder that is removed again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=400.0, help="parts a second, of all workers")
    parser.add_argument("--minutes", type=float, default=60.0, help="limit; beyond it 1 to count")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    until = time.monotonic() + given.minutes * 60
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory(prefix="duewise-crash-") as folder, ExitStack() as stack:
        app = demo_app(Path(folder) / "workspace", AS_OF)
        _promise_nothing(app.workspace / FILE)
        campaign = Campaign(app, given.workers, given.rate, stack)
        stack.callback(_end, campaign)
        prepare(campaign, given.messages, time.time())  # noqa: TID251 -- a script is its own root
        run(campaign, given.kills, given.seed, until=until)
        found = count(campaign)
        is_over = time.monotonic() >= until
    print(json.dumps(found | {"time_was_over": is_over}), flush=True)
    return 0 if is_clean(found, is_over=is_over) else 1


def _promise_nothing(settings: Path) -> None:
    lines = settings.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("resend_unknown_after_s")]
    assert len(kept) == len(lines) - 1
    settings.write_text("".join(kept), encoding="utf-8")


def _end(campaign: Campaign) -> None:
    for process in (*campaign.senders, campaign.gateway):
        if process is not None:
            process.kill()


def _postmaster(workspace: Path) -> int:
    """The number of the server's first process; 0 where there is none."""
    try:
        pid = (workspace / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]
        os.kill(int(pid), 0)
    except (OSError, IndexError):
        return 0
    return int(pid)


def _sessions(postmaster: int) -> list[int]:
    """The processes that serve somebody, by number."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            title = (folder / "cmdline").read_bytes()
            if parent == postmaster and title.startswith(b"postgres: duewise "):
                found.append(int(folder.name))
    return sorted(found)


def _has_grown(path: Path, size: int) -> bool:
    return _size(path) > size


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _wait(
    is_true: Callable[[], bool],
    seconds: float,
    keep: Callable[[], None],
    *,
    pause_s: float = 0.02,
) -> None:
    """Until it is true, or so long; meanwhile `keep` sees that everybody is there."""
    ends_at = time.monotonic() + seconds
    while not is_true() and time.monotonic() < ends_at:
        keep()
        time.sleep(pause_s)


def _patiently(ask: Callable[[], list[Any]], start: Callable[[], None]) -> list[Any]:
    """What is asked; a server that was only just killed may have been taken for one that runs."""
    for _ in range(60):
        with suppress(Unreachable, psycopg.OperationalError):
            return ask()
        time.sleep(1)
        start()
    return ask()


if __name__ == "__main__":
    sys.exit(main())
