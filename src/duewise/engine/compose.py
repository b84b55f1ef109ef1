"""From rows to texts: every row's template rendered in columns, and its parts counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

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
    blocks = []
    for (name,), group in numbered.group_by("template", maintain_order=True):
        text = render_column(templates[str(name)], group, sender=sender)
        sizes = measure_column(text.fill_null(""))
        blocks.append(
            group.select("_row").with_columns(
                text.alias("text"), sizes["parts"].cast(pl.Int32).alias("parts")
            )
        )
    if not blocks:
        return rows.with_columns(text=pl.lit(None, pl.String), parts=pl.lit(None, pl.Int32))
    texts = pl.concat(blocks).sort("_row").drop("_row")
    return rows.with_columns(texts["text"], texts["parts"])
