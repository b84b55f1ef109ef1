"""What became of a borrower-day, and why a borrower is not contacted."""

from __future__ import annotations

from enum import StrEnum


class Decision(StrEnum):
    """What became of a borrower-day."""

    PROPOSED = "proposed"
    HELD_OUT = "held_out"
    NONE = "none"


class Reason(StrEnum):
    """Why a borrower is not contacted. Documented in `docs/reference/reasons.md`, key by key."""

    NO_STEP = "no_step"
    NOTHING_OWED = "nothing_owed"
    MESSAGES_PAUSED = "messages_paused"
    HOLD_OUT = "hold_out"
    NO_ADDRESS = "no_address"
    CHANNEL_OPTED_OUT = "channel_opted_out"
    FATIGUE = "fatigue"
    WINDOW_OVER = "window_over"
    OVER_BUDGET = "over_budget"
    NOT_OVERDUE_YET = "not_overdue_yet"
    PART_PAYMENT = "part_payment"
    PROMISE_OPEN = "promise_open"
    SELF_CURE_LIKELY = "self_cure_likely"
    CASCADE_STOPPED = "cascade_stopped"
    CASCADE_OVER = "cascade_over"
    CASCADE_WAITING = "cascade_waiting"
