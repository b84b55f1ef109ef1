"""A trace is the ledger taken apart: its pieces sum to the ledger's figures, on random histories."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from tests.compared import told
from tests.histories import DAY_0, History, columns, history_of
from tests.oracle import COMPONENTS, Account, half_up

from duewise.book.accruals import Accrual, accruals
from duewise.book.columns import RATE_UNIT, Columns
from duewise.book.trace import Trace, trace

BLOCK = 50
FIRSTS = range(0, 200, BLOCK)


def traced(seed: int) -> tuple[History, Columns, Trace]:
    history = history_of(seed)
    made = columns([history])
    return history, made, trace(made, history.as_of)


def lived(history: History, taken: int, day: int) -> Account:
    """The oracle's account with the first events only, at the end of a day."""
    account = Account(history.terms, history.lines(), history.pauses)
    account.live(min(history.terms.opened, DAY_0 - 1), day, history.events[:taken])
    return account


def paid(account: Account) -> dict[tuple[int, str], int]:
    return {
        (place, component): line.paid[component]
        for place, line in enumerate(account.lines)
        for component in COMPONENTS
    }


def parts_of(parts: pl.DataFrame, column: str) -> dict[tuple[int, str], int]:
    sums = parts.group_by("place", "component").agg(pl.col(column).sum())
    return {(place, component): amount for place, component, amount in sums.rows() if amount}


@pytest.mark.parametrize("first", FIRSTS)
def test_it_sums_to_what_the_oracle_says_of_each_component(first: int) -> None:
    for seed in range(first, first + BLOCK):
        history, _, found = traced(seed)
        account = lived(history, len(history.events), history.as_of)
        assert parts_of(found.parts, "paid_minor") == {
            key: amount for key, amount in paid(account).items() if amount
        }, seed
        for kind, column in (("waived", "waived_minor"), ("charged", "charged_minor")):
            own = ("penalty",) if kind == "charged" else COMPONENTS
            assert parts_of(found.parts, column) == {
                (place, component): getattr(line, kind)[component]
                for place, line in enumerate(account.lines)
                for component in own
                if getattr(line, kind)[component]
            }, seed
        figures, _ = told(history)
        last = found.steps.row(-1, named=True)
        assert (last["outstanding_minor"], last["credit_minor"], last["days_past_due"]) == (
            figures["outstanding"],
            figures["overpaid"],
            figures["days_past_due"],
        ), seed


@pytest.mark.parametrize("first", FIRSTS)
def test_it_gives_each_event_what_the_oracle_gives_it(first: int) -> None:
    seen = 0
    for seed in range(first, first + BLOCK):
        history, _, found = traced(seed)
        for step, event, credit in (
            found.steps.drop_nulls("event").select("step", "event", "credit_change_minor").rows()
        ):
            seen += 1
            made = history.events[event]
            before = lived(history, event, made.day)
            after = lived(history, event + 1, made.day)
            own = found.parts.filter(pl.col("step") == step)
            assert parts_of(own, "paid_minor") == {
                key: amount - paid(before)[key]
                for key, amount in paid(after).items()
                if amount != paid(before)[key]
            }, (seed, event)
            assert credit == after.credit - before.credit
            if made.kind == "payment":
                assert own["paid_minor"].sum() + credit == made.amount, (seed, event)
                assert own["waived_minor"].sum() == 0
    assert seen > BLOCK


@pytest.mark.parametrize("first", FIRSTS)
def test_it_states_sums_that_come_to_the_penalty_charged(first: int) -> None:
    seen = 0
    for seed in range(first, first + BLOCK):
        history = history_of(seed)
        # A late fee and the all-in cap go beside the rate; what is tried here is the rate alone.
        terms = replace(history.terms, late_fee=None, late_fee_share=None, all_in=None)
        history = replace(history, terms=terms)
        made = columns([history])
        found = trace(made, history.as_of)
        sums = accruals(made, found.standing)
        seen += sum(line.charged_minor > 0 for line in sums)
        assert not [line for line in sums if line.other_minor], seed
        account = lived(history, len(history.events), history.as_of)
        charged = [line.charged["penalty"] for line in account.lines]
        assert [of_place(sums, place) for place in range(len(charged))] == charged, seed
        if not any(event.kind == "extension" for event in history.events):
            for line in sums:
                exact = line.base_minor * line.days * terms.rate
                alone = [each for each in sums if each.place == line.place] == [line]
                if alone and line.until > account.lines[line.place].effective + terms.grace_days:
                    assert line.charged_minor == half_up(exact, RATE_UNIT * terms.day_count)
    assert seen > BLOCK // 2


def of_place(sums: list[Accrual], place: int) -> int:
    return sum(line.charged_minor for line in sums if line.place == place)


@pytest.mark.parametrize("first", FIRSTS)
def test_it_tells_a_late_fee_from_what_the_rate_comes_to(first: int) -> None:
    seen = 0
    for seed in range(first, first + BLOCK):
        history = history_of(seed)
        events = tuple(event for event in history.events if event.kind != "extension")
        history = replace(
            history, events=events, terms=replace(history.terms, all_in=None, late_fee=2_500)
        )
        made = columns([history])
        sums = accruals(made, trace(made, history.as_of).standing)
        account = lived(history, len(events), history.as_of)
        for place, line in enumerate(account.lines):
            other = sum(each.other_minor for each in sums if each.place == place)
            seen += bool(other)
            assert other == (line.fee or 0), (seed, place)
    assert seen > BLOCK // 4
