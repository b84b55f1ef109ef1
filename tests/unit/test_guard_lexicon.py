"""Word lists: what is forbidden is found however it is dressed up, advice about it is not."""

from __future__ import annotations

import re

import polars as pl
import pytest

from duewise.guard.lexicon import hits, normalised, relaxed, texts_hit
from duewise.guard.profile import load_rulebook
from duewise.guard.rule import Lexicon
from duewise.guard.truth import unpacked

RULEBOOK = load_rulebook(["CN", "US-REGF"])
LEXICONS = RULEBOOK.lexicons


def found(text: str) -> list[str]:
    """The word lists that hit, told by the columns and by the scalar alike."""
    told = texts_hit(pl.Series([text]), LEXICONS)
    columns = [name for name, hit in told.items() if hit.yes.any()]
    assert columns == list(dict.fromkeys(hit.lexicon for hit in hits(text, LEXICONS)))
    return columns


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ＡＰＰ１２", "app12"),
        ("後 果 自 負", "后果自负"),
        ("上\u200b门,堵；人", "上门堵人"),
        ("黑★户|黑·户", "黑户黑户"),
        ("还 APP 款 8 元", "还 app 款 8 元"),
        ("瞭解藉口", "了解借口"),
    ],
)
def test_it_undresses_a_text(text: str, plain: str) -> None:
    assert normalised(pl.Series([text])).item() == plain


@pytest.mark.parametrize("lexicon", LEXICONS, ids=lambda lexicon: lexicon.name)
def test_it_hits_every_phrase_a_pattern_stands_for(lexicon: Lexicon) -> None:
    for pattern in lexicon.patterns:
        for phrase in pattern.phrase.split(" / ") if not lexicon.name.startswith("re_") else ():
            assert lexicon.name in found(phrase), phrase


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("当心骗子来电，勿转账到个人账户", []),
        ("征信洗白是骗局，诈骗犯罪请报警", []),
        ("你是骗子", ["zh_insult"]),
        ("可以征信洗白", ["zh_credit"]),
        ("涉嫌诈骗犯", ["zh_authority"]),
        ("请转账到个人微信", ["zh_induce"]),
        ("我们24小时不停打", ["zh_harass"]),
        ("我们48小时不停打", []),
        ("客服热线4001234567，订单20260812", []),
        ("电话13812345678", ["re_mobile"]),
        ("电话１３８１２３４５６７８", ["re_mobile"]),
        ("电话12812345678", []),
        ("卡号6222 0212 3456 7890 123", ["re_card"]),
        ("11010519491231002X", ["re_cn_id", "re_card"]),
        ("11010519491331002X", ["re_card"]),
        ("we will ARREST you", ["en_threat"]),
        ("arresting news", []),
    ],
)
def test_it_tells_a_threat_from_advice(text: str, lists: list[str]) -> None:
    assert found(text) == lists


def test_it_does_not_know_about_a_text_that_is_missing() -> None:
    hit = texts_hit(pl.Series([None, "打断你的腿"], dtype=pl.String), LEXICONS)["zh_violence"]
    assert unpacked(hit.known, 2).tolist() == [False, True]
    assert unpacked(hit.yes, 2).tolist() == [False, True]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"24小时", "99小时"),
        (r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])[\dXx]", "999999X"),
        (r"a{2,3}[^0-9]\.(?<!x)(?!(y|z))b", "aa7.b"),
        (r"[]1]\[1", "][3"),
    ],
)
def test_it_relaxes_a_pattern_to_any_digit(pattern: str, text: str) -> None:
    assert re.fullmatch(relaxed(pattern), text)
    assert pl.Series([text]).str.contains(relaxed(pattern)).item()
