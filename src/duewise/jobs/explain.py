"""An explanation as text for the terminal, and what the codes in it mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import yaml

from duewise.money import Money
from duewise.store.explain import Considered, Explanation, Finding, PromiseNews, Story

Words = Mapping[str, Mapping[str, str]]
LANGUAGES = ("en", "zh")


@cache
def load_words(language: str) -> Words:
    """Kind of code (`state`, `rule`, `reason`, …) → code → its meaning in `en` or `zh`."""
    place = LANGUAGES.index(language)
    text = resources.files("duewise.jobs").joinpath("words.yaml").read_text(encoding="utf-8")
    words: dict[str, dict[str, str]] = {
        kind: {code: meanings[place] for code, meanings in codes.items()}
        for kind, codes in yaml.load(text, Loader=yaml.BaseLoader).items()  # noqa: S506
    }
    # The guard's reasons are its outcome and its rules' ids: the same words in every record.
    words["reason"] |= words["outcome"] | words["rule"]
    return words


def meaning(words: Words, kind: str, code: str) -> str:
    """What a code means; the code itself where nobody wrote it down.

    >>> meaning(load_words("en"), "rule", "CN-LED-02"), meaning(load_words("en"), "rule", "X-1")
    ('a payment is in flight', 'X-1')
    """
    return words.get(kind, {}).get(code, code)


def reason_meaning(words: Words, reason: str) -> str:
    """What an envelope's reason means: `code`, `code: detail` or `code: code, code`.

    >>> reason_meaning(load_words("en"), "defer: CN-LED-02, CN-LED-03")
    'not now: a payment is in flight, the ledger is older than five minutes'
    >>> reason_meaning(load_words("en"), "receipt: DELIVRD")
    "the gateway's receipt: DELIVRD"
    """
    return ": ".join(
        ", ".join(meaning(words, "reason", code) for code in part.split(", "))
        for part in reason.split(": ")
    )


def amount(minor: int, currency: str) -> str:
    """An amount as English texts of ours write it: nobody takes a yuan for a yen.

    >>> amount(361_040, "CNY"), amount(-500, "JPY")
    ('CNY 3,610.40', 'JPY -500')
    """
    return f"{currency} {Money(minor, currency).major:,}"


def explanation_text(explanation: Explanation, *, words: Words | None = None) -> str:
    """The explanation as lines for a person at a terminal; instants in the borrower's zone."""
    return "\n".join(_lines(explanation, words or load_words("en"))) + "\n"


def _lines(explanation: Explanation, words: Words) -> Iterator[str]:
    zone = ZoneInfo(explanation.timezone)
    yield f"Borrower {explanation.borrower_id}, {explanation.as_of}, times in {zone.key}"
    for problem in explanation.problems:
        yield f"  ! {meaning(words, 'problem', problem)}"
    if not explanation.plans and not explanation.considered:
        yield "  No plan was made for this day."
    elif not explanation.considered:
        yield "  Not considered: the book of that day does not hold this borrower."
    strategies = {plan.plan_id: plan.strategy for plan in explanation.plans}
    for row in explanation.considered:
        yield from _considered_lines(row, strategies.get(row.plan_id), words, zone)
    for story in explanation.stories:
        yield from _story_lines(story, words, zone)
    if explanation.considered and not explanation.stories:
        yield ""
        yield "No envelope was made."
    yield from _news_lines(explanation, words, zone)


def _considered_lines(
    row: Considered, strategy: str | None, words: Words, zone: ZoneInfo
) -> Iterator[str]:
    yield ""
    made_by = f", strategy {strategy}" if strategy else ""
    yield f"Considered by plan {row.plan_id} at {_at(row.planned_at, zone)}{made_by}"
    yield f"  decision     {row.decision}: {meaning(words, 'decision', row.decision)}"
    if row.reason:
        yield f"  because      {row.reason}: {reason_meaning(words, row.reason)}"
    yield f"  loan         {row.loan_id or '-'}, {_standing(row)}"
    if row.step:
        odds = "-" if row.propensity is None else f"{row.propensity:.4f}"
        yield f"  step         {row.step}, arm {row.arm or '-'}, propensity {odds}"
        yield f"  hold-out     {'yes' if row.hold_out else 'no'}"
        said = (row.stage, row.channel, row.template, row.tone)
        yield f"  notice       {', '.join(part for part in said if part)}"
    if row.amount_minor is not None and row.currency:
        asks = amount(row.amount_minor, row.currency)
        yield f"  asks for     {asks}, due {row.due_date}"
    if row.promise:
        yield f"  promise      {_promise(row, words)}"
    if row.broken_promises_90d:
        yield f"  broken       {row.broken_promises_90d} promise(s) of the last 90 days"
    if row.losers:
        yield f"  gave way     {', '.join(row.losers)}"
    if row.outcome:
        yield f"  guard        {row.outcome}: {meaning(words, 'outcome', row.outcome)}"
        yield from _rule_lines(row.rules, words)
        if row.next_allowed_at:
            yield f"    allowed again from {_at(row.next_allowed_at, zone)}"


def _standing(row: Considered) -> str:
    risk = row.probability_of_default
    parts = [
        f"{row.days_past_due} days past due" if row.days_past_due is not None else "",
        f"dpd {row.dpd}" if row.dpd is not None else "",
        f"bucket {row.bucket}" if row.bucket else "",
        f"probability of default {risk:.3f}" if risk is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _promise(row: Considered, words: Words) -> str:
    state = meaning(words, "promise", row.promise or "")
    of = amount(row.promised_minor, row.currency) if row.promised_minor and row.currency else ""
    return ", ".join(part for part in (state, f"for {row.promised_date}", of) if part)


def _story_lines(story: Story, words: Words, zone: ZoneInfo) -> Iterator[str]:
    yield ""
    state = meaning(words, "state", story.state)
    yield f"Envelope {story.envelope_id} ({story.key}): {story.state}, {state}"
    yield f"  {story.step} / {story.arm}, propensity {story.propensity:.4f}, {story.template}"
    window = f"{_at(story.not_before, zone)} to {_at(story.valid_until, zone)}"
    yield f"  {story.channel} from {story.sender_id}, {story.parts} part(s), {window}"
    for finding in story.findings:
        yield from _finding_lines(finding, words, zone)
    if story.text is not None:
        yield "  text"
        yield from (f"    | {line}" for line in story.text.splitlines())
    yield "  what became of it"
    for change in story.changes:
        why = f"  ({reason_meaning(words, change.reason)})" if change.reason else ""
        yield f"    {_at(change.at, zone)}  {change.old_state or '-'} → {change.new_state}{why}"
    for part in story.submissions:
        yield (
            f"    {_at(part.accepted_at, zone)}  part {part.part} taken by {part.route}"
            f" as {part.provider_id}"
        )
    for receipt in story.receipts:
        code = f" ({receipt.code})" if receipt.code else ""
        yield (
            f"    {_at(receipt.at, zone)}  receipt for {receipt.provider_id}:"
            f" {receipt.status}{code}"
        )


def _news_lines(explanation: Explanation, words: Words, zone: ZoneInfo) -> Iterator[str]:
    if explanation.payments or explanation.replies or explanation.promises:
        yield ""
        yield "Heard that day"
    for news in explanation.payments:
        paid = amount(news.amount_minor, news.currency)
        yield (
            f"  {_at(news.known_at, zone)}  {meaning(words, 'kind', news.kind)} {news.payment_id}"
            f" of {paid} on {news.loan_id}, paid at {_at(news.paid_at, zone)}"
        )
    for reply in explanation.replies:
        said = f": {reply.text!r}" if reply.text is not None else ""
        yield (
            f"  {_at(reply.at, zone)}  reply, {meaning(words, 'intent', reply.intent)}{said}"
            f" → {meaning(words, 'action', reply.action)}"
        )
    for promise in explanation.promises:
        yield _promise_news(promise, words, zone)


def _promise_news(news: PromiseNews, words: Words, zone: ZoneInfo) -> str:
    minor = news.amount_minor
    of = "all that is due" if minor is None else amount(minor, news.currency)
    by = f"promise {news.promise_id}: {of} by {news.day} ({news.source})"
    said = f"  {_at(news.made_at, zone)}  {by}"
    if news.cancelled_at is None or news.cancel_reason is None:
        return said
    why = meaning(words, "promise_reason", news.cancel_reason)
    return f"{said}; cancelled at {_at(news.cancelled_at, zone)}: {why}"


def _finding_lines(finding: Finding, words: Words, zone: ZoneInfo) -> Iterator[str]:
    outcome = meaning(words, "outcome", finding.outcome)
    gate = meaning(words, "gate", finding.gate)
    yield f"  gate {finding.gate} ({gate}) at {_at(finding.at, zone)}: {finding.outcome}, {outcome}"
    yield f"    verdict {finding.verdict_id}"
    yield from _rule_lines(finding.rules, words)
    if finding.next_allowed_at:
        yield f"    allowed again from {_at(finding.next_allowed_at, zone)}"


def _rule_lines(rules: tuple[str, ...], words: Words) -> Iterator[str]:
    for rule in rules:
        yield f"    {rule}  {meaning(words, 'rule', rule)}"


def _at(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
