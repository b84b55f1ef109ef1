"""The processes that plan a book's partitions side by side, or this one alone."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TypeAlias

from duewise.engine.partition import PlanContext, Tables
from duewise.jobs.plan_part import plan_part
from duewise.jobs.plan_worker import begin, get_ready, plan_next
from duewise.jobs.worker_environment import for_workers

Task: TypeAlias = tuple[Callable[[], Tables], Path]
Planners: TypeAlias = Callable[[Iterable[Task]], Iterator[None]]


@contextmanager
def planners(
    context: PlanContext, *, workers: int, meanwhile: Callable[[], None] | None = None
) -> Iterator[Planners]:
    """What runs tasks, at most `workers` + 1 of them in memory, and yields as each is done.

    `meanwhile` is called while the last ones are planned by others. Processes end when all is
    planned, and the block's end waits for them.
    """
    if workers <= 1:
        yield partial(_run_here, context)
        return
    # Spawned, not forked: Polars' thread pool does not survive a fork.
    spawn = multiprocessing.get_context("spawn")
    with for_workers(workers):
        executor = ProcessPoolExecutor(
            workers, spawn, initializer=begin, initargs=(pickle.dumps(context),)
        )
        ending = Thread(target=executor.shutdown)

        def run(tasks: Iterable[Task]) -> Iterator[None]:
            yield from _run(executor, workers, tasks, meanwhile)
            ending.start()  # a process takes a while to end

        try:
            for _ in range(workers):  # they start while the first partition is looked up
                executor.submit(get_ready)
            yield run
        finally:
            if ending.ident is None:
                executor.shutdown(cancel_futures=True)
            else:
                ending.join()


def _run_here(context: PlanContext, tasks: Iterable[Task]) -> Iterator[None]:
    for read, target in tasks:
        plan_part(read, context, target)
        yield


def _run(
    executor: Executor, workers: int, tasks: Iterable[Task], meanwhile: Callable[[], None] | None
) -> Iterator[None]:
    running: set[Future[None]] = set()
    for task in tasks:
        running.add(executor.submit(plan_next, *task))
        if len(running) > workers:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
    if meanwhile:
        meanwhile()
    yield from (future.result() for future in running)
