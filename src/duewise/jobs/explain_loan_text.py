"""A loan's explanation as lines for a person, in the language of the words given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal

from duewise.jobs.explain import Words, amount, load_words, meaning
from duewise.jobs.explain_loan import LoanExplanation, Row


def loan_text(explanation: LoanExplanation, *, words: Words | None = None) -> str:
    """Terms, schedule, history and figures; sentences of `words.yaml`."""
    return "\n".join(_Telling(explanation, words or load_words("en")).lines()) + "\n"


class _Telling:
    """One explanation in one language."""

    def __init__(self, explanation: LoanExplanation, words: Words) -> None:
        self.told, self.words = explanation, words

    def lines(self) -> Iterator[str]:
        told = self.told
        yield self.say("title", **asdict(told))
        yield from ("", self.say("terms"))
        yield from (f"  {line}" for line in self.terms())
        yield from ("", self.say("schedule"))
        for row in told.schedule:
            money = {name: self.money(row[f"{name}_minor"]) for name in _AGREED}
            yield "  " + self.say("instalment", **{**row, **money})
        yield from ("", self.say("history"))
        for row in told.history:
            yield from self.happened(row)
        if not told.history:
            yield "  " + self.say("nothing")
        yield from ("", self.say("figures", as_of=told.as_of))
        yield from (f"  {line}" for line in self.figures())

    def say(self, sentence: str, **values: object) -> str:
        return self.words["loan"][sentence].format_map(values)

    def mean(self, kind: str, code: str) -> str:
        return meaning(self.words, kind, code)

    def money(self, minor: int) -> str:
        return amount(minor, self.told.currency)

    # ---- terms ---------------------------------------------------------------------------------

    def terms(self) -> Iterator[str]:
        terms = self.told.terms
        yield self.say("product", **terms)
        yield self.say(
            "waterfall",
            order=" > ".join(self.mean("component", each) for each in terms["waterfall"]),
            by=self.mean("by", terms["by"]),
            advance=self.mean("advance", terms["advance"]),
        )
        yield self.say(
            "penalty",
            rate=_percent(terms["penalty_rate"]),
            on=self.mean("penalty_on", terms["penalty_on"]),
            daily=_percent(terms["penalty_rate_a_day"]),
            day_count=terms["day_count"],
        )
        if terms["compound_every_days"]:
            yield self.say("compound", days=terms["compound_every_days"])
        tolerance = self.money(terms["tolerance_minor"])
        yield self.say("grace", grace_days=terms["grace_days"], tolerance=tolerance)
        yield from self.limits(terms)
        yield self.say("roll", roll=self.mean("due_roll", terms["due_roll"]))

    def limits(self, terms: Row) -> Iterator[str]:
        annual = _percent(Decimal(str(terms["annual_rate"])))
        if terms["late_fee"] is not None or terms["late_fee_share"] is not None:
            share = terms["late_fee_share"]
            yield self.say(
                "late_fee",
                amount="-" if terms["late_fee"] is None else terms["late_fee"],
                share="-" if share is None else _percent(share),
                floor=terms["late_fee_floor"],
            )
        if terms["penalty_multiplier_cap"] is not None:
            cap = terms["penalty_multiplier_cap"]
            yield self.say("multiplier_cut", cap=cap, annual_rate=annual)
        if terms["all_in_cap"] is not None:
            cap = _percent(terms["all_in_cap"])
            yield self.say("all_in", cap=cap)
            if terms["is_all_in_over"]:
                yield self.say("all_in_over", cap=cap, annual_rate=annual)

    # ---- history -------------------------------------------------------------------------------

    def happened(self, row: Row) -> Iterator[str]:
        if row["kind"] == "accrual":
            yield f"  {row['date']}  {self.accrual(row)}"
            return
        values = {**row, "amount": self.money(row.get("amount_minor", 0))}
        if row.get("reversed"):
            values["by"] = ", ".join(row["reversed"]["ids"])
        yield f"  {row['date']}  {self.say(row['kind'], **values)}"
        if row["kind"] != "reversed":
            yield from (f"              {line}" for line in self.effects(row, values))

    def accrual(self, row: Row) -> str:
        terms, currency = self.told.terms, self.told.currency
        said = self.say(
            "accrual",
            **row,
            base=self.money(row["base_minor"]),
            rate=_percent(terms["penalty_rate"]),
            day_count=terms["day_count"],
            accrued=amount(row["accrued_minor"], currency),
            charged=self.money(row["charged_minor"]),
        )
        more = []
        if row["paused_days"]:
            more.append(self.say("paused", **row))
        if row["capital_minor"]:
            more.append(self.say("capital", capital=self.money(row["capital_minor"])))
        if row["other_minor"]:
            sentence = "beside" if row["other_minor"] > 0 else "cut"
            more.append(self.say(sentence, other=self.money(abs(row["other_minor"]))))
        return "; ".join([said, *more])

    def effects(self, row: Row, values: Row) -> Iterator[str]:
        if row.get("reversed"):
            gone = self.money(row["reversed"]["amount_minor"])
            yield self.say("partly", amount=gone, by=values["by"])
        for part in row["parts"]:
            yield self.part(part)
        if row.get("unmatched_minor"):
            yield self.say("unmatched", amount=self.money(row["unmatched_minor"]))
        if row["credit_change_minor"]:
            change = self.money(row["credit_change_minor"])
            yield self.say("credit", change=change, credit=self.money(row["credit_minor"]))
        yield self.say(
            "standing",
            days_past_due=row["days_past_due"],
            past_due=self.money(row["past_due_minor"]),
            outstanding=self.money(row["outstanding_minor"]),
        )

    def part(self, part: Row) -> str:
        paid, waived = part["paid_minor"], part["waived_minor"]
        sentence = "waived" if waived else "paid" if paid > 0 else "taken_back"
        return self.say(
            sentence,
            amount=self.money(abs(waived or paid)),
            instalment=part["instalment"],
            component=self.mean("component", part["component"]),
        )

    # ---- figures -------------------------------------------------------------------------------

    def figures(self) -> Iterator[str]:
        figures = self.told.figures
        yield self.say("late" if figures["days_past_due"] else "on_time", **figures)
        for name, key in _SUMS.items():
            yield self.sum(self.say(name), figures[f"{key}_minor"], figures[f"{key}_of"])
        cost = self.money(figures["cost_of_one_more_day_minor"])
        yield self.say("one_more_day", amount=cost)
        yield self.settlement(figures)
        if figures["next_due_date"]:
            due = self.money(figures["next_due_amount_minor"])
            yield self.say("next", amount=due, next_due_date=figures["next_due_date"])
        if figures["charged_off_minor"]:
            yield self.say(
                "charged_off",
                amount=self.money(figures["charged_off_minor"]),
                recovered=self.money(figures["recovered_minor"]),
            )

    def sum(self, name: str, whole: int, parts: list[Row]) -> str:
        said = self.say("sum", name=name, amount=self.money(whole))
        made = " + ".join(
            f"#{part['instalment']} {self.money(part['amount_minor'])}" for part in parts
        )
        return f"{said} = {made}" if made else said

    def settlement(self, figures: Row) -> str:
        made = figures["settlement_of"]
        interest = made["interest_minor"]
        return self.say(
            "settlement",
            amount=self.money(figures["settlement_amount_minor"]),
            due=self.money(made["due_minor"]),
            principal=self.money(made["principal_minor"]),
            interest="-" if interest is None else self.money(interest),
            rule=self.mean("interest_rule", made["interest_rule"]),
            fee=self.money(made["fee_minor"]),
            credit=self.money(made["credit_minor"]),
        )


_AGREED = ("principal", "interest", "fee")
_SUMS = {
    "past_due": "past_due",
    "unpaid_penalty": "penalty",
    "amount_to_clear": "amount_to_clear",
}


def _percent(rate: Decimal) -> str:
    """A rate as a percentage, with at most ten digits behind the point.

    >>> _percent(Decimal("0.324")), _percent(Decimal("0.0009"))
    ('32.4%', '0.09%')
    """
    return f"{(rate * 100).quantize(Decimal('1e-10')).normalize():f}%"
