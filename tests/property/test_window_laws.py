"""Laws of a wire's window: whatever the gateway says, each submit is settled once, in its place."""

from __future__ import annotations

from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from duewise.channels.base import SendResult, Unknown
from duewise.channels.wire.batch import Batch
from duewise.channels.wire.window import NEVER_WRITTEN, Window

SEQUENCE_MAX = 1_000  # more than is handed over in a test: nothing waits so long for its answer
lengths = st.lists(st.integers(1, 5), max_size=12)


class Counted(Batch):
    """A batch that knows how often it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told = 0
        self.words = list[str]()  # that nothing is left to write

    def known(self, count: int) -> None:
        self.told += count
        super().known(count)


@settings(max_examples=60)
@given(
    size=st.integers(1, 7),
    before=st.integers(850, SEQUENCE_MAX),
    batches=st.lists(lengths, min_size=1, max_size=3),
    writes=st.integers(0, 40),
    data=st.data(),
)
def test_it_settles_each_submit_once_and_in_its_place(
    size: int, before: int, batches: list[list[int]], writes: int, data: st.DataObject
) -> None:
    window, told = Window(size, sequence_max=SEQUENCE_MAX), [Counted() for _ in batches]
    for _ in range(before):
        window.number()  # so that they start again in the midst of it
    for number, (batch, parts) in enumerate(zip(told, batches, strict=True)):
        window.add(
            [[b"%d %d %d" % (number, at, part) for part in range(n)] for at, n in enumerate(parts)],
            batch,
        )
    for batch in told:
        batch.when_written(partial(batch.words.append, "written"))
    assert [len(batch.words) for batch in told] == [not parts for parts in batches]
    out: dict[int, bytes] = {}
    while window.queued and writes:
        writes -= 1
        first, bodies = window.take()
        assert not out.keys() & set(range(first, first + len(bodies)))
        assert 0 < first <= SEQUENCE_MAX + 1 - len(bodies)
        out |= dict(enumerate(bodies, start=first))
        assert len(out) == size - window.free <= size
        names = data.draw(st.permutations(sorted(out)))[: data.draw(st.integers(1, len(out)))]
        accepted = [out.pop(name).decode() for name in names]
        strays = window.accept([*names, names[0], 0], [*accepted, "", ""])
        assert strays == [(names[0], ""), (0, "")]
    unknown, queued = len(out), window.queued
    assert any(not batch.words for batch in told) == bool(queued)
    window.end("lost")
    outcomes = [outcome for batch in told for outcome in batch.outcomes]
    assert (outcomes.count(Unknown("lost")), outcomes.count(NEVER_WRITTEN)) == (unknown, queued)
    assert (window.free, window.queued) == (size, 0)
    for number, (batch, parts) in enumerate(zip(told, batches, strict=True)):
        names_in_order = [
            f"{number} {at} {part}" for at, n in enumerate(parts) for part in range(n)
        ]
        assert batch.told == len(names_in_order)
        assert batch.words == ["written"]
        for outcome, name in zip(batch.outcomes, names_in_order, strict=True):
            assert outcome == name or isinstance(outcome, SendResult)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_it_keeps_the_parts_of_a_message_in_one_write(parts: list[int]) -> None:
    window = Window(5, sequence_max=SEQUENCE_MAX)
    window.add([[b"%d" % at] * n for at, n in enumerate(parts)], Batch())
    while window.queued:
        first, bodies = window.take()
        for body in set(bodies):
            assert bodies.count(body) == parts[int(body)]
        window.accept(range(first, first + len(bodies)), [""] * len(bodies))


def test_it_finds_what_has_been_out_for_too_long() -> None:
    window = Window(2, sequence_max=SEQUENCE_MAX)
    window.add([[b""], [b""]], Batch())
    window.take()
    assert window.overdue(now=1.0, patience_s=5) == []
    window.accept([1], ["a"])
    assert window.overdue(now=5.9, patience_s=5) == []
    assert window.overdue(now=6.0, patience_s=5) == [2]
