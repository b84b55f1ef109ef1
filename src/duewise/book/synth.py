"""Invented people for a book that has none: the same borrower is always the same person.

Everything follows from the borrower's stable hash. The numbers lie in ranges that mainland carriers
have assigned, so that they pass every check, and may well belong to somebody: a book with invented
people is for exercises against a simulator, never for a real gateway.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from duewise.book.schema import PEOPLE
from duewise.frames import conform

# Three-digit prefixes of mainland mobile numbers, in an order that does not matter but must stay.
PREFIXES = (
    *range(130, 140),
    *(145, 147),
    *(150, 151, 152, 153, 155, 156, 157, 158, 159),
    166,
    *(173, 175, 176, 177, 178),
    *range(180, 190),
    *(191, 193, 195, 198, 199),
)
NUMBERS = len(PREFIXES) * 10**8
_SURNAMES = "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_REGIONS = pl.Series(["110105", "310101", "330106", "440305", "510104", "610113"])  # GB/T 2260
_GIVEN = (
    *"伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚",
    *("秀英", "桂英", "建国", "志强", "海燕", "小红", "文静", "春梅", "玉兰", "建华"),
    *("晓东", "雪梅", "子轩", "浩然", "欣怡", "梓涵", "宇航", "思远", "佳琪", "俊杰"),
)
_MULTIPLIER = 0x9E3779B97F4A7C15


def people(borrowers: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Names, salutations, numbers (E.164) and push tokens for borrowers, as schema.PEOPLE.

    `borrowers` has the columns of schema.BORROWERS; `numbers` is the answer of `phone_numbers` for
    the whole book.

    >>> chen = pl.DataFrame({"borrower_id": ["Chen"], "borrower_hash": [12345],
    ...                      "locale": ["zh-CN"], "timezone": ["Asia/Shanghai"]})
    >>> made = people(chen, phone_numbers(chen["borrower_hash"]))
    >>> made.select("name", "salutation", "phone").row(0)
    ('萧霞', '萧*先生', '+8618870426749')
    """
    bits = _mixed(borrowers["borrower_hash"])
    surname = pl.Series(list(_SURNAMES)).gather(bits % len(_SURNAMES))
    given = pl.Series(_GIVEN).gather(bits // 64 % len(_GIVEN))
    title = pl.Series(["先生", "女士"]).gather(bits // 4096 % 2)
    made = borrowers.join(
        numbers, on="borrower_hash", how="left", maintain_order="left"
    ).with_columns(
        (surname + given).alias("name"),
        (surname + "*" + title).alias("salutation"),
        ("push-" + _mixed(bits).cast(pl.String)).alias("push_token"),
        pl.lit(None, pl.String).alias("email"),
        pl.lit(None, pl.String).alias("wechat_openid"),
        pl.lit(None, pl.Date).alias("birth_date"),
        pl.lit(_REGIONS).gather(bits // 8192 % len(_REGIONS)).alias("region"),
    )
    return conform(made, PEOPLE, name="people")


def phone_numbers(hashes: pl.Series) -> pl.DataFrame:
    """borrower_hash and phone (E.164), no two alike, for all borrowers of a book at once.

    A hash falls on a slot among some four thousand million numbers; where two fall on one, the
    higher hash moves to the next free slot. Who does not collide keeps the number when others come.
    """
    frame = pl.DataFrame({"borrower_hash": hashes.unique()})
    wanted = (_mixed(frame["borrower_hash"]) % (NUMBERS - 10**8)).alias("slot")
    ordered = frame.with_columns(wanted).sort("slot", "borrower_hash")
    place = np.arange(ordered.height)
    slots = np.maximum.accumulate(ordered["slot"].to_numpy() - place) + place
    prefix = pl.Series(PREFIXES).gather(slots // 10**8).cast(pl.String)
    rest = pl.Series(slots % 10**8).cast(pl.String).str.zfill(8)
    return ordered.select("borrower_hash").with_columns(("+86" + prefix + rest).alias("phone"))


def _mixed(hashes: pl.Series) -> pl.Series:
    """62 other bits of the hash, so that a person tells nothing of partition or arm."""
    with np.errstate(over="ignore"):
        product = hashes.to_numpy().astype(np.uint64) * np.uint64(_MULTIPLIER)
    product ^= product >> np.uint64(29)
    return pl.Series((product >> np.uint64(2)).astype(np.int64))
