"""The release: a finished plan becomes envelopes once, and one bad row stops no other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from tests.scenario.desk import (
    EVENING,
    Desk,
    admit,
    delivery_line,
    open_desk,
    plan_day,
    release,
    submits,
    write_book,
)

from duewise.errors import BadInput

YESTERDAY = date(2026, 8, 13)


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    opened = open_desk(tmp_path / "workspace", dsn)
    admit(opened, "Li", "Wang")
    return opened


@pytest.fixture
def folder(desk: Desk) -> Path:
    return plan_day(desk, write_book(desk, Li=YESTERDAY, Wang=YESTERDAY))


async def test_it_releases_a_plan_once_however_often_it_is_told(desk: Desk, folder: Path) -> None:
    assert release(desk, folder) == {"ready": 2}
    assert release(desk, folder) == {}
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    assert release(desk, folder) == {}
    assert desk.states() == {"delivered": 2}
    assert len({record["reference"] for record in submits(desk)}) == 2
    desk.assert_ties()


def test_it_plans_a_message_once_in_two_plans_of_a_day(desk: Desk, folder: Path) -> None:
    from duewise.store.book import open_book

    release(desk, folder)
    desk.clock.set(desk.clock.now() + timedelta(hours=1))
    again = plan_day(desk, open_book(desk.app.workspace / "book"), name="plan-2")
    assert release(desk, again) == {}
    assert desk.states() == {"ready": 2}
    assert desk.rows("SELECT proposals FROM plan_run ORDER BY planned_at") == [(2,), (0,)]
    desk.assert_ties()


def cut_off(folder: Path) -> None:
    (folder / "plan.json").unlink()


def half_written(folder: Path) -> None:
    path = folder / "plan.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lost(folder: Path) -> None:
    (folder / "plan.parquet").unlink()


def of_another_plan(folder: Path) -> None:
    path = folder / "plan.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"plan_id": "', '"plan_id": "0'), encoding="utf-8")


def emptied(folder: Path) -> None:
    (folder / "plan.json").write_text("{}", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "file", "mend"),
    [
        (cut_off, "plan.json", "run `duewise plan` first"),
        (emptied, "plan.json", "run `duewise plan` first"),
        (half_written, "plan.parquet", "run `duewise plan` into an empty folder"),
        (lost, "plan.parquet", "run `duewise plan` into an empty folder"),
        (of_another_plan, "plan.parquet", "run `duewise plan` into an empty folder"),
    ],
)
def test_it_releases_nothing_of_an_unfinished_plan(
    desk: Desk, folder: Path, spoil: Callable[[Path], None], file: str, mend: str
) -> None:
    spoil(folder)
    with pytest.raises(BadInput) as caught:
        release(desk, folder)
    assert caught.value.source == str(folder / file)
    assert caught.value.mend == mend
    assert desk.states() == {}
    assert desk.rows("SELECT count(*) FROM plan_run") == [(0,)]
    assert not (desk.app.workspace / "journal").exists()


async def test_it_blocks_a_message_that_lacks_a_variable_and_lets_the_others_go(
    desk: Desk, folder: Path
) -> None:
    desk.run(
        "UPDATE person SET salutation_sealed = NULL, name_sealed = NULL WHERE borrower_id = 'Wang'"
    )
    assert release(desk, folder) == {"ready": 1, "blocked": 1}
    assert desk.story("Wang") == [("blocked", "missing_variable")]
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    assert desk.states() == {"delivered": 1, "blocked": 1}
    desk.assert_ties()
