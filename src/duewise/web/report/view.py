"""A report as the page's template wants it: plain strings and lists, nothing left to work out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duewise.measure.outcome import Effect
from duewise.measure.report import Count, Journey, Line, Report, StepCount
from duewise.measure.stats import Estimate
from duewise.web.report import words

HOURS = range(24)
# What the lender says stands on one side, what the borrower does on the other.
SIDES = {"sent": "out", "reply": "in", "payment": "in"}
KIND_NAMES = {
    "due": "due",
    "sent": "sent",
    "delivered": "delivered",
    "failed": "not delivered",
    "unknown": "outcome unknown",
    "reply": "replied",
    "payment": "paid",
    "held": "held",
    "blocked": "blocked",
    "cancelled": "cancelled",
    "hold_out": "hold-out",
    "silence": "no message",
}


def view(report: Report) -> dict[str, Any]:
    """Everything the template shows but style and scripts."""
    return {
        "lender": report.lender,
        "period": words.period(report),
        "zone": report.zone,
        "made_at": f"{words.local_time(report.made_at, report.zone):%Y-%m-%d %H:%M}",
        "borrowers": words.number(report.borrowers),
        "loans": words.number(report.loans),
        "tiles": _tiles(report),
        "equations": [_equation(equation) for equation in words.equations(report.balance)],
        "effects": _effects(report.effects),
        "sample_ratio": words.sample_ratio(report),
        "is_mismatch": report.sample_ratio.is_mismatch,
        "cost_total": words.cost_total(report.cost),
        "cost_terms": words.cost_terms(report.cost),
        "cost_per_prevented": words.cost_per_prevented(report.cost),
        "steps": [_step(step) for step in report.steps],
        "days": [
            _numbers(day, ("planned", "sent", "delivered", "payments")) for day in report.days
        ],
        "hours": [
            {"hour": f"{hour:02d}:00", "sent": words.number(report.hours.get(hour, 0))}
            for hour in _hours(report)
        ],
        "reasons": [
            {"title": title, "none": none, "rows": _counts(counts)}
            for title, none, counts in reasons(report)
        ],
        "journeys": [_journey(journey, report.zone) for journey in report.journeys],
    }


def reasons(report: Report) -> list[tuple[str, str, Sequence[Count]]]:
    """The tables of reasons: title, what is said where there is none, and its counts."""
    return [
        ("Blocked, by rule", "Nothing was blocked.", report.blocked),
        ("Held, by reason", "Nothing was held.", report.held),
        ("Cancelled or lapsed, by reason", "Nothing was cancelled or lapsed.", report.given_up),
        ("Replies, by intent", "Nobody replied.", report.replies),
        ("Days without a notice, by reason", "Every day had a notice.", report.not_contacted),
    ]


def charts(report: Report) -> dict[str, Any]:
    """What the charts draw, by the name of their canvas."""
    return {
        "days": {
            "labels": [words.short_date(day.day) for day in report.days],
            "planned": [day.planned for day in report.days],
            "delivered": [day.delivered for day in report.days],
            "payments": [day.payments for day in report.days],
        },
        "hours": {
            "labels": [f"{hour:02d}" for hour in _hours(report)],
            "sent": [report.hours.get(hour, 0) for hour in _hours(report)],
        },
    }


def _tiles(report: Report) -> list[dict[str, str]]:
    balance = report.balance
    replies = sum(reply.count for reply in report.replies)
    figures = (
        ("planned", balance.planned, "proposals released"),
        ("sent", balance.sent, f"{words.ratio(balance.sent, balance.planned)} of planned"),
        ("delivered", balance.delivered, f"{words.ratio(balance.delivered, balance.sent)} of sent"),
        ("blocked", balance.blocked, f"{words.ratio(balance.blocked, balance.planned)} of planned"),
        ("replies", replies, f"{words.ratio(replies, balance.delivered)} of delivered"),
        ("opt-outs", report.opt_outs, f"{words.ratio(report.opt_outs, balance.sent)} of sent"),
    )
    return [
        {"name": name, "figure": words.number(figure), "note": note}
        for name, figure, note in figures
    ]


def _equation(equation: words.Equation) -> dict[str, Any]:
    return {
        "name": equation.name,
        "total": words.number(equation.total),
        "terms": [{"name": name, "count": words.number(n)} for name, n in equation.terms],
        "ties": equation.ties,
    }


def _effects(effects: Sequence[Effect]) -> list[dict[str, Any]]:
    """The effects with their interval as a bar on one common scale, 0 in its middle."""
    bounds = [
        max(abs(effect.estimate.low), abs(effect.estimate.high))
        for effect in effects
        if isinstance(effect.estimate, Estimate)
    ]
    scale = max(bounds, default=0.0) * 1.05 or 1.0
    return [
        {
            "name": words.late_name(effect.outcome).capitalize(),
            "treated": dict(zip(("rate", "of"), words.rate(effect.treated), strict=True)),
            "hold_out": dict(zip(("rate", "of"), words.rate(effect.hold_out), strict=True)),
            "difference": dict(
                zip(("point", "interval"), words.difference_of(effect), strict=True)
            ),
            "bar": _bar(effect.estimate, scale) if isinstance(effect.estimate, Estimate) else None,
            "is_sure": words.is_sure(effect),
        }
        for effect in effects
    ]


def _bar(estimate: Estimate, scale: float) -> dict[str, str]:
    """Where the interval starts, how long it is and where the point lies, in percent of the bar."""
    low, point, high = (
        50 + 50 * bound / scale for bound in (estimate.low, estimate.point, estimate.high)
    )
    return {"left": f"{low:.2f}", "width": f"{high - low:.2f}", "point": f"{point:.2f}"}


def _step(step: StepCount) -> dict[str, Any]:
    names = ("proposed", "held_out", "allowed", "blocked", "deferred", "sent", "delivered")
    reached = 100 * step.delivered / step.proposed if step.proposed else 0.0
    return {
        "step": step.step,
        "when": step.when,
        "stage": step.stage.replace("_", "-"),
        "counts": [words.number(getattr(step, name)) for name in names],
        "reached": f"{reached:.1f}",
    }


def _numbers(day: Any, names: tuple[str, ...]) -> dict[str, Any]:  # noqa: ANN401 — any row
    return {
        "day": words.short_date(day.day),
        "counts": [words.number(getattr(day, name)) for name in names],
    }


def _hours(report: Report) -> range:
    """From the first hour with a message to the last; the working day at least."""
    hours = [hour for hour, count in report.hours.items() if count]
    return range(min([8, *hours]), max([20, *hours]) + 1)


def _counts(counts: Sequence[Count]) -> list[dict[str, str]]:
    """Rows with a bar each, the longest full."""
    most = max((count.count for count in counts), default=0) or 1
    return [
        {
            "name": count.name,
            "count": words.number(count.count),
            "meaning": count.meaning,
            "source": count.source,
            "width": f"{100 * count.count / most:.1f}",
        }
        for count in counts
    ]


def _journey(journey: Journey, zone: str) -> dict[str, Any]:
    days: list[dict[str, Any]] = []
    for line in journey.lines:
        at = words.local_time(line.at, zone)
        day = words.short_date(at)
        if not days or days[-1]["day"] != day:
            days.append({"day": day, "lines": []})
        days[-1]["lines"].append(_line(line, f"{at:%H:%M}"))
    return {"title": journey.title, "borrower_id": journey.borrower_id, "days": days}


def _line(line: Line, time: str) -> dict[str, str]:
    return {
        "time": time,
        "kind": line.kind.replace("_", "-"),
        "name": KIND_NAMES.get(line.kind, line.kind.replace("_", " ")),
        "side": SIDES.get(line.kind, "note"),
        "text": line.text,
        "detail": line.detail,
        "lang": "zh-CN" if _is_chinese(line.text) else "en",
    }


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= sign <= "\u9fff" for sign in text)
