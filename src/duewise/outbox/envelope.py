"""The envelope's states and the moves between them: data, from which the database's guard is made.

    planned   = sent + blocked + held + cancelled + lapsed
    submitted = delivered + failed + expired + unknown

Both tie always: an envelope still on its way is counted where it stands now (`BALANCE`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class State(StrEnum):
    """Where an envelope stands."""

    READY = "ready"  # waits for its hour
    SENDING = "sending"  # claimed by a worker; on the wire once `wired_at` is set
    ACCEPTED = "accepted"  # the gateway took it; its receipt is awaited
    DELIVERED = "delivered"  # on the handset
    FAILED = "failed"  # refused for good, or undeliverable
    EXPIRED = "expired"  # the carrier gave up within the validity period
    UNKNOWN = "unknown"  # it may have gone out; never sent again blindly
    HELD = "held"  # stopped until re-planned or released by a person
    BLOCKED = "blocked"  # a rule of the place forbids it
    CANCELLED = "cancelled"  # no longer wanted: paid, opted out, re-planned away
    LAPSED = "lapsed"  # its validity ended before the wire


class Lane(IntEnum):
    """What leaves first where not all can leave at once: the lower number."""

    REQUIRED = 0  # the contract or the law demands it
    URGENT = 1  # tomorrow it would be too late
    OPTIONAL = 2


def lane_of(*, is_required: bool, stage: str) -> Lane:
    """The lane of a message: by its step, and by its stage.

    >>> lane_of(is_required=False, stage="due_day"), lane_of(is_required=True, stage="overdue")
    (<Lane.URGENT: 1>, <Lane.REQUIRED: 0>)
    """
    if is_required or stage == "statutory":
        return Lane.REQUIRED
    return Lane.URGENT if stage == "due_day" else Lane.OPTIONAL


# A receipt is proof, and proof may come late: after a doubt was ended, and the message was to be
# sent again, was held or was taken back. It moves an envelope from anywhere. Nothing leads from
# what was accepted back to the wire but a doubt.
_PROVED = frozenset({State.DELIVERED, State.FAILED, State.EXPIRED})

MOVES: Mapping[State, frozenset[State]] = {
    State.READY: frozenset(
        {State.SENDING, State.HELD, State.BLOCKED, State.CANCELLED, State.LAPSED, *_PROVED}
    ),
    State.SENDING: frozenset(
        {
            State.ACCEPTED,
            State.UNKNOWN,
            State.READY,  # not on the wire yet, or refused for now
            State.HELD,
            State.BLOCKED,
            State.CANCELLED,
            State.LAPSED,
            *_PROVED,  # a receipt may overtake the gateway's answer
        }
    ),
    State.ACCEPTED: frozenset({State.UNKNOWN, *_PROVED}),
    State.UNKNOWN: frozenset({State.ACCEPTED, State.READY, *_PROVED}),
    State.HELD: frozenset({State.READY, State.BLOCKED, State.CANCELLED, State.LAPSED, *_PROVED}),
    State.EXPIRED: _PROVED - {State.EXPIRED},
    State.FAILED: _PROVED - {State.FAILED},
    State.BLOCKED: _PROVED,
    State.CANCELLED: _PROVED,
    State.LAPSED: _PROVED,
    State.DELIVERED: frozenset(),
}

BALANCE: Mapping[str, frozenset[State]] = {
    "delivered": frozenset({State.DELIVERED}),
    "failed": frozenset({State.FAILED}),
    "expired": frozenset({State.EXPIRED}),
    # Claimed or accepted without a receipt yet: what became of it is not known at this moment.
    "unknown": frozenset({State.UNKNOWN, State.ACCEPTED, State.SENDING}),
    "blocked": frozenset({State.BLOCKED}),
    "held": frozenset({State.HELD, State.READY}),
    "cancelled": frozenset({State.CANCELLED}),
    "lapsed": frozenset({State.LAPSED}),
}
SUBMITTED = ("delivered", "failed", "expired", "unknown")


@dataclass(frozen=True)
class Balance:
    """How many envelopes stand where; the two equations of the outbox over one count."""

    planned: int
    sent: int
    blocked: int
    held: int
    cancelled: int
    lapsed: int
    submitted: int
    delivered: int
    failed: int
    expired: int
    unknown: int

    @property
    def ties(self) -> bool:
        """Both equations hold."""
        return (
            self.planned == self.sent + self.blocked + self.held + self.cancelled + self.lapsed
        ) and (self.submitted == self.delivered + self.failed + self.expired + self.unknown)


def is_allowed(old: State, new: State) -> bool:
    """Whether the move is in the table.

    >>> is_allowed(State.READY, State.SENDING), is_allowed(State.DELIVERED, State.READY)
    (True, False)
    """
    return new in MOVES[old]


def balance(counts: Mapping[State, int], *, planned: int, submitted: int) -> Balance:
    """The two equations from a count by state.

    `planned` and `submitted` are counted independently of the states (proposals released; envelopes
    that reached the wire), so that `Balance.ties` can fail.
    """
    figures = {
        name: sum(counts.get(state, 0) for state in states) for name, states in BALANCE.items()
    }
    sent = sum(figures[name] for name in SUBMITTED)
    return Balance(planned=planned, sent=sent, submitted=submitted, **figures)
