"""Approved wordings: the values are read off the text, or the text is refused."""

from __future__ import annotations

import pytest

from duewise.channels.approved import Fit, Wordings
from duewise.errors import BadInput

MARK = r"\{(\w+)\}"


def fit(text: str, *wordings: str) -> Fit | None:
    numbered = {str(n): wording for n, wording in enumerate(wordings)}
    return Wordings(numbered, mark=MARK).fit(text)


@pytest.mark.parametrize(
    ("text", "wording", "values"),
    [
        ("【甲】到期提醒", "到期提醒", {}),
        ("【甲】Li，请Li还款", "{name}，请{name}还款", {"name": "Li"}),
        ("【甲】9元(含息)", "{sum}元(含息)", {"sum": "9"}),
        ("【甲】还7元，8日", "还{2}元，{1}日", {"2": "7", "1": "8"}),
    ],
)
def test_it_reads_the_values_off_the_text(text: str, wording: str, values: dict[str, str]) -> None:
    assert fit(text, wording) == Fit("甲", "0", values)


@pytest.mark.parametrize(
    "text", ["Li，请Li还款", "【甲】Li，请Wang还款", "【甲】，请还款", "【甲】Li，请Li还款！"]
)
def test_it_fits_no_text_that_says_anything_else(text: str) -> None:
    assert fit(text, "{name}，请{name}还款") is None


def test_it_takes_the_first_of_the_templates_that_fit() -> None:
    assert fit("【甲】还7元", "Li还{sum}元", "还{sum}元", "还{all}") == Fit("甲", "1", {"sum": "7"})


def test_it_refuses_a_wording_whose_values_cannot_be_told_apart() -> None:
    with pytest.raises(BadInput, match="two values touch"):
        fit("", "{name}{sum}元")
