"""A figure, the machine it was taken on, and the turns that ours and a peer take."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from duewise.errors import IntegrityBroken
from duewise.jobs.interpreter import this_python

Timer = Callable[[], float]

# A neighbour that takes more of a core than this makes a figure say nothing about us.
FOREIGN_CORES_MAX = 0.1
_LISTEN_S = 0.3
_MIB = 1_024


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and how often ours and the peer take turns."""

    loans: int = 1_000_000
    borrowers: int = 1_000_000
    judged: int = 200_000
    messages: int = 200_000
    fields: int = 200_000
    trees: int = 300
    fitted: int = 1_000_000
    allocated: int = 1_000_000
    envelopes: int = 5_000
    sent: int = 60_000  # borrowers; so many that start and end do not count for much
    payments: int = 500
    waiting: int = 0  # envelopes that wait while payments are recorded, beside those released
    submits: int = 100_000
    raced: int = 10_000
    turns: int = 5
    seed: int = 1


FULL = Sizes()
QUICK = Sizes(
    loans=200_000,
    borrowers=50_000,
    judged=40_000,
    messages=50_000,
    fields=50_000,
    fitted=100_000,
    allocated=100_000,
    envelopes=1_000,
    sent=1_000,
    payments=200,
    submits=20_000,
    raced=500,
    turns=3,
)


@dataclass(frozen=True)
class Figure:
    """One measured figure. `unit` says what `ours` and `peer` count, e.g. "loans/s" or "ms p99".

    `ratio` is the median over the pairs of turns; above 1 ours is the better, whichever way the
    unit runs. None where there is no peer.
    """

    bench: str
    size: int
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    ratio: float | None = None
    note: str = ""
    foreign_cores: float = 0.0

    @property
    def is_conclusive(self) -> bool:
        """Whether the machine was ours while it was taken."""
        return self.foreign_cores <= FOREIGN_CORES_MAX

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_conclusive": self.is_conclusive}


@dataclass(frozen=True)
class Machine:
    """Where figures were taken."""

    cpu: str
    cores: int
    memory_gib: float
    python: str
    load_1m: float


def this_machine() -> Machine:
    """The machine this process runs on, and its load average at this moment."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cpu=_field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(pages * page_bytes / 1_024**3, 1),
        python=this_python(),
        load_1m=round(os.getloadavg()[0], 2),
    )


def peak_rss_mib() -> int:
    """The most memory this process has held, in MiB."""
    return int((_field(Path("/proc/self/status"), "VmHWM") or "0").split()[0]) // _MIB


def forget_peak() -> int:
    """Count `peak_rss_mib` anew from here; MiB held now. Linux, proc(5), clear_refs."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_rss_mib()


def foreign_cores() -> float:
    """How many cores others keep busy: listens for a moment in which we do nothing."""
    before, ours = _busy_s(), time.process_time()
    began = time.perf_counter()
    time.sleep(_LISTEN_S)
    spent = time.process_time() - ours
    busy = (_busy_s() - before - spent) / (time.perf_counter() - began)
    return round(min(max(busy, 0.0), os.cpu_count() or 1), 2)  # the kernel counts whole ticks


def alone(run: Callable[[], list[Figure]]) -> list[Figure]:
    """The figures of a benchmark, each with the neighbours heard before or after it."""
    before = foreign_cores()
    figures = run()
    heard = max(before, foreign_cores())
    return [replace(figure, foreign_cores=heard) for figure in figures]


def in_turns(
    ours: Callable[[], object], peer: Callable[[], object] | None, *, turns: int, timer: Timer
) -> list[tuple[float, float | None]]:
    """Seconds of each turn of ours and of the peer: A B A B and so on."""
    return [(_seconds(ours, timer), _seconds(peer, timer) if peer else None) for _ in range(turns)]


def rates(
    bench: str,
    unit: str,
    size: int,
    seconds: list[tuple[float, float | None]],
    *,
    peer_name: str = "",
    note: str = "",
) -> Figure:
    """Pairs of seconds as medians of things a second, and the median of the pairs' ratios."""
    pairs = [(ours, peer) for ours, peer in seconds if peer is not None]
    return Figure(
        bench,
        size,
        unit,
        ours=statistics.median(size / ours for ours, _ in seconds),
        peer=statistics.median(size / peer for _, peer in pairs) if pairs else None,
        peer_name=peer_name,
        ratio=statistics.median(peer / ours for ours, peer in pairs) if pairs else None,
        note=note,
    )


def prove_same(ours: object, peer: object, *, bench: str) -> None:
    """Raises IntegrityBroken where the peer's output is not ours: then no time counts."""
    if ours != peer:
        raise IntegrityBroken(f"bench {bench}: the peer's output is not ours; nothing was timed")


def _seconds(run: Callable[[], object], timer: Timer) -> float:
    began = timer()
    run()
    return timer() - began


def _busy_s() -> float:
    """Seconds that all cores together have worked since the machine started."""
    numbers = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, *interrupts = map(int, numbers)
    return (user + nice + system + sum(interrupts[:2])) / os.sysconf("SC_CLK_TCK")


def _field(path: Path, name: str) -> str | None:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
