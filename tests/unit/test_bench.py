"""The benchmarks run, on sizes that say nothing of speed."""

import os
import time
from dataclasses import replace
from datetime import date

import pytest
from pytest_django import DjangoDbBlocker

from duewise.app import demo_app
from duewise.cli.bench import NAMES, ON_REQUEST, run
from duewise.errors import IntegrityBroken
from duewise.jobs.bench.book import Task, tables_of
from duewise.jobs.bench.figure import (
    FOREIGN_CORES_MAX,
    Figure,
    Sizes,
    alone,
    in_turns,
    prove_same,
    rates,
    this_machine,
)

AS_OF = date(2026, 8, 14)
TINY = Sizes(
    loans=300,
    borrowers=200,
    judged=100,
    messages=100,
    fields=50,
    trees=5,
    fitted=400,
    allocated=2_000,
    envelopes=20,
    sent=20,
    payments=4,
    submits=200,
    raced=20,
    turns=2,
)
WITH_PEER = set(NAMES) - {"plan", "race"}


@pytest.fixture(scope="module")
def figures(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> list[Figure]:
    """Every benchmark once. Ours and the peers' outputs are compared while they are taken."""
    app = demo_app(tmp_path_factory.mktemp("bench") / "workspace", AS_OF)
    with django_db_blocker.unblock():
        return run(app, Task(app.tenant, TINY, AS_OF, timer=time.perf_counter), NAMES + ON_REQUEST)


def test_it_takes_every_figure(figures: list[Figure]) -> None:
    assert [
        name for name in NAMES + ON_REQUEST if name not in {figure.bench for figure in figures}
    ] == []
    assert all(figure.ours > 0 and figure.size > 0 for figure in figures)


def test_it_sets_a_peer_beside_ours_where_one_exists(figures: list[Figure]) -> None:
    assert {figure.bench for figure in figures if figure.ratio is not None} == WITH_PEER


def test_it_takes_turns_and_tells_the_median_ratio() -> None:
    ticks = iter([0.0, 1.0, 1.0, 3.0, 3.0, 4.0, 4.0, 10.0, 10.0, 12.0, 12.0, 16.0])
    turns: list[str] = []
    seconds = in_turns(
        lambda: turns.append("ours"),
        lambda: turns.append("peer"),
        turns=3,
        timer=lambda: next(ticks),
    )
    figure = rates("ledger", "loans/s", 60, seconds, peer_name="another")
    assert turns == ["ours", "peer"] * 3
    assert (figure.ours, figure.peer, figure.ratio) == (60.0, 15.0, 2.0)


def test_it_counts_no_time_where_the_outputs_differ() -> None:
    with pytest.raises(IntegrityBroken, match="nothing was timed"):
        prove_same([1], [2], bench="ledger")


def test_it_calls_a_figure_of_a_busy_machine_inconclusive() -> None:
    quiet = Figure("seal", 1, "fields/s", ours=1.0, foreign_cores=FOREIGN_CORES_MAX)
    busy = replace(quiet, foreign_cores=FOREIGN_CORES_MAX + 0.01)
    assert [figure.as_json()["is_conclusive"] for figure in (quiet, busy)] == [True, False]


def test_it_listens_for_neighbours_and_names_the_machine() -> None:
    (figure,) = alone(lambda: [Figure("seal", 1, "fields/s", ours=1.0)])
    machine = this_machine()
    assert 0 <= figure.foreign_cores <= (os.cpu_count() or 1)
    assert machine.cpu
    assert machine.memory_gib > 0


def test_it_lays_out_the_same_book_piece_by_piece() -> None:
    whole = tables_of(40, as_of=AS_OF)
    second = tables_of(20, as_of=AS_OF, first=20)
    assert whole.loans.tail(20).equals(second.loans)
    assert whole.borrowers["borrower_hash"].n_unique() == 40
    assert {"payment", "reversal"} == set(tables_of(200, as_of=AS_OF).payments["kind"])
