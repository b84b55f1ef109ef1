"""Pages of what is kept in rows and in blocks: the newest first, and no more read than is shown.

Rows are read by their number, blocks by theirs, and merged by the number that a block has among the
rows; a page goes on where the one before it ended. So each thing is shown once, whatever comes in
meanwhile. A filter is applied to a stretch of `SCANNED` things at a time; a page that found too few
in `LOOKS` of them says that there may be more. A span of time begins and ends where halving the
numbers finds it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from zlib import crc32

from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Lookup, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql.where import WhereNode
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList

from duewise.store import models
from duewise.store.sql import queries
from duewise.web.console.read_only import ReadOnly

SCANNED = 20_000  # things that a page with a filter looks at in one go
BLOCKS_MAX = 1_000  # of which it looks at the heads
LOOKS = 10  # goes, at most
LATE = timedelta(minutes=1)  # how far the order of numbers may be from that of instants
NEWEST = 2**63 - 1
_SQL = queries("lists")
_PLACE = ("page_key", "page_block", "page_place")
_UNREAD = {"facts", "rulebook_hash"}  # of verdicts: long, and in no list
T = TypeVar("T", bound=Model)


@dataclass(frozen=True)
class Position:
    """What is left to be shown: rows below a number, blocks up to one, of this from a place on."""

    row: int = NEWEST
    block: int = NEWEST
    place: int = 0

    def written(self, of: str) -> str:
        """As a page's address has it; `of` is what the page is asked for."""
        return f"{self.row}.{self.block}.{self.place}.{crc32(of.encode()):x}"


def read_position(text: str, of: str) -> Position | None:
    """The position again; None where there is none, or of a page that was asked otherwise.

    >>> read_position(Position(7, 3, 2).written("?q=Li"), "?q=Li")
    Position(row=7, block=3, place=2)
    >>> read_position(Position(7, 3, 2).written("?q=Li"), "?q=Wang") is None
    True
    """
    found = re.fullmatch(r"(\d{1,19})\.(\d{1,19})\.(\d{1,19})\.[0-9a-f]{1,8}", text, re.ASCII)
    if not found:
        return None
    position = Position(*(min(int(number), NEWEST) for number in found.groups()))
    return position if position.written(of) == text else None


@dataclass(frozen=True)
class Asked:
    """What a list is asked for: codes by their columns, a span of instants, a name."""

    codes: Mapping[str, str]
    since: datetime | None
    until: datetime | None
    name: str

    @property
    def is_filtered(self) -> bool:
        """Whether not all that is read is shown."""
        return bool(self.codes or self.since or self.until)


@dataclass(frozen=True)
class Stretch:
    """What is read at once, from `start` on: rows down to `low`, these blocks, each with its key.

    `horizon`: what has a lower key was not all read. `unfolded` are the blocks with something in
    them that the filters may let pass.
    """

    start: Position
    low: int
    horizon: int
    blocks: Sequence[tuple[int, int]]
    is_last: bool
    unfolded: Sequence[tuple[int, int]]

    @property
    def values(self) -> dict[str, Any]:
        """As the statement that reads it has them."""
        block_ids = [block for block, _ in self.unfolded]
        keys = [key for _, key in self.unfolded]
        return {**vars(self.start), "low": self.low, "block_ids": block_ids, "keys": keys}

    def after(self, key: int, block: int, place: int) -> Position:
        """Where the next page begins, if this is the last that is shown."""
        if block:
            return Position(min(self.start.row, key), block, place)
        return replace(self._behind(key), row=key)

    @property
    def end(self) -> Position:
        """Where what was not read begins."""
        return replace(self._behind(self.horizon), row=min(self.start.row, self.horizon))

    def _behind(self, key: int) -> Position:
        """Behind all blocks that stand before this number."""
        passed = [block for block, at in self.blocks if at >= key]
        return Position(NEWEST, passed[-1] - 1, 0) if passed else self.start


@dataclass(frozen=True)
class Page(Generic[T]):
    """What is shown, and where it goes on; `is_short`: there may be more, it was not looked for."""

    shown: Sequence[T]
    older: Position | None
    is_short: bool = False


def read_page(queryset: QuerySet[T], asked: Asked, start: Position | None, *, size: int) -> Page[T]:
    """The newest `size` of what the queryset asks of a view, from a position on."""
    name = queryset.query.get_meta().db_table
    if asked.name:
        found = _read(queryset, f"{name}_found", _named(asked.name), limit=size)
        return Page(_once(found), None)
    floor, newest = _span(name, asked)
    begin = start or newest
    shown: list[T] = []
    for _ in range(LOOKS):
        need = SCANNED if asked.is_filtered else size + 1
        stretch = _stretch(name, asked, begin, floor, need=need)
        wanted = size - len(shown)
        found = _read(queryset, f"{name}_stretch", stretch.values, limit=wanted + 1)
        shown += found[:wanted]
        if len(found) > wanted:
            last = shown[-1]
            older = stretch.after(*(getattr(last, each) for each in _PLACE))
            return Page(_once(shown), older)
        begin = stretch.end
        if stretch.is_last or len(shown) == size:
            return Page(_once(shown), None if stretch.is_last else begin)
    return Page(_once(shown), begin, is_short=True)


def _stretch(name: str, asked: Asked, start: Position, floor: Position, *, need: int) -> Stretch:
    """From `start` on so many things as a page needs, or all that are left."""
    limit = BLOCKS_MAX if asked.is_filtered else need
    values = {**_filters(asked), **vars(start), "row_floor": floor.row, "block_floor": floor.block}
    [(count, low)] = _ask(f"{name}_rows", values | {"limit": need})
    heads = _ask(f"{name}_blocks", values | {"limit": limit})
    blocks: list[tuple[int, int]] = []
    filled: set[int] = set()
    key, seen = NEWEST, 0
    for block, number, size in heads:
        key = min(key, number)
        blocks.append((block, key))
        filled |= {block} if size else set()
        seen += size - (start.place if block == start.block and size else 0)
        if seen >= need:
            break
    # Below these more may lie that was not read: nothing older than that is shown yet.
    ends = [low] if count == need else []
    if len(blocks) < len(heads) or len(heads) == limit:
        ends.append(key)
    horizon = max(ends, default=0)
    read = [(block, at) for block, at in blocks if at >= horizon]
    return Stretch(
        start,
        low=max(horizon, floor.row),
        horizon=horizon,
        blocks=read,
        is_last=not ends,
        unfolded=[(block, at) for block, at in read if block in filled],
    )


def _span(name: str, asked: Asked) -> tuple[Position, Position]:
    """The lowest numbers, and where to begin, of a span of time."""
    floor, first = Position(0, 0), Position()
    if asked.since is None and asked.until is None:
        return floor, first
    [(row_min, row_max, block_min, block_max)] = _ask(f"{name}_ends", {})
    for field, low, high in (("row", row_min, row_max), ("block", block_min, block_max)):
        if low is None:
            continue
        numbers = range(low, high + 1)

        def about(number: int, field: str = field) -> datetime:
            [(at,)] = _ask(f"{name}_at_{field}", {"id": number})
            return at or datetime.min.replace(tzinfo=UTC)

        if asked.since:
            begins = low + bisect_left(numbers, asked.since - LATE, key=about)
            floor = replace(floor, **{field: begins})
        if asked.until:
            ends = low + bisect_right(numbers, asked.until + LATE, key=about)
            first = replace(first, **{field: ends if field == "row" else ends - 1})
    return floor, first


def _named(name: str) -> dict[str, Any]:
    """The envelopes meant by a number or by a gateway's name for a part."""
    routes = [route for (route,) in _ask("routes", {})]
    found = [envelope for (envelope,) in _ask("named", {"routes": routes, "name": name})]
    own = [int(name)] if re.fullmatch(r"\d{1,18}", name, re.ASCII) else []
    return {"envelope_ids": own + found, "routes": routes, "name": name}


def _read(queryset: QuerySet[T], name: str, values: Mapping[str, Any], *, limit: int) -> list[T]:
    """What the queryset asks of the view, asked of these rows and blocks in its place."""
    meta = queryset.query.get_meta()
    view, unread = meta.db_table, _UNREAD & {field.name for field in meta.fields}
    places = {each: RawSQL(f'"{view}"."{each}"', []) for each in _PLACE}  # noqa: S611 -- our names
    ordered = (
        queryset.defer(*unread)
        .annotate(**places)
        .order_by("-page_key", "-page_block", "page_place")
    )
    try:
        text, given = ordered[:limit].query.sql_with_params()
    except EmptyResultSet:
        return []
    numbered = iter(range(len(given)))
    text = re.sub(r"%s", lambda _: f"%(given_{next(numbered)})s", text)
    told = {f"given_{number}": value for number, value in enumerate(given)}
    within = _SQL[name].rstrip(";")
    found = queryset.raw(f'WITH "{view}" AS ({within}) {text}', {**values, **told})
    return list(found)


def _once(found: Sequence[T]) -> list[T]:
    """Without the rows of receipts that are in a block, too."""
    rows = [each.pk for each in found if isinstance(each, models.Receipt) and not _block_of(each)]
    if not rows:
        return list(found)
    twice = {row for (row,) in _ask("told_twice", {"receipt_ids": rows})}
    return [each for each in found if each.pk not in twice or _block_of(each)]


def _block_of(each: Model) -> int:
    return int(getattr(each, "page_block"))  # noqa: B009 -- read beside the model's own columns


def _filters(asked: Asked) -> dict[str, Any]:
    names = ("status", "gate", "outcome", "new_state")
    codes = {name: asked.codes.get(name) for name in names}
    return {**codes, "since": asked.since, "until": asked.until}


def _ask(name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_SQL[name], dict(values))
        return list(cursor.fetchall())


def asked_of(queryset: QuerySet[Any], name: str) -> Asked:
    """What a list's filters have made of its queryset."""
    codes: dict[str, str] = {}
    since: datetime | None = None
    until: datetime | None = None
    for lookup in _lookups(queryset.query.where):
        column = getattr(getattr(lookup.lhs, "target", None), "name", "")
        match lookup.lookup_name:
            case "exact":
                codes[column] = lookup.rhs
            case "gte" if column == "at":
                since = lookup.rhs
            case "lte" if column == "at":
                until = lookup.rhs
    return Asked({} if name else codes, since, until, name)


def _lookups(node: WhereNode) -> list[Lookup[Any]]:
    found: list[Lookup[Any]] = []
    for child in node.children:
        if isinstance(child, WhereNode):
            found += _lookups(child)
        elif isinstance(child, Lookup):
            found.append(child)
    return found


class NewestFirst(ChangeList):  # type: ignore[misc]  # unfold ships no types
    """A list that reads a page of rows and blocks."""

    older: str | None = None
    looked_until: datetime | None = None

    def get_results(self, request: HttpRequest) -> None:
        """Read the page; the address says where it begins."""
        start = read_position(request.GET.get(PAGE_VAR, ""), self.query_string)
        asked = asked_of(self.queryset, self.query.strip())
        page = read_page(self.queryset, asked, start, size=self.list_per_page)
        if page.older:
            older = page.older.written(self.query_string)
            self.older = self.get_query_string({PAGE_VAR: older})
        self.is_first, self.is_short = start is None, page.is_short
        self.result_list, self.result_count = page.shown, len(page.shown)
        self.show_full_result_count, self.full_result_count = False, None
        self.show_admin_actions, self.can_show_all, self.multi_page = False, False, True
        # Of its own kind, by whose name unfold knows that nothing is counted.
        self.paginator = InfinitePaginator(page.shown, self.list_per_page)
        self.paginator.template_name = "duewise/older.html"

    @cached_property
    def query_string(self) -> str:
        """What the list is asked for, but for the page."""
        return str(self.get_query_string())


class OfRowsAndBlocks(ReadOnly):
    """What is kept in rows and in blocks: a list from the newest on, in no other order."""

    sortable_by = ()

    def get_changelist(self, _request: HttpRequest, **_given: object) -> type[NewestFirst]:
        return NewestFirst
