"""A report of an invented fortnight. `make golden` rewrites the files; review the diff."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from duewise.measure.outcome import Effect
from duewise.measure.report import Cost, Count, DayCount, Journey, Line, Report, StepCount
from duewise.measure.stats import (
    Inconclusive,
    Reason,
    SampleRatio,
    Tally,
    cost_per_prevented,
    difference,
)
from duewise.outbox.envelope import Balance
from duewise.web.report import CHART_LIBRARY, render_html, render_terminal
from duewise.web.report.render import CHART_LICENCE
from duewise.web.report.terminal import WIDTH_MIN

FOLDER = Path(__file__).parent
FIRST = date(2026, 3, 2)
HOSTILE = "</script><script>alert('x')</script> {{ lender }} [bold]\u2028"

BALANCE = Balance(
    planned=11_562,
    sent=10_871,
    blocked=402,
    held=31,
    cancelled=236,
    lapsed=22,
    submitted=10_871,
    delivered=10_480,
    failed=214,
    expired=98,
    unknown=79,
)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


def effect(days: int, hold_out: Tally, treated: Tally) -> Effect:
    return Effect(f"late_{days}d", treated, hold_out, difference(hold_out, treated))


def days() -> Iterator[DayCount]:
    for number in range(14):
        planned = 700 + 37 * ((number * 5) % 7)
        day = FIRST + timedelta(days=number)
        yield DayCount(day, planned, planned - 50, planned - 79, 820 + 31 * ((number * 3) % 11))


JOURNEYS = (
    Journey(
        "Li pays late, after a word",
        "B0000017",
        (
            Line(
                at(3, 10, 12),
                "sent",
                "【安心贷】李女士，您尾号6602的借款868.40元将于3月6日到期。",
                "before_due, gentle",
            ),
            Line(at(3, 10, 12), "delivered", "", "receipt DELIVRD"),
            Line(at(6, 0), "due", "CNY 868.40 fell due"),
            Line(
                at(7, 9, 40),
                "sent",
                "【安心贷】李女士，您的借款已逾期1天，请尽快还款；如有困难可申请分期。",
                "m1_day1, neutral",
            ),
            Line(at(7, 12, 31), "payment", "CNY 868.40", "nothing more was sent"),
        ),
    ),
    Journey(
        "Zhao opts out",
        "B0000203",
        (
            Line(
                at(4, 9, 5),
                "sent",
                "【安心贷】赵先生，您的借款512.00元将于3月7日到期。",
                "before_due, gentle",
            ),
            Line(at(4, 9, 20), "reply", "TD", "read as opt_out: no more messages on this channel"),
            Line(at(6, 8, 30), "blocked", "due_today", "CN-SUP-01: opted out"),
        ),
    ),
    Journey(
        "Chen is in the hold-out",
        "B0000518",
        (
            Line(at(5, 8, 30), "hold_out", "before_due was wanted, nothing was sent", "share 5 %"),
            Line(at(8, 19, 2), "payment", "CNY 1,204.00"),
        ),
    ),
)

DAY_1 = effect(1, Tally(612, 71, 71), Tally(11_480, 1_010, 1_010))

REPORT = Report(
    lender="安心小贷 · Anxin Micro-lending",
    first_date=FIRST,
    last_date=FIRST + timedelta(days=13),
    zone="Asia/Shanghai",
    made_at=at(16, 9),
    borrowers=20_000,
    loans=26_984,
    balance=BALANCE,
    blocked=(
        Count("CN-DUE-01", 231, "the debt is not overdue yet", "CC203, CARDSELF"),
        Count("DW-OPT-01", 104, "the borrower opted out of the channel", "HOUSE"),
        Count("CN-DSP-01", 67, "a dispute is open", "CARD69"),
    ),
    held=(Count("payment_event", 219, "news of a payment"), Count("unheard_of", 17)),
    given_up=(
        Count("after_payment: no_step", 236, "after the payment: no step fits this day"),
        Count("validity_ended", 22, "its validity ended"),
    ),
    not_contacted=(Count("no_step", 268_071, "no step fits this day"), Count("hold_out", 491)),
    opt_outs=29,
    replies=(
        Count("paid", 61, "says it is paid"),
        Count("promise", 44, "promises to pay"),
        Count("opt_out", 29, "wants no more messages"),
        Count("question", 21),
        Count("hardship", 18),
        Count("wrong_person", 7),
    ),
    effects=(
        DAY_1,
        effect(7, Tally(301, 19, 19), Tally(5_702, 291, 291)),
        Effect(
            "late_30d", Tally(0, 0, 0), Tally(0, 0, 0), Inconclusive(Reason.HORIZON_NOT_REACHED)
        ),
    ),
    sample_ratio=SampleRatio(p_value=0.412, is_mismatch=False),
    cost=Cost(14_033, Decimal("0.045"), "CNY", cost_per_prevented(631.485, DAY_1.estimate)),
    steps=(
        StepCount("before_due", "pre_due", 6_904, 351, 6_480, 201, 88, 6_402, 6_190, "dpd = -2"),
        StepCount(
            "due_today_risky", "due_day", 2_801, 140, 2_590, 103, 40, 2_511, 2_404, "dpd = 0"
        ),
        StepCount("m1_day1", "overdue", 2_057, 0, 1_990, 98, 61, 1_958, 1_886),
    ),
    hours={9: 2_310, 10: 2_208, 11: 1_984, 12: 402, 14: 1_120, 18: 1_460, 19: 1_387},
    days=tuple(days()),
    journeys=JOURNEYS,
)


def page(report: Report = REPORT) -> str:
    """The page without the chart library, which is not ours to review."""
    text = render_html(report)
    for foreign in (CHART_LIBRARY, CHART_LICENCE):
        assert foreign.read_text(encoding="utf-8") in text
        text = text.replace(foreign.read_text(encoding="utf-8"), "…")
    return text


def printed(report: Report, *, width: int = WIDTH_MIN) -> str:
    console = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(render_terminal(report))
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def as_reviewed(name: str, text: str) -> bool:
    path = FOLDER / name
    if os.environ.get("DUEWISE_GOLDEN") == "rewrite":
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8") == text


class Elements(HTMLParser):
    """What elements the page has, with their attributes; and its text outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def count(self, wanted: str) -> int:
        return sum(tag == wanted for tag, _ in self.found)


def test_it_writes_the_page_as_reviewed() -> None:
    assert as_reviewed("report.html", page())


def test_it_prints_the_report_as_reviewed() -> None:
    assert as_reviewed("report.txt", printed(REPORT))


@pytest.mark.parametrize("width", [WIDTH_MIN, 120])
def test_it_cuts_nothing_off_in_a_terminal(width: int) -> None:
    text = printed(REPORT, width=width)
    assert "…" not in text
    assert max(cell_len(line) for line in text.splitlines()) <= width
    for step in REPORT.steps:
        assert f" {step.step} " in text
    said = "".join(re.findall(r"[【】，。；\w.]+", text))
    for journey in JOURNEYS:
        for line in journey.lines:
            if line.kind == "sent":
                assert line.text in said


def test_it_finds_the_chart_library_in_the_consoles_theme() -> None:
    assert CHART_LIBRARY.is_file()
    assert CHART_LICENCE.is_file()


def test_it_asks_nothing_of_any_network() -> None:
    for _, attributes in Elements(page()).found:
        assert not attributes.keys() & {"src", "href", "action", "srcset", "data"}
    assert not re.search(r"url\(|@import|https?:|fetch\(", page())


def test_it_escapes_every_text_of_the_report() -> None:
    count = Count(HOSTILE, 1, HOSTILE)
    hostile = replace(
        REPORT,
        lender=HOSTILE,
        zone="Asia/Shanghai",
        blocked=(count,),
        held=(count,),
        given_up=(count,),
        replies=(count,),
        not_contacted=(count,),
        steps=(replace(REPORT.steps[0], step=HOSTILE, stage=HOSTILE),),
        journeys=(Journey(HOSTILE, HOSTILE, (Line(at(3, 10), HOSTILE, HOSTILE, HOSTILE),)),),
    )
    assert Elements(page(hostile)).count("script") == Elements(page()).count("script")
    assert "<script>alert" not in page(hostile)
    assert "{{ lender }}" in page(hostile)
    assert "[bold]" in printed(hostile)


def test_it_shows_each_equation_that_does_not_tie() -> None:
    broken = replace(REPORT, balance=replace(BALANCE, blocked=401))
    assert page().count("✓") == 2
    assert (page(broken).count("✓"), page(broken).count("✗")) == (1, 1)
    assert "✗ planned 11,562" in printed(broken)
    assert "✓ submitted 10,871" in printed(broken)


def test_it_says_why_there_is_no_figure() -> None:
    unsure = Cost(9, Decimal("0.045"), "CNY", Inconclusive(Reason.EFFECT_NOT_CERTAIN))
    for text in (page(), printed(REPORT, width=120)):
        assert "cannot say" in text
        assert Reason.HORIZON_NOT_REACHED.meaning in text
    assert f"cannot say: {Reason.EFFECT_NOT_CERTAIN.meaning}" in printed(
        replace(REPORT, cost=unsure), width=120
    )


def test_it_warns_of_arms_out_of_ratio() -> None:
    warned = replace(REPORT, sample_ratio=SampleRatio(p_value=0.0001, is_mismatch=True))
    assert 'class="alarm"' in page(warned)
    assert 'class="alarm"' not in page()


def test_it_marks_the_language_of_what_was_said() -> None:
    said = [attributes for tag, attributes in Elements(page()).found if tag == "p"]
    assert {"zh-CN", "en"} == {a["lang"] for a in said if a.get("class") == "said"}


def test_it_makes_a_page_of_nothing() -> None:
    nothing = replace(
        REPORT,
        balance=Balance(*[0] * 11),
        blocked=(),
        held=(),
        given_up=(),
        not_contacted=(),
        opt_outs=0,
        replies=(),
        effects=(),
        cost=Cost(0, Decimal("0.045"), "CNY", Inconclusive(Reason.NO_EVENTS)),
        steps=(),
        hours={},
        days=(),
        journeys=(),
    )
    assert "Nobody replied." in page(nothing)
    assert "✓ planned 0" in printed(nothing)
