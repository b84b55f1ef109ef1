"""Acceptance cases of the guard: judged by the profiles they name, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from duewise.errors import BadInput
from duewise.guard.cap import EVENTS
from duewise.guard.case_file import CaseFile, Check
from duewise.guard.facts import FACTS
from duewise.guard.judge import judge
from duewise.guard.profile import load_rulebook, profile_names, with_calendars
from duewise.guard.rule import Rulebook

Frames: TypeAlias = tuple[pl.DataFrame, pl.DataFrame]
_TOLD = ("outcome", "rules", "deciding", "next_allowed_at")


@dataclass(frozen=True)
class CheckVerdict:
    """What the guard said to one check; `deciding` are the rules at the decision's severity."""

    check: Check
    decision: str
    rules: tuple[str, ...]
    deciding: tuple[str, ...]
    next_allowed_at: datetime | None

    def as_dict(self) -> dict[str, object]:
        """`{case, check, decision, rules, next_allowed_at}`; the instant is ISO 8601.

        Its offset is that of the check's `now`.
        """
        at, now = self.next_allowed_at, self.check.now
        return {
            "case": self.check.case,
            "check": self.check.number,
            "decision": self.decision,
            "rules": list(self.rules),
            "next_allowed_at": at.astimezone(now.tzinfo).isoformat() if at and now else None,
        }

    def disagreements(self) -> list[str]:
        """What the check expected and did not get, one line each; none if all agree."""
        expected = self.check.expected
        got = {
            "decision": self.decision,
            "rules": sorted(self.deciding),
            "next_allowed_at": self.next_allowed_at,
        }
        want = {
            "decision": expected.decision or self.decision,
            "rules": got["rules"] if expected.rules is None else sorted(expected.rules),
            "next_allowed_at": expected.next_allowed_at or self.next_allowed_at,
        }
        place = f"line {self.check.line}: {self.check.case} check {self.check.number}"
        return [
            f"{place}: {key} is {got[key]}, expected {want[key]}"
            for key in got
            if got[key] != want[key]
        ]


def run_cases(
    cases: CaseFile,
    *,
    overlays: Sequence[str] = (),
    directories: Sequence[Path] = (),
    on: date | None = None,
) -> list[CheckVerdict]:
    """One verdict a check, in the file's order. `overlays` are profiles laid over each check's own.

    All checks of a jurisdiction are judged as one frame, by the rules in force when each message
    leaves, or `on` another day. Raises BadInput for an unknown profile.
    """
    _refuse_unknown(cases, directories)
    verdicts: dict[int, CheckVerdict] = {}
    for jurisdiction in dict.fromkeys(check.jurisdiction for check in cases.checks):
        chosen = {n: c for n, c in enumerate(cases.checks) if c.jurisdiction == jurisdiction}
        rulebook = with_calendars(
            load_rulebook([jurisdiction, *overlays], directories=directories), cases.calendars
        )
        rulebook = rulebook.on(on) if on else rulebook
        judged = judge_checks(list(chosen.values()), rulebook)
        verdicts |= dict(zip(chosen, judged, strict=True))
    return [verdicts[n] for n in range(len(cases.checks))]


def judge_checks(
    checks: Sequence[Check], rulebook: Rulebook, frames: Frames | None = None
) -> list[CheckVerdict]:
    """One verdict a check, all judged as one frame; `frames` if they are made already."""
    messages, history = frames or check_frames(checks)
    judged = judge(messages, history, rulebook=rulebook).select(_TOLD)
    return [
        _verdict(check, row)
        for check, row in zip(checks, judged.iter_rows(named=True), strict=True)
    ]


def check_frames(checks: Sequence[Check]) -> Frames:
    """The checks as messages to judge, and their contact logs."""
    return _messages(checks), _history(checks)


def _refuse_unknown(cases: CaseFile, directories: Sequence[Path]) -> None:
    known = profile_names(directories)
    for check in cases.checks:
        if check.jurisdiction.upper() not in known:
            raise BadInput(
                f"no profile {check.jurisdiction!r}",
                source=cases.source,
                line=check.line,
                mend=f"set `jur` to one of {', '.join(known)}",
            )


def _verdict(check: Check, row: Mapping[str, Any]) -> CheckVerdict:
    return CheckVerdict(
        check,
        decision=row["outcome"],
        rules=tuple(row["rules"]),
        deciding=tuple(row["deciding"]),
        next_allowed_at=row["next_allowed_at"],
    )


def _messages(checks: Sequence[Check]) -> pl.DataFrame:
    columns = {
        name: pl.Series(name, [check.facts.get(name) for check in checks], dtype=fact.dtype)
        for name, fact in FACTS.items()
        if not name.startswith("d.")
    }
    borrowers = [str(n) for n in range(len(checks))]
    return pl.DataFrame({"borrower_id": borrowers, **columns})


def _history(checks: Sequence[Check]) -> pl.DataFrame:
    events = [
        {"borrower_id": str(n), **event}
        for n, check in enumerate(checks)
        for event in check.history or ()
    ]
    return pl.DataFrame(events, schema=EVENTS)
