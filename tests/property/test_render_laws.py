"""A column of messages is, byte for byte, what Liquid writes one by one, with the parts counted."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from duewise.errors import BadInput
from duewise.message.filters import is_fit
from duewise.message.parts import measure, measure_column
from duewise.message.syntax import outputs
from duewise.message.template import EXAMPLE_SENDERS, Template, render, render_column
from duewise.money import Money

KINDS = {"called": "text", "loan": "tail", "sum": "money", "day": "date", "days": "count"}
OUTPUTS = (
    "{{ called }}{{ loan | tail }}{{ sum | money }}{{ sum | figure }}{{ day | date }}"
    "{{ day | full_date }}{{ days | days }}{{ days }}{{ signature }}"
)
# Two UTF-16 units, an extension of GSM-7, turning marks, line ends, a joined emoji.
letters = st.sampled_from("a款€[\U0001f600\U0002a700\u202e\r\n\u200d é")
texts = st.text(st.one_of(letters, st.characters(exclude_categories=["Cs"])), max_size=21)
rows = st.fixed_dictionaries(
    {
        "called": st.none() | texts,
        "loan": st.none() | texts,
        "sum_minor": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 10**7),
        "currency": st.sampled_from(["CNY", "USD", "JPY", "KWD"]),
        "day": st.none() | st.dates(date(1970, 1, 1), date(2199, 12, 31)),
        "days": st.none() | st.integers(-3, 2_000),
    }
)
SCHEMA = {"sum_minor": pl.Int64, "days": pl.Int64, "day": pl.Date, "called": pl.String}
# What fills the text up to where a part ends: 70 and 134 units, or 160 and 306.
fillers = st.builds(
    lambda sign, count: sign * count, st.sampled_from("款x€\U0001f600"), st.integers(0, 320)
)


def template(text: str, locale: str) -> Template:
    return Template(
        name="any",
        version=1,
        locale=locale,
        purpose="reminder",
        stage="pre_due",
        tone="neutral",
        channel="sms",
        text=text,
        variables=KINDS,
        author="a",
        approver="b",
        approved_hash="",
    )


def one_by_one(made: Template, row: dict[str, Any]) -> str | None:
    """What Liquid writes; None where a value is not fit to be sent."""
    values = {name: row[name] for name in KINDS if name != "sum"}
    if row["sum_minor"] is not None:
        values["sum"] = Money(row["sum_minor"], row["currency"])
    if not all(is_fit(kind, values.get(name)) for name, kind in KINDS.items()):
        return None
    return render(made, values, EXAMPLE_SENDERS[made.locale])


LI: dict[str, Any] = {
    "called": "\U0001f600李*",
    "loan": "6\U0001f600[2",
    "sum_minor": 99_999_999,
    "currency": "CNY",
    "day": date(2026, 8, 10),
    "days": 1,
}


@given(st.lists(rows, min_size=1, max_size=6), fillers, st.sampled_from(["zh-CN", "en"]))
@example([LI, LI | {"sum_minor": 100_000, "days": 1_000}, LI | {"called": None}], "款" * 9, "zh-CN")
@example([LI | {"loan": "6\r\n2"}, LI | {"called": "a\nb"}], "\n", "en")
@example([LI, LI | {"sum_minor": 2**63 - 1}, LI | {"sum_minor": -(2**63)}], "x" * 86, "en")
def test_it_writes_a_column_as_liquid_writes_each(
    given_rows: list[dict[str, Any]], filler: str, locale: str
) -> None:
    made = template(filler + OUTPUTS, locale)
    frame = pl.DataFrame(given_rows, schema_overrides=SCHEMA | {"loan": pl.String})
    written = render_column(made, frame, sender=EXAMPLE_SENDERS[locale])
    expected = [one_by_one(made, row) for row in given_rows]
    assert written.to_list() == expected
    sizes = [measure(text) if text is not None else None for text in expected]
    assert measure_column(written).rows() == [
        (size.encoding, size.units, size.parts) if size else (None, None, None) for size in sizes
    ]


@given(st.sampled_from("款x€\U0001f600"), st.lists(st.integers(60, 310), min_size=1, max_size=5))
def test_it_counts_parts_at_every_border(sign: str, lengths: list[int]) -> None:
    texts_given = [sign * length for length in lengths]
    counted = measure_column(pl.Series(texts_given))["parts"].to_list()
    assert counted == [measure(text).parts for text in texts_given]


def test_it_refuses_a_line_end_that_liquid_would_change() -> None:
    with pytest.raises(BadInput, match="carriage return"):
        outputs("a\r\nb", "en")
