"""How the figures of a report are written, for page and terminal alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.numbers import format_currency

from duewise.measure.outcome import Effect
from duewise.measure.report import Cost, Count, Report
from duewise.measure.stats import Estimate, Inconclusive, Tally
from duewise.outbox.envelope import Balance

NOTHING = "–"
CANNOT_SAY = "cannot say"


@dataclass(frozen=True)
class Equation:
    """One line of the balance: `total = sum of terms`, as counted, and whether it holds."""

    name: str
    total: int
    terms: tuple[tuple[str, int], ...]

    @property
    def ties(self) -> bool:
        """The terms sum to the total."""
        return self.total == sum(count for _, count in self.terms)


def equations(balance: Balance) -> tuple[Equation, Equation]:
    """The two equations of the outbox.

    >>> held = Balance(3, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0)
    >>> [equation.ties for equation in equations(held)]
    [True, True]
    """
    planned = ("sent", "blocked", "held", "cancelled", "lapsed")
    submitted = ("delivered", "failed", "expired", "unknown")
    return (
        Equation("planned", balance.planned, _terms(balance, planned)),
        Equation("submitted", balance.submitted, _terms(balance, submitted)),
    )


def number(count: float) -> str:
    """With separators.

    >>> number(12345)
    '12,345'
    """
    return f"{count:,}"


def percent(share: float | None, *, digits: int = 1) -> str:
    """A share in percent; a dash for none.

    >>> percent(0.1224), percent(None)
    ('12.2 %', '–')
    """
    return NOTHING if share is None else f"{100 * share:.{digits}f} %"


def ratio(part: int, whole: int) -> str:
    """A part of a whole in percent; a dash of nothing."""
    return percent(part / whole if whole else None)


def points(change: float) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(-0.0098)
    '−0.98'
    """
    return f"{100 * change:+.2f}".replace("-", "−")


def late_name(outcome: str) -> str:
    """The outcome in words.

    >>> late_name("late_7d"), late_name("late_1d")
    ('late by 7 days', 'late by 1 day')
    """
    days = outcome.removeprefix("late_").removesuffix("d")
    return f"late by {days} day{'' if days == '1' else 's'}"


def rate(tally: Tally) -> tuple[str, str]:
    """An arm's late borrowers: their share, and how many of how many."""
    return percent(tally.mean), f"{number(int(tally.sum))} of {number(tally.n)}"


def difference_of(effect: Effect) -> tuple[str, str]:
    """The difference and its interval in percentage points, or that and why there is none."""
    found = effect.estimate
    if isinstance(found, Inconclusive):
        return CANNOT_SAY, found.reason.meaning
    return f"{points(found.point)} pp", f"{points(found.low)} to {points(found.high)}"


def money(amount: Decimal | float, currency: str) -> str:
    """An amount in major units, with the code of its currency.

    >>> money(1234.5, "CNY"), money(1234.5, "JPY")
    ('CNY 1,234.50', 'JPY 1,234')
    """
    return str(format_currency(amount, currency, "¤¤ #,##0.00", locale="en"))


def cost_total(cost: Cost) -> str:
    """What the parts cost."""
    return money(cost.total, cost.currency)


def cost_per_prevented(cost: Cost) -> str:
    """What one late borrower less cost, with its interval, or why nobody can say."""
    found = cost.per_prevented
    if isinstance(found, Inconclusive):
        return f"{CANNOT_SAY}: {found.reason.meaning}"
    point, low, high = (
        money(bound, cost.currency) for bound in (found.point, found.low, found.high)
    )
    return f"{point} ({low} to {high})"


def cost_terms(cost: Cost) -> str:
    """Parts and price, as the total came about."""
    return f"{number(cost.parts)} parts at {cost.currency} {cost.price}"


def why(count: Count) -> str:
    """What a name in a table of counts means, and what it rests on.

    >>> why(Count("CN-LED-01", 3, "nothing is owed", "PIPL8"))
    'nothing is owed (PIPL8)'
    """
    return f"{count.meaning} ({count.source})" if count.source else count.meaning


def period(report: Report) -> str:
    """The days of the report, first to last."""
    return f"{long_date(report.first_date)} – {long_date(report.last_date)}"


def long_date(day: object) -> str:
    """A date with its month in letters, the same in every process locale.

    >>> from datetime import date
    >>> long_date(date(2026, 3, 2))
    '2 March 2026'
    """
    return f"{day:%d %B %Y}".removeprefix("0")


def short_date(day: object) -> str:
    """Day and month."""
    return f"{day:%d %b}".removeprefix("0")


def local_time(at: datetime, zone: str) -> datetime:
    """The instant on the wall clocks of a zone."""
    return at.astimezone(ZoneInfo(zone))


def sample_ratio(report: Report) -> str:
    """What the sample-ratio test says."""
    found = report.sample_ratio
    verdict = "differ from their shares by more than chance" if found.is_mismatch else "as planned"
    return f"Arm sizes: {verdict} (p = {found.p_value:.3f})"


def is_sure(effect: Effect) -> bool:
    """The interval leaves out no effect at all."""
    return isinstance(effect.estimate, Estimate) and effect.estimate.excludes_zero


def _terms(balance: Balance, names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((name, getattr(balance, name)) for name in names)
