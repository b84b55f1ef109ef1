"""From rows to texts: every row's template rendered in columns, and its parts counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import polars as pl

from duewise.message.filters import columns_of
from duewise.message.parts import measure_column
from duewise.message.template import Sender, Template, render_column

# At the first gate no name has been unsealed: a masked one of usual length stands in for it.
STAND_IN = "王*先生"


def compose(
    rows: pl.DataFrame, *, templates: Mapping[str, Template], sender: Sender, as_of: date
) -> pl.DataFrame:
    """The rows with `text` (null where a variable is missing) and `parts`, in their order.

    Needs template, salutation, loan_id, due_date, days_past_due, currency and the money columns.
    """
    numbered = rows.with_row_index("_row").with_columns(
        as_of=pl.lit(as_of), loan_tail=pl.col("loan_id")
    )
    said = [templates[name] for name in numbered["template"].unique()]
    numbered = numbered.select("_row", "template", *sorted(_spoken_of(said) & {*numbered.columns}))
    blocks = [
        group.select("_row", render_column(templates[str(name)], group, sender=sender))
        for (name,), group in numbered.group_by("template", maintain_order=True)
    ]
    if not blocks:
        return rows.with_columns(text=pl.lit(None, pl.String), parts=pl.lit(None, pl.Int32))
    text = pl.concat(blocks).sort("_row")["text"]
    return rows.with_columns(text, measure_column(text.fill_null(""))["parts"])


def _spoken_of(templates: Iterable[Template]) -> set[str]:
    """The columns that the variables of these templates are read from."""
    return {
        column
        for template in templates
        for name, kind in template.variables.items()
        for column in columns_of(kind, name)
    }
