"""Whatever somebody writes, it is understood as something, and never as a promise of the past."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from duewise.message.normal import normalise
from duewise.message.reply import ACTIONS, read_reply
from duewise.message.when import AHEAD_DAYS_MAX

DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))
SAID = "不 还 了 我 没 明天 31号 2月 29日 下个月 周五 退订 十 天内 過 R 10 . pay tomorrow feb 30th ﬁ İ \u200b ？"
WORDS = st.lists(st.sampled_from([" ", *SAID.split(" ")]), max_size=10).map("".join)


@given(st.one_of(WORDS, st.text(max_size=200)), DAYS)
def test_it_understands_anything_as_something(text: str, today: date) -> None:
    intent = read_reply(text, today=today)
    assert intent.kind in ACTIONS
    assert 0 < intent.confidence <= 1
    assert intent.date is None or today <= intent.date <= today + timedelta(days=AHEAD_DAYS_MAX)
    assert read_reply(text, today=today) == intent


@given(st.one_of(WORDS, st.text(max_size=200)), st.booleans())
def test_it_knows_where_each_character_stood(text: str, joined: bool) -> None:  # noqa: FBT001
    normal = normalise(text, joined=joined)
    assert len(normal.text) == len(normal.places)
    assert list(normal.places) == sorted(normal.places)
    assert all(0 <= place < len(text) for place in normal.places)


@given(
    st.sampled_from(["R", "TD", "T", "N", "退订", "stop"]),
    st.text(" \u3000.。!！,，~-", max_size=5),
)
def test_it_hears_an_opt_out_through_width_case_and_filler(word: str, filler: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)
    for said in (word, word.lower(), wide, filler + word + filler):
        assert read_reply(said, today=date(2026, 8, 10)).kind == "opt_out"
