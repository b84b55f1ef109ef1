"""The explanation says what journal and database say, and nothing else."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from tests.scenario.console_story import DAY, KEYRING, NOW, PLAN, PLANNED, TEXT, tell

from duewise.jobs.explain import explanation_text
from duewise.store.explain import Change, Explanation, day_of_envelope, explain
from duewise.store.seal import Keyring

Ask = Callable[..., Explanation]


@pytest.fixture
def told(conn: Connection[Any], tmp_path: Path) -> dict[str, int]:
    return tell(conn, tmp_path)


@pytest.fixture
def ask(conn: Connection[Any], tmp_path: Path, told: dict[str, int]) -> Ask:
    assert told, "there is a story to ask about"

    def of(borrower_id: str, keyring: Keyring | None = KEYRING) -> Explanation:
        return explain(
            conn, workspace=tmp_path, borrower_id=borrower_id, as_of=DAY, keyring=keyring
        )

    return of


def test_it_tells_a_sent_notice_from_plan_to_receipt(ask: Ask) -> None:
    found = ask("Li")
    (considered,), (story,) = found.considered, found.stories
    assert (considered.decision, considered.arm, considered.propensity) == (
        "proposed",
        "gentle_sms",
        0.95,
    )
    assert considered.losers == ("L-Li-2:due_today",)
    assert story.text == TEXT
    assert [finding.gate for finding in story.findings] == ["plan", "release", "wire"]
    assert story.changes == (
        Change(PLANNED, None, "ready", "released"),
        Change(PLANNED + timedelta(minutes=20), "ready", "sending", "claimed"),
        Change(PLANNED + timedelta(minutes=40), "sending", "accepted", ""),
        Change(PLANNED + timedelta(minutes=60), "accepted", "delivered", ""),
    )
    assert [part.provider_id for part in story.submissions] == ["0A1B2C3D"]
    assert [receipt.code for receipt in story.receipts] == ["DELIVRD"]
    assert [news.known_at for news in found.payments] == [NOW]
    assert found.problems == ()


def test_it_tells_why_nobody_wrote_to_the_hold_out(ask: Ask) -> None:
    found = ask("Chen")
    assert (found.considered[0].decision, found.considered[0].reason) == ("held_out", "hold_out")
    assert found.considered[0].propensity == 0.05
    assert found.stories == ()


def test_it_tells_every_rule_that_fired(ask: Ask) -> None:
    (story,) = ask("Sun").stories
    assert [(finding.gate, finding.outcome, finding.rules) for finding in story.findings] == [
        ("plan", "allow", ()),
        ("release", "block", ("CN-CAP-05", "CN-HRS-03")),
    ]


def test_it_tells_what_the_borrower_answered(ask: Ask) -> None:
    (reply,) = ask("Wang").replies
    assert (reply.intent, reply.action, reply.text) == (
        "dispute",
        "open_dispute",
        "我没有借过这笔钱",
    )


def test_it_leaves_texts_sealed_without_a_keyring(ask: Ask) -> None:
    assert ask("Li", None).stories[0].text is None
    assert ask("Wang", None).replies[0].text is None
    assert ask("Li", None).problems == ()


def test_it_says_when_no_key_fits(ask: Ask) -> None:
    other = Keyring({1: b"o" * 32}, b"i" * 32, lambda size: b"n" * size)
    found = ask("Li", other)
    assert found.stories[0].text is None
    assert found.problems == ("text_sealed",)


def test_it_says_when_the_journal_is_broken(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "journal" / f"as_of={DAY}" / "torn.parquet").write_bytes(b"PAR1 torn")
    found = ask("Li")
    assert found.problems == ("journal_unreadable",)
    assert found.stories, "the database still answers"


def test_it_tells_a_borrower_nobody_knows_from_a_day_without_a_plan(
    ask: Ask, conn: Connection[Any], tmp_path: Path
) -> None:
    stranger = ask("Nobody")
    assert [plan.plan_id for plan in stranger.plans] == [PLAN]
    assert "does not hold this borrower" in explanation_text(stranger)
    day = DAY + timedelta(days=1)
    empty = explain(conn, workspace=tmp_path, borrower_id="Li", as_of=day)
    assert "No plan was made for this day" in explanation_text(empty)


def test_it_finds_the_day_of_an_envelope(conn: Connection[Any], told: dict[str, int]) -> None:
    assert day_of_envelope(conn, told["Li"]) == ("Li", DAY)
    assert day_of_envelope(conn, 999_999) is None


@pytest.mark.parametrize(
    ("borrower_id", "lines"),
    [
        (
            "Li",
            (
                "  decision     proposed: a notice was proposed",
                "  step         m1_day1, arm gentle_sms, propensity 0.9500",
                "  asks for     CNY 868.40, due 2026-08-09",
                "  gave way     L-Li-2:due_today",
                f"    | {TEXT}",
                "    2026-08-10 08:30:00  ready → sending  (taken by a worker)",
                "    2026-08-10 08:50:00  receipt for 0A1B2C3D: delivered (DELIVRD)",
                "  2026-08-10 12:00:00  payment P-1 of CNY 868.40 on L-Li, paid at 2026-08-10 08:10:00",
            ),
        ),
        (
            "Chen",
            (
                "  because      hold_out: in the hold-out",
                "  hold-out     yes",
                "No envelope was made.",
            ),
        ),
        (
            "Sun",
            (
                "    CN-CAP-05  at most 3 overdue SMS a debt in 7 days",
                "    CN-HRS-03  late SMS only if its validity can be limited",
            ),
        ),
        (
            "Wang",
            (
                "    2026-08-10 08:30:00  ready → held  (the borrower disputes the debt)",
                "  2026-08-10 08:30:00  reply, disputes the debt: '我没有借过这笔钱' → a dispute was opened",
            ),
        ),
    ],
)
def test_it_reads_as_text(ask: Ask, borrower_id: str, lines: tuple[str, ...]) -> None:
    written = explanation_text(ask(borrower_id)).splitlines()
    assert [line for line in lines if line not in written] == []
