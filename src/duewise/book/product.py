"""The product file: how a lender's loans are settled, what lateness costs, where its caps lie.

Read once, checked with file and line, frozen. Amounts are decimals in major units and rates are
fractions a year, as a person writes them; `contract` turns them into what the fold reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from duewise.book.calendar import ROLLS
from duewise.book.columns import ADVANCES, COMPONENTS, RATE_MAX, RATE_UNIT, SETTLEMENTS
from duewise.book.delinquency import DEFAULT_BUCKETS, Bucket, Buckets, BucketTable
from duewise.document import Node, parse, parse_file

SCHEMA = "products/1"
DEFAULT = "default"  # the product of a loan whose own is not in the file
BASES = ("principal", "principal_and_interest")
WAYS = ("instalment", "component")
DAY_COUNTS = (360, 365)
CALENDARS = ("CN",)
DAYS_MAX = 366
AMOUNT_MAX = Decimal(1_000_000)


@dataclass(frozen=True)
class Waterfall:
    """In which order a payment is applied, and what becomes of money nothing is due for."""

    order: tuple[str, ...] = COMPONENTS
    by: str = "instalment"
    advance: str = "next"


@dataclass(frozen=True)
class Penalty:
    """What bears penalty; `rate` a year, or `multiplier` of the loan's own rate, if it has none."""

    on: str = "principal"
    rate: Decimal | None = None
    multiplier: Decimal | None = None
    compound_every_days: int = 0


@dataclass(frozen=True)
class LateFee:
    """Once per instalment: `amount`, at most `share` of what is unpaid, at least `floor`."""

    amount: Decimal | None = None
    share: Decimal | None = None
    floor: Decimal = Decimal(0)


@dataclass(frozen=True)
class Caps:
    """The most that the law allows: penalty rate as a multiple of the loan's, all-in rate."""

    penalty_multiplier: Decimal | None = None
    all_in: Decimal | None = None


@dataclass(frozen=True)
class Settlement:
    """Early settlement: how much of the interest not due yet it asks for; a fee on principal."""

    interest: str = "accrued"
    fee: Decimal = Decimal(0)


@dataclass(frozen=True)
class Product:
    """The rules of one product. What a loan's own row says of itself goes before them."""

    name: str
    waterfall: Waterfall = field(default_factory=Waterfall)
    penalty: Penalty = field(default_factory=Penalty)
    late_fee: LateFee | None = None
    caps: Caps = field(default_factory=Caps)
    settlement: Settlement = field(default_factory=Settlement)
    grace_days: int = 0
    grace_stops_clock: bool = False
    tolerance: Decimal = Decimal(0)
    day_count: int = 360
    due_roll: str = "none"
    calendar: str | None = None


@dataclass(frozen=True)
class Products:
    """The products of a file by name, with one for all others; the buckets; a hash over it all."""

    by_name: Mapping[str, Product]
    buckets: Buckets
    content_hash: str

    def of(self, name: str) -> Product:
        """The product of that name, or the default.

        >>> shipped_products().of("no such product").name
        'default'
        """
        return self.by_name.get(name) or self.by_name[DEFAULT]


def shipped_products() -> Products:
    """The products that come with Duewise: the terms of the loans themselves, and no more."""
    text = resources.files("duewise.book").joinpath("products.yaml").read_text(encoding="utf-8")
    return read_products(parse(text, source="products.yaml"))


def load_products(path: Path) -> Products:
    """A lender's product file. Raises BadInput with file, line and mend."""
    return read_products(parse_file(path))


def read_products(root: Node) -> Products:
    """The products of a document. Raises BadInput with line and mend."""
    members = root.known(("schema", "version", "buckets", "products"), what="a product file")
    schema, listed = root.required(members, "schema", "products")
    if schema.text() != SCHEMA:
        schema.refuse(f"unknown schema {schema.text()!r}", mend=f"write `schema: {SCHEMA}`")
    found: dict[str, Product] = {}
    for name, node in listed.entries().items():
        found[name] = _product(name, node, found)
    if DEFAULT not in found:
        listed.refuse(f"there is no product {DEFAULT!r}", mend="add one: it serves all other loans")
    buckets = _buckets(members["buckets"]) if "buckets" in members else DEFAULT_BUCKETS
    digest = hashlib.sha256(repr(root.plain()).encode()).hexdigest()
    return Products(found, buckets, digest)


_KEYS = (
    "like",
    "waterfall",
    "penalty",
    "late_fee",
    "caps",
    "settlement",
    "grace_days",
    "grace_stops_clock",
    "tolerance",
    "day_count",
    "due_roll",
    "calendar",
)


def _product(name: str, node: Node, known: Mapping[str, Product]) -> Product:
    members = node.known(_KEYS, what=f"product {name!r}")
    base = Product(name)
    if "like" in members:
        base = known.get(members["like"].text()) or members["like"].refuse(
            f"product {members['like'].text()!r} does not stand before this one",
            mend=f"name one of {', '.join(known) or 'those above'}",
        )
    product = replace(base, name=name)
    for key, read in (
        ("waterfall", _waterfall),
        ("penalty", _penalty),
        ("late_fee", _late_fee),
        ("caps", _caps),
        ("settlement", _settlement),
        ("grace_days", _days),
        ("grace_stops_clock", _flag),
        ("tolerance", _amount),
        ("day_count", _day_count),
        ("due_roll", lambda node: _one_of(node, ROLLS)),
        ("calendar", lambda node: _one_of(node, CALENDARS)),
    ):
        if key in members:
            product = _with(product, key, read(members[key]))
    if product.due_roll != "none" and product.calendar is None:
        node.refuse(
            f"product {name!r} rolls due dates and names no calendar", mend="add `calendar: CN`"
        )
    return product


def _with(product: Product, key: str, value: object) -> Product:
    changes: dict[str, Any] = {key: value}
    return replace(product, **changes)


def _waterfall(node: Node) -> Waterfall:
    members = node.known(("order", "by", "advance"), what="a waterfall")
    order = members["order"].texts() if "order" in members else COMPONENTS
    if sorted(order) != sorted(COMPONENTS):
        members["order"].refuse(
            f"the order must name each of {', '.join(COMPONENTS)} once",
            mend=f"write [{', '.join(COMPONENTS)}] in the order you mean",
        )
    by = _one_of(members["by"], WAYS) if "by" in members else "instalment"
    advance = _one_of(members["advance"], ADVANCES) if "advance" in members else "next"
    return Waterfall(tuple(order), by, advance)


def _penalty(node: Node) -> Penalty:
    members = node.known(("on", "rate", "multiplier", "compound_every_days"), what="a penalty")
    if "rate" in members and "multiplier" in members:
        members["multiplier"].refuse("a penalty has a rate or a multiplier", mend="remove one")
    every = members.get("compound_every_days")
    return Penalty(
        on=_one_of(members["on"], BASES) if "on" in members else "principal",
        rate=_rate(members["rate"]) if "rate" in members else None,
        multiplier=_number(members["multiplier"], most=10) if "multiplier" in members else None,
        compound_every_days=_days(every) if every else 0,
    )


def _late_fee(node: Node) -> LateFee | None:
    if node.plain() is None:
        return None
    members = node.known(("amount", "share", "floor"), what="a late fee")
    if not {"amount", "share"} & members.keys():
        node.refuse("a late fee has an amount, a share or both", mend="add `amount: 25.00`")
    return LateFee(
        amount=_amount(members["amount"]) if "amount" in members else None,
        share=_rate(members["share"]) if "share" in members else None,
        floor=_amount(members["floor"]) if "floor" in members else Decimal(0),
    )


def _caps(node: Node) -> Caps:
    members = node.known(("penalty_multiplier", "all_in"), what="caps")
    multiplier, all_in = members.get("penalty_multiplier"), members.get("all_in")
    return Caps(
        penalty_multiplier=_number(multiplier, most=10) if multiplier else None,
        all_in=_rate(all_in) if all_in else None,
    )


def _settlement(node: Node) -> Settlement:
    members = node.known(("interest", "fee"), what="early settlement")
    return Settlement(
        interest=_one_of(members["interest"], SETTLEMENTS) if "interest" in members else "accrued",
        fee=_rate(members["fee"]) if "fee" in members else Decimal(0),
    )


def _buckets(node: Node) -> Buckets:
    """Tables of edges, each valid from its date on, in the order of their dates."""
    tables = []
    for entry in node.items():
        members = entry.entries()
        (since,) = entry.required(members, "valid_from")
        names = [name for name in members if name != "valid_from"]
        edges = [members[name].plain() for name in names]
        bounds = [edge for edge in edges if isinstance(edge, int)]
        if (
            not names
            or edges[-1] is not None
            or bounds != sorted(set(bounds))
            or (len(bounds) != len(edges) - 1 or bounds[:1] != [0])
        ):
            entry.refuse(
                "buckets rise from 0 days, and the last one is open",
                mend="write {valid_from: 2020-01-01, M0: 0, M1: 30, M2: 60, M3: }",
            )
        table = tuple(Bucket(name, edge) for name, edge in zip(names, [*bounds, None], strict=True))
        tables.append(BucketTable(_date(since), table))
    if [table.valid_from for table in tables] != sorted({t.valid_from for t in tables}):
        node.refuse("bucket tables must stand in the order of their dates", mend="sort them")
    return Buckets(tuple(tables)) if tables else node.refuse("no buckets", mend="remove the key")


def _one_of(node: Node, allowed: tuple[str, ...]) -> str:
    if node.text() not in allowed:
        node.refuse(f"unknown word {node.text()!r}", mend=f"use {', '.join(allowed)}")
    return node.text()


def _flag(node: Node) -> bool:
    value = node.plain()
    return value if isinstance(value, bool) else node.refuse("expected true or false", mend="true")


def _days(node: Node) -> int:
    value = node.plain()
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DAYS_MAX:
        node.refuse(f"expected 0 to {DAYS_MAX} days", mend="write a whole number")
    return value


def _day_count(node: Node) -> int:
    days = _days(node)
    return days if days in DAY_COUNTS else node.refuse("a year of 360 or 365 days", mend="360")


def _number(node: Node, *, most: int) -> Decimal:
    value = node.plain()
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= most:
        node.refuse(f"expected a number from 0 to {most}", mend="write 1.5")
    return Decimal(value)


def _amount(node: Node) -> Decimal:
    return _number(node, most=int(AMOUNT_MAX))


def _rate(node: Node) -> Decimal:
    """`24%` or 0.24, a year or of a whole."""
    text = node.text()
    try:
        value = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ArithmeticError:
        node.refuse(f"{text!r} is no rate", mend="write 24% or 0.24")
    if not 0 <= value <= RATE_MAX // RATE_UNIT:
        node.refuse(f"{text!r} is out of range", mend="write 24% or 0.24")
    return value


def _date(node: Node) -> date:
    try:
        return date.fromisoformat(node.text())
    except ValueError:
        node.refuse(f"{node.text()!r} is no date", mend="write 2026-01-01")
