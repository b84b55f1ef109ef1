"""What is wrong with a text before anybody receives it: one finding for each thing to mend.

Forbidden wording is the guard's to judge; its word lists come in as an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from duewise.message.elements import (
    claims_of,
    elements_of,
    has_crossed_line,
    has_opt_out_text,
    shows_debt,
)
from duewise.message.form import flaws_of
from duewise.message.normal import Normal, normalise
from duewise.message.parts import measure
from duewise.message.template import (
    Sender,
    Template,
    render_keywords,
    worst_case,
    worst_values,
)

__all__ = ["Finding", "elements_of", "lint", "lint_template", "template_facts"]

_OWED = ("sender_identity", "amount_or_pointer", "pay_route", "official_contact")
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "pre_due": (*_OWED, "due_date"),
    "due_day": (*_OWED, "due_date"),
    "overdue": (*_OWED, "overdue_fact", "dispute_or_help_route"),
    "service": ("sender_identity",),
}
PARTS_MAX: Mapping[str, int] = {"pre_due": 2, "due_day": 2, "overdue": 3, "service": 2}
CHARACTERS_MAX = 500  # of an SMS with its signature: the tightest carrier
MENDS: Mapping[str, str] = {
    "sender_identity": "open with the lender's signature",
    "amount_or_pointer": "state the amount, or where to see it",
    "due_date": "state the due date beside the word for it",
    "overdue_fact": "say since when, or for how many days, it is overdue",
    "pay_route": "say how to pay: the official app or the linked account",
    "official_contact": "give the published hotline",
    "dispute_or_help_route": "say whom to call about a dispute or about difficulty in paying",
}
PERSONAL: Mapping[str, str] = {
    "re_cn_id": r"(?<!\d)\d{6}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    r"\d{3}[\dx](?!\d)",
    "re_card": r"(?<!\d)(?:\d[ -]?){12,18}\d(?![\dx])",
    "re_mobile": r"(?<!\d)1[3-9]\d{9}(?!\d)",
}
_LINK = re.compile(
    r"https?://\S+|www\.\S+|\b[a-z0-9-]+\.(?:com|cn|net|org|io|cc|ly|me|co|top|xyz)\b(?:/\S*)?",
    re.ASCII,  # a border may lie between a letter and a Chinese character
)
_SHORT_HOSTS = re.compile(
    r"(?:\b(?:t\.cn|dwz\.cn|url\.cn|u\.nu|suo\.im|985\.so|mrw\.so|bit\.ly|goo\.gl|t\.co|is\.gd"
    r"|tinyurl\.com|ow\.ly)|//\d+(?:\.\d+){3})\b",
    re.ASCII,
)
_FULL_NAME = re.compile(
    r"(?:^|[】,。:!\s])(?!尊敬的|亲爱的|欧阳|上官|司马|诸葛|司徒|慕容|夏侯|皇甫|东方|令狐)"
    r"([\u4e00-\u9fff]{2,4})(?:女士|先生)"
)
_UNRENDERED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\$\{.*?\}|\b(?:none|null|nan)\b", re.ASCII)
_SIGNATURE = re.compile(r"【[^【】]*】")


@dataclass(frozen=True)
class Finding:
    """One thing to mend. `effect` is block, review or redact; the span counts characters.

    What is missing has no place: its span is (0, 0) and its phrase names it.
    """

    rule: str
    effect: str
    phrase: str
    span: tuple[int, int]
    mend: str


def lint(
    text: str,
    *,
    stage: str | None,
    channel: str = "sms",
    locale: str = "zh-CN",
    lexicons: Mapping[str, Sequence[str]] | None = None,
) -> list[Finding]:
    """All findings in a rendered text; empty if it is clean.

    Without a stage only what no text may hold is looked for. `lexicons` maps a list's name to its
    patterns (Python syntax), matched on the normal form; a finding's rule is the list's name.
    """
    findings = list(_wording(text, lexicons or {}))
    if stage is not None:
        findings += _elements(text, stage, locale)
        findings += _sms(text, stage, locale) if channel == "sms" else []
    return findings


def lint_template(
    template: Template, sender: Sender, *, lexicons: Mapping[str, Sequence[str]] | None = None
) -> list[Finding]:
    """The findings in a template's worst case, and claims it makes without declaring them."""
    text = worst_case(template, sender)
    findings = lint(
        text,
        stage=template.stage,
        channel=template.channel,
        locale=template.locale,
        lexicons=lexicons,
    )
    for claim in sorted(claims_of(text, locale=template.locale) - set(template.claims)):
        mend = "declare it under claims, or say it differently"
        findings.append(Finding("undeclared_claim", "block", claim, (0, 0), mend))
    for flaw in flaws_of(template, sender):
        found = Finding(flaw.rule, flaw.effect, flaw.phrase, (0, 0), flaw.mend)
        findings += [] if _is_told(found, findings) else [found]
    for line in (template.subject, template.preview, *_fields(template, sender)):
        findings += _wording(line, lexicons or {}) if line else []
    return findings


def _is_told(found: Finding, findings: Sequence[Finding]) -> bool:
    """A declared element that the stage asks for, too, is missed once."""
    return any((each.rule, each.phrase) == (found.rule, found.phrase) for each in findings)


def _fields(template: Template, sender: Sender) -> list[str]:
    return list(render_keywords(template, worst_values(template), sender).values())


@lru_cache(maxsize=1_024)
def template_facts(template: Template, sender: Sender) -> dict[str, object]:
    """The guard's facts that are the same for every message of a template.

    `msg.url` is there only if the text holds a link. The mapping is shared: read it, only.
    """
    text = worst_case(template, sender)
    locale = template.locale
    link = _LINK.search(text.lower())
    facts: dict[str, object] = {
        "msg.elements": sorted(elements_of(text, locale=locale)),
        "msg.disclosed": list(template.disclosed),
        "msg.claims": sorted({*template.claims, *claims_of(text, locale=locale)}),
        "msg.promo": template.promo,
        "msg.optout_text": has_opt_out_text(text, locale=locale),
        "msg.preview_shows_debt": shows_debt(template.preview or text, locale=locale),
        "msg.template_ok": template.is_approved,
    }
    return facts | ({"msg.url": link[0]} if link else {})


def _wording(text: str, lexicons: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Lists of forbidden wording, personal data, links and what was never filled in."""
    normal = normalise(text)
    for name, patterns in {**PERSONAL, **lexicons}.items():
        is_personal = name in PERSONAL
        for pattern in (patterns,) if isinstance(patterns, str) else patterns:
            mend = "mask it" if is_personal else "say it without this wording"
            effect = "redact" if is_personal else "block"
            yield from _found(normal, _compiled(pattern), name, effect, mend)
    spaced = normalise(text, joined=False)
    yield from _found(spaced, _FULL_NAME, "full_name", "redact", "mask it: 李*女士")
    for link in _LINK.finditer(spaced.text):
        is_short = bool(_SHORT_HOSTS.search(link[0]))
        rule, effect = ("short_link", "block") if is_short else ("link", "review")
        mend = "use the lender's own registered domain" if is_short else "have the domain confirmed"
        yield _finding(text, spaced.span(link), rule, effect, mend)
    yield from _found(spaced, _UNRENDERED, "unrendered", "block", "fill in the variable")


def _elements(text: str, stage: str, locale: str) -> Iterator[Finding]:
    found = elements_of(text, locale=locale)
    for element in REQUIRED[stage]:
        if element not in found:
            yield Finding("missing_element", "block", element, (0, 0), MENDS[element])
    if stage == "service":
        return
    if not has_crossed_line(text, locale=locale):
        mend = "tell whoever has paid to ignore it"
        yield Finding("missing_element", "block", "crossed_in_the_post", (0, 0), mend)
    if stage != "overdue":
        for claim in sorted(claims_of(text, locale=locale)):
            mend = "before and on the due date no consequence is spoken of"
            yield Finding("consequence_before_due", "block", claim, (0, 0), mend)


def _sms(text: str, stage: str, locale: str) -> Iterator[Finding]:
    parts = measure(text).parts
    if parts > PARTS_MAX[stage]:
        mend = f"shorten it to {PARTS_MAX[stage]} parts"
        yield Finding("too_many_parts", "review", f"{parts} parts", (0, len(text)), mend)
    if len(text) > CHARACTERS_MAX:
        mend = f"shorten it to {CHARACTERS_MAX} characters"
        span = (CHARACTERS_MAX, len(text))
        yield Finding("too_long", "block", f"{len(text)} characters", span, mend)
    if locale.startswith("zh") and not _SIGNATURE.match(text):
        mend = "open with the registered signature in 【】"
        yield Finding("signature", "block", "", (0, 0), mend)
    for second in list(_SIGNATURE.finditer(text))[1:]:
        yield _finding(text, second.span(), "signature", "block", "only the signature has 【】")
    if has_opt_out_text(text, locale=locale) and locale.startswith("zh"):
        mend = "a service message carries no 拒收请回复R"
        yield Finding("opt_out_text", "block", "", (0, 0), mend)


def _found(
    normal: Normal, pattern: re.Pattern[str], rule: str, effect: str, mend: str
) -> Iterator[Finding]:
    for match in pattern.finditer(normal.text):
        yield _finding(normal.original, normal.span(match), rule, effect, mend)


def _finding(text: str, span: tuple[int, int], rule: str, effect: str, mend: str) -> Finding:
    return Finding(rule, effect, text[slice(*span)], span, mend)


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
