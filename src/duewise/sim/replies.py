"""What borrowers answer to a message: how often, and in which words."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from duewise.frames import INSTANT, Schema
from duewise.ids import draws

REPLIES: Schema = {"borrower_id": pl.String(), "at": INSTANT, "text": pl.String()}

# Share of delivered messages that are answered so on the day after. Opt-out: vendors report 0.2 %
# (S43 of the evidence), more on repeated messages (S25); the others are judgement.
ODDS = {
    "opt_out": 0.003,
    "paid": 0.008,
    "question": 0.006,
    "hardship": 0.004,
    "dispute": 0.002,
    "wrong_person": 0.002,
}
TEXTS: dict[str, tuple[str, ...]] = {
    "opt_out": ("TD", "退订", "R", "不要再发了"),
    "paid": ("已经还了", "昨天已还款", "我已经还清了，请查一下", "还了"),
    "promise": ("明天还", "等发工资就还", "今晚一定还上"),
    "question": ("怎么还款？", "还款金额是多少？", "请问可以在哪里还？"),
    "hardship": (
        "最近失业了，还不上",
        "住院了，手头紧",
        "能不能申请延期？",
        "周转不开，可以分期吗",
    ),
    "dispute": ("金额不对", "我没有借过这笔钱", "利息算错了吧"),
    "wrong_person": ("你打错了，我不认识这个人", "我不是本人，发错了", "号码换人了"),
}


def replies(messaged: pl.DataFrame, *, seed: int, day: date, day_starts: int) -> pl.DataFrame:
    """The answers of a day, sorted by instant. At most one a borrower.

    `messaged`: borrower_id, borrower_hash, owes (Bool: something is past due or due today), one row
    for each borrower a message reached the day before; `day_starts` is the day's midnight there, in
    microseconds since 1970 UTC. Who says "paid" while something is due promises to pay instead.
    """
    luck = messaged["borrower_hash"]
    edges = np.cumsum(list(ODDS.values()))
    number = np.searchsorted(edges, _draws("reply", luck, seed, day), side="right")
    kind = pl.Series("kind", [*ODDS, None], dtype=pl.String).gather(number)
    second = 8 * 3600 + (_draws("reply-at", luck, seed, day) * 14 * 3600).astype(np.int64)
    answered = messaged.with_columns(
        kind,
        pl.Series("at", day_starts + second * 1_000_000).cast(INSTANT),
        pl.Series("words", _draws("reply-words", luck, seed, day)),
    ).filter(pl.col("kind").is_not_null())
    texts = [
        _text("promise" if kind == "paid" and owes else kind, words)
        for kind, owes, words in answered.select("kind", "owes", "words").iter_rows()
    ]
    return (
        answered.with_columns(pl.Series("text", texts, dtype=pl.String))
        .select(REPLIES.keys())
        .sort("at", "borrower_id")
    )


def _draws(
    what: str, luck: pl.Series, seed: int, day: date
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return draws(f"sim/{seed}/{day.isoformat()}/{what}", luck).to_numpy()


def _text(kind: str, words: float) -> str:
    return TEXTS[kind][int(words * len(TEXTS[kind]))]
