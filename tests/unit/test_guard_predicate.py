"""Conditions are three-valued: what is not known neither holds nor fails, unless it cannot matter."""

from __future__ import annotations

import polars as pl
import pytest

from duewise.document import parse
from duewise.guard.ask import compiled
from duewise.guard.columns import Columns
from duewise.guard.facts import DTYPES, FACTS
from duewise.guard.predicate import read_predicate

TABLE = """
msg.promo == true                  | {msg.promo: true}                 | true
msg.promo == true                  | {msg.promo: false}                | false
msg.promo == true                  | {}                                | ?
msg.promo != true                  | {}                                | ?
acct.paid >= 10.50                 | {acct.paid: 1050}                 | true
acct.paid >= 10.50                 | {acct.paid: 1049}                 | false
acct.apr_total <= $acct.cap_4lpr   | {acct.apr_total: 2}               | ?
acct.apr_total <= $acct.cap_4lpr   | {acct.apr_total: 2, acct.cap_4lpr: 2} | true
d.local_hm <= '21:30'              | {d.local_hm: "21:30"}             | true
d.local_hm <= '21:30'              | {d.local_hm: "21:31"}             | false
to.role in [debtor, heir]          | {to.role: heir}                   | true
to.role in [debtor, heir]          | {}                                | ?
to.role nin [debtor, heir]         | {to.role: heir}                   | false
to.role nin [debtor, heir]         | {}                                | ?
to.role in []                      | {to.role: heir}                   | false
to.role in []                      | {}                                | ?
msg.channel nin $consent.channel_optout | {msg.channel: sms, consent.channel_optout: [sms]} | false
msg.channel nin $consent.channel_optout | {msg.channel: sms, consent.channel_optout: []} | true
msg.channel nin $consent.channel_optout | {msg.channel: sms}           | ?
msg.channel nin $consent.channel_optout | {consent.channel_optout: [sms]} | ?
msg.claims subset [a, b]           | {msg.claims: [b]}                 | true
msg.claims subset [a, b]           | {msg.claims: [b, c]}              | false
msg.claims subset []               | {msg.claims: []}                  | true
msg.claims subset []               | {msg.claims: [a]}                 | false
msg.claims subset []               | {}                                | ?
msg.claims superset [a, b]         | {msg.claims: [b, a, c]}           | true
msg.claims superset [a, b]         | {msg.claims: [a]}                 | false
msg.claims superset []             | {msg.claims: []}                  | true
msg.claims superset [a]            | {}                                | ?
msg.claims overlaps [a, b]         | {msg.claims: [c, b]}              | true
msg.claims overlaps [a, b]         | {msg.claims: []}                  | false
msg.claims overlaps [a, b]         | {}                                | ?
msg.claims subset $case.true_claims | {msg.claims: [a], case.true_claims: [a, b]} | true
msg.claims superset $case.true_claims | {msg.claims: [a], case.true_claims: [a, b]} | false
msg.claims overlaps $case.true_claims | {msg.claims: [a], case.true_claims: [a, b]} | true
msg.claims subset $case.true_claims | {msg.claims: []}                 | ?
msg.url present                    | {}                                | false
msg.url absent                     | {}                                | true
{any: [msg.promo == true, to.wrong_party == true]} | {msg.promo: true} | true
{any: [msg.promo == true, to.wrong_party == true]} | {msg.promo: false} | ?
{all: [msg.promo == true, to.wrong_party == true]} | {msg.promo: true} | ?
{all: [msg.promo == true, to.wrong_party == true]} | {msg.promo: false} | false
{not: msg.promo == true}           | {}                                | ?
{not: {all: [msg.promo == true, to.wrong_party == true]}} | {msg.promo: true} | ?
{not: {all: [msg.promo == true, to.wrong_party == true]}} | {msg.promo: false} | true
"""
SAYS = {"true": (True, False), "false": (False, True), "?": (False, False)}


@pytest.mark.parametrize("line", TABLE.strip().splitlines())
def test_it_holds_fails_or_is_not_known(line: str) -> None:
    text, facts, says = (part.strip() for part in line.split(" | "))
    predicate = read_predicate(parse(text, source="table"))
    known = parse(facts, source="table").plain()
    assert isinstance(known, dict)
    frame = pl.DataFrame(
        {"n": [1]}
        | {name: pl.Series([value], dtype=FACTS[name].dtype) for name, value in known.items()}
    )
    told = compiled(predicate)(Columns(frame))
    assert (bool(told.yes.any()), bool(told.no.any())) == SAYS[says]


def test_it_knows_a_supplier_and_gates_for_every_fact() -> None:
    assert all(fact.gates and fact.meaning for fact in FACTS.values())
    assert {fact.kind for fact in FACTS.values()} == set(DTYPES)
