"""Which text is meant: an occasion, said in a tone and in the borrower's own language.

A strategy names a template (`zh.m1_day1.gentle`: that tone for everybody) or an occasion
(`zh.m1_day1`: the ladder's tone for each). The language follows the borrower's locale either way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import polars as pl

from duewise.errors import BadInput
from duewise.message.template import Template

PENALTY = "penalty_interest"  # the claim that is true of whoever's contract has one
LAST_RESORT = "en"  # for whoever has no text in their own language, before the strategy's
# What is tried when an occasion lacks a tone: the nearest, and of two the kinder.
NEAREST: Mapping[str, tuple[str, ...]] = {
    "thank": ("gentle", "neutral", "clear", "urgent"),
    "gentle": ("thank", "neutral", "clear", "urgent"),
    "neutral": ("gentle", "clear", "thank", "urgent"),
    "clear": ("neutral", "urgent", "gentle", "thank"),
    "urgent": ("clear", "neutral", "gentle", "thank"),
    "help": ("gentle", "neutral", "clear", "thank"),
}


def locale_chain(locale: str) -> tuple[str, ...]:
    """The locale, then each wider one, then the last resort.

    >>> locale_chain("zh-Hant-HK"), locale_chain("en-SG")
    (('zh-Hant-HK', 'zh-Hant', 'zh', 'en'), ('en-SG', 'en'))
    """
    subtags = locale.replace("_", "-").split("-")
    chain = ["-".join(subtags[:length]) for length in range(len(subtags), 0, -1)]
    return tuple(dict.fromkeys([*chain, LAST_RESORT]))


def stages_of(templates: Mapping[str, Template]) -> dict[str, str]:
    """What a strategy may name, with its stage: each template, and each occasion."""
    named = {name: template.stage for name, template in templates.items()}
    return named | {
        ".".join(name.split(".")[:2]): template.stage
        for name, template in templates.items()
        if name.split(".")[2:3] == [template.tone]
    }


def choose(
    named: str,
    *,
    tone: str,
    channel: str,
    locale: str,
    templates: Mapping[str, Template],
    is_several: bool = False,
    untrue: Collection[str] = (),
) -> str:
    """The name of the template to send: a language the borrower reads before the exact tone.

    For several loans that which tells of all of them, if there is one in this tone. A text that
    makes an `untrue` claim gives way to the occasion's next in tone that does not, at last to help.

    Raises BadInput if the occasion has no text for this channel.
    """
    own, _, meant = named.partition(".")
    rests = list(_written(named, meant, tone, channel, templates))
    if untrue:
        near = templates[named].tone if named in templates else tone
        occasion = meant.split(".")[0]
        rests += [*_toned(occasion, near, channel), *_toned(occasion, "help", channel)]
    if is_several:
        rests = [each for rest in rests for each in (f"{rest}.several", rest)]
    written = [
        name
        for language in (*locale_chain(locale), own)
        for rest in rests
        if (name := f"{language}.{rest}") in templates
    ]
    true = (name for name in written if not {*untrue} & {*templates[name].claims})
    if written:
        return next(true, written[0])
    mend = f"write one named {meant}.<tone>" + ("" if channel == "sms" else f".{channel}")
    raise BadInput(f"no text for {named!r} by {channel}", mend=mend)


def choose_column(rows: pl.DataFrame, templates: Mapping[str, Template]) -> pl.Series:
    """`choose` for a frame with template, tone, channel, locale, is_several; null for null.

    With has_penalty (Boolean) nobody without a penalty in the contract is told of one.
    """
    if "has_penalty" not in rows.columns:
        rows = rows.with_columns(has_penalty=pl.lit(value=True))
    keys = ["template", "tone", "channel", "locale", "is_several", "has_penalty"]
    asked = rows.select(keys).drop_nulls().unique()
    found = [
        choose(
            named,
            tone=tone,
            channel=channel,
            locale=locale,
            templates=templates,
            is_several=is_several,
            untrue=() if has_penalty else (PENALTY,),
        )
        for named, tone, channel, locale, is_several, has_penalty in asked.iter_rows()
    ]
    answers = asked.with_columns(pl.Series("chosen", found, dtype=pl.String))
    return rows.join(answers, on=keys, how="left", maintain_order="left")["chosen"]


def _written(
    named: str, meant: str, tone: str, channel: str, templates: Mapping[str, Template]
) -> Iterator[str]:
    """What stands behind the language in the names that would do, the best first."""
    if named in templates:
        yield meant
        return
    yield from _toned(meant, tone, channel)


def _toned(occasion: str, tone: str, channel: str) -> Iterator[str]:
    """The occasion's texts in this tone and those nearest to it."""
    suffix = "" if channel == "sms" else f".{channel}"
    for each in (tone, *NEAREST[tone]):
        yield f"{occasion}.{each}{suffix}"
