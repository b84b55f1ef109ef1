"""From the receipts of its parts to the state of an envelope: a fold that any order ends alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from duewise.outbox.envelope import State

# Of two receipts for one part the better news counts: a carrier may say "expired", then deliver.
PRECEDENCE = ("delivered", "failed", "expired", "unknown")
STATES: Mapping[str, State] = {
    "delivered": State.DELIVERED,
    "failed": State.FAILED,
    "expired": State.EXPIRED,
    "unknown": State.UNKNOWN,
}


def fold_receipts(parts: int, receipts: Iterable[tuple[str, str]]) -> State | None:
    """The state that receipts `(provider_id, status)` prove; None while parts are still out.

    One failed part fails the message; else one expired part expires it; it is delivered when every
    part is. Duplicates and order do not matter.

    >>> fold_receipts(2, [("b", "delivered"), ("a", "delivered"), ("a", "delivered")])
    <State.DELIVERED: 'delivered'>
    >>> fold_receipts(2, [("a", "delivered")]) is None
    True
    """
    best: dict[str, int] = {}
    for provider_id, status in receipts:
        rank = PRECEDENCE.index(status)
        best[provider_id] = min(rank, best.get(provider_id, rank))
    found = {PRECEDENCE[rank] for rank in best.values()}
    for bad in ("failed", "expired"):
        if bad in found:
            return STATES[bad]
    if len(best) < parts:
        return None
    return STATES["unknown" if "unknown" in found else "delivered"]
