"""A mapping file: how a lender's columns become ours. What it says, checked; nothing is read here.

Every column of ours is an SQL expression over the columns of the lender's file, most often just a
column's name. `read` says how a source column is written where it is not plain text. See
docs/reference/mapping.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
import yaml
from babel.core import Locale, UnknownLocaleError
from babel.numbers import is_currency

from duewise.book.schema import PERSONAL, TABLES, Kind
from duewise.errors import BadInput

SCHEMA = "mapping/1"
READ_TYPES = ("text", "integer", "number", "decimal", "date", "datetime", "boolean")
PEOPLE_FROM = ("file", "synthesise", "none")
_FIELDS = frozenset(
    {"schema", "name", "about", "currency", "locale", "timezone", "encoding", "separator"}
    | {"missing", "origin", "people", "tables"}
)
_TABLE_FIELDS = frozenset({"from", "read", "leave_out", "group_by", "columns"})
_READING_FIELDS = frozenset({"type", "format", "thousands", "decimal", "is_true", "is_false"})


@dataclass(frozen=True)
class Reading:
    """How a source column is written. `format` is strftime's, for dates and times."""

    type: str = "text"
    format: str | None = None
    thousands: str = ""
    decimal: str = "."
    is_true: tuple[str, ...] = ("true", "yes", "y", "1", "t")
    is_false: tuple[str, ...] = ("false", "no", "n", "0", "f")


@dataclass(frozen=True)
class LeaveOut:
    """Rows that are not taken, though nothing is wrong with them."""

    where: str
    because: str


@dataclass(frozen=True)
class TableMapping:
    """One table of ours: its file, and an expression for each of its columns."""

    name: str
    source: str
    read: Dict[str, Reading]
    leave_out: tuple[LeaveOut, ...]
    group_by: tuple[str, ...]
    columns: Dict[str, str]
    lines: Dict[str, int]

    def wanted(self, *, only: Sequence[str] | None = None) -> frozenset[str]:
        """The source columns that the expressions need: all of them, or those of some columns."""
        columns = self.columns if only is None else {name: self.columns[name] for name in only}
        needs = {*self.read, *self.group_by}
        for text in (*columns.values(), *(rule.where for rule in self.leave_out)):
            needs |= set(pl.sql_expr(text).meta.root_names())
        return frozenset(needs)


@dataclass(frozen=True)
class Mapping:
    """A whole mapping file. `content_hash` covers what it means, not how it is laid out."""

    name: str
    currency: str
    locale: str
    timezone: str
    encoding: str
    separator: str
    missing: tuple[str, ...]
    origin: date | None
    people: str
    tables: Dict[str, TableMapping]
    source: str
    content_hash: str


def ready_mappings() -> tuple[str, ...]:
    """The names of the mappings that come with Duewise.

    >>> ready_mappings()
    ('duewise', 'home-credit', 'kiva', 'superlender')
    """
    folder = files("duewise.book") / "mappings"
    names = [entry.name for entry in folder.iterdir()]
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def load_mapping(name_or_path: str | Path) -> Mapping:
    """A ready mapping by its name, or a mapping file by its path. Raises BadInput."""
    if str(name_or_path) in ready_mappings():
        source = f"{name_or_path}.yaml"
        text = (files("duewise.book") / "mappings" / source).read_text(encoding="utf-8")
        return parse_mapping(text, source=source)
    path = Path(name_or_path)
    try:
        return parse_mapping(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise BadInput(
            f"no mapping can be read here: {error.strerror}",
            source=str(path),
            mend=f"give a file, or one of: {', '.join(ready_mappings())}",
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(
            "a mapping file is UTF-8 text", source=str(path), mend="save it as UTF-8"
        ) from error


def parse_mapping(text: str, *, source: str) -> Mapping:
    """The mapping a text says. Raises BadInput with the line of the fault."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadInput(
            f"not YAML: {getattr(error, 'problem', None) or error}",
            source=source,
            line=mark.line + 1 if mark else None,
        ) from error
    if not isinstance(content, dict):
        raise BadInput("a mapping is a YAML object", source=source, line=1)
    lines: dict[tuple[str, ...], int] = {}
    _collect_lines(root, (), lines)
    return _Parser(source, lines).mapping(content)


@dataclass(frozen=True)
class _Parser:
    """Reads parts of the file, and knows on which line each of them stands."""

    source: str
    lines: Dict[tuple[str, ...], int]

    def mapping(self, content: dict[str, Any]) -> Mapping:
        self.known_only(content, _FIELDS, ())
        if content.get("schema") != SCHEMA:
            raise self.fault(
                f"schema is {content.get('schema')!r}", ("schema",), f"write `schema: {SCHEMA}`"
            )
        tables = self.object(content, ("tables",))
        self.known_only(tables, frozenset(TABLES), ("tables",))
        mapping = Mapping(
            name=self.text(content, "name"),
            currency=self.text(content, "currency"),
            locale=self.text(content, "locale"),
            timezone=self.text(content, "timezone"),
            encoding=self.text(content, "encoding", default="auto"),
            separator=self.text(content, "separator", default=","),
            missing=tuple(map(str, self.list(content, ("missing",)))),
            origin=self.origin(content),
            people=self.text(content, "people", default="file"),
            tables={name: self.table(tables, name) for name in TABLES if name in tables},
            source=self.source,
            content_hash=_content_hash(content),
        )
        self.check(mapping)
        return mapping

    def check(self, mapping: Mapping) -> None:
        """What the parts must be to each other, and what the world must know of them."""
        needed = [name for name in ("loans", "instalments") if name not in mapping.tables]
        if needed:
            raise self.fault(f"table {needed[0]!r} is missing", ("tables",))
        if mapping.people not in PEOPLE_FROM:
            raise self.fault(
                f"people: {mapping.people!r} is unknown",
                ("people",),
                f"use {', '.join(PEOPLE_FROM)}",
            )
        if not is_currency(mapping.currency):
            raise self.fault(
                f"currency {mapping.currency!r} is unknown", ("currency",), "use ISO 4217, e.g. CNY"
            )
        if len(mapping.separator) != 1 or ord(mapping.separator) > 127:  # noqa: PLR2004 (ASCII)
            raise self.fault("separator is one ASCII character", ("separator",))
        try:
            ZoneInfo(mapping.timezone)
            Locale.parse(mapping.locale, sep="-")
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise self.fault(
                f"timezone {mapping.timezone!r} or locale {mapping.locale!r} is unknown",
                ("timezone",),
                "write them as Asia/Shanghai and zh-CN",
            ) from error
        except UnknownLocaleError as error:
            raise self.fault(
                f"locale {mapping.locale!r} is unknown", ("locale",), "write it as zh-CN"
            ) from error

    def table(self, tables: dict[str, Any], name: str) -> TableMapping:
        path = ("tables", name)
        content = self.object(tables, path)
        self.known_only(content, _TABLE_FIELDS, path)
        columns = self.object(content, (*path, "columns"))
        self.check_columns(columns, name, (*path, "columns"))
        read = self.object(content, (*path, "read")) if "read" in content else {}
        rules = self.list(content, (*path, "leave_out"))
        return TableMapping(
            name=name,
            source=self.text(content, "from", path=path),
            read={key: self.reading(value, (*path, "read", key)) for key, value in read.items()},
            leave_out=tuple(self.leave_out(rule, (*path, "leave_out")) for rule in rules),
            group_by=tuple(map(str, self.list(content, (*path, "group_by")))),
            columns={
                ours: self.expression(value, (*path, "columns", ours))
                for ours, value in columns.items()
            },
            lines={".".join(key[2:]): line for key, line in self.lines.items() if key[:2] == path},
        )

    def check_columns(self, columns: dict[str, Any], name: str, path: tuple[str, ...]) -> None:
        table = TABLES[name]
        if not table.has_more_columns:
            self.known_only(columns, frozenset(each.name for each in table.columns), path)
        # The mapping itself gives what is the same for the whole book.
        given = {*columns, "currency", "locale", "timezone"}
        for column in table.columns:
            if column.is_required and column.name not in given:
                raise self.fault(
                    f"table {name!r} lacks the required column {column.name!r}",
                    path,
                    f"add `{column.name}: <column or expression>`",
                )
        personal = [each for each in columns if each in PERSONAL]
        if name == "features" and personal:
            raise self.fault(f"{personal[0]!r} is personal: no feature", (*path, personal[0]))

    def leave_out(self, rule: object, path: tuple[str, ...]) -> LeaveOut:
        if not isinstance(rule, dict) or set(rule) != {"where", "because"}:
            raise self.fault("a rule to leave rows out has `where` and `because`", path)
        return LeaveOut(self.expression(rule["where"], path), str(rule["because"]))

    def reading(self, value: object, path: tuple[str, ...]) -> Reading:
        content = {"type": value} if isinstance(value, str) else value
        if not isinstance(content, dict):
            raise self.fault("say how the column is written", path, "e.g. `amount: decimal`")
        self.known_only(content, _READING_FIELDS, path)
        if content.get("type") not in READ_TYPES:
            raise self.fault(
                f"type {content.get('type')!r} is unknown", path, f"use {', '.join(READ_TYPES)}"
            )
        words = {
            key: tuple(str(word).lower() for word in self.list(content, (*path, key)))
            for key in ("is_true", "is_false")
            if key in content
        }
        return Reading(**{**content, **words})

    def expression(self, value: object, path: tuple[str, ...]) -> str:
        """SQL text: what stands there, or a constant as SQL writes it."""
        if isinstance(value, bool | int | float):
            return str(value)
        if isinstance(value, date):
            return f"DATE '{value.isoformat()}'"
        if not isinstance(value, str) or not value.strip():
            raise self.fault("a column or an SQL expression is wanted here", path)
        try:
            pl.sql_expr(value)
        except pl.exceptions.PolarsError as error:
            raise self.fault(
                f"expression {value!r} cannot be read: {str(error).splitlines()[0]}",
                path,
                "put text in single quotes, a column with odd signs in double quotes",
            ) from error
        return value

    def origin(self, content: dict[str, Any]) -> date | None:
        origin = content.get("origin")
        if origin is not None and type(origin) is not date:
            raise self.fault("origin is the date of day 0", ("origin",), "write 2018-01-01")
        return origin

    def text(
        self,
        content: dict[str, Any],
        key: str,
        *,
        path: tuple[str, ...] = (),
        default: str | None = None,
    ) -> str:
        value = content.get(key, default)
        if not isinstance(value, str) or not value:
            raise self.fault(f"{key!r} is missing or no text", (*path, key), f"add `{key}: …`")
        return value

    def object(self, content: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        value = content.get(path[-1])
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise self.fault(f"{path[-1]!r} is missing or no object", path)
        return value

    def list(self, content: dict[str, Any], path: tuple[str, ...]) -> Sequence[Any]:
        value = content.get(path[-1], [])
        if not isinstance(value, list):
            raise self.fault(f"{path[-1]!r} is a list", path, "write it as [a, b]")
        return value

    def known_only(
        self, content: dict[str, Any], known: frozenset[str], path: tuple[str, ...]
    ) -> None:
        for key in content:
            if key not in known:
                raise self.fault(
                    f"{key!r} is unknown here", (*path, key), f"known: {', '.join(sorted(known))}"
                )

    def fault(self, message: str, path: tuple[str, ...], mend: str | None = None) -> BadInput:
        """The fault, on the line of the nearest thing that is in the file."""
        line = next(
            (self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 1
        )
        return BadInput(message, source=self.source, line=line, mend=mend)


def check_source_columns(
    table: TableMapping, available: Sequence[str], *, mapping: Mapping, file: str
) -> None:
    """Raise BadInput if an expression names a column that the file does not have."""
    for path, text in _expressions(table):
        for column in pl.sql_expr(text).meta.root_names():
            if column not in available:
                raise BadInput(
                    f"{file} has no column {column!r}",
                    source=mapping.source,
                    line=table.lines.get(path) or table.lines.get(path.split(".")[0]),
                    mend=f"columns found: {', '.join(available)}",
                )


def _expressions(table: TableMapping) -> list[tuple[str, str]]:
    quoted = [(f"read.{name}", f'"{name}"') for name in table.read]
    quoted += [("group_by", f'"{name}"') for name in table.group_by]
    rules = [("leave_out", rule.where) for rule in table.leave_out]
    return [*quoted, *rules, *((f"columns.{ours}", text) for ours, text in table.columns.items())]


def kind_of(table: str, column: str) -> Kind | None:
    """What a column of ours holds; None for a feature, which keeps the type it has."""
    found = TABLES[table].column(column)
    return found.kind if found else None


def _content_hash(content: dict[str, Any]) -> str:
    meaning = {key: value for key, value in content.items() if key != "about"}
    text = json.dumps(meaning, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _collect_lines(
    node: yaml.Node | None, path: tuple[str, ...], lines: dict[tuple[str, ...], int]
) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            lines[here] = key.start_mark.line + 1
            _collect_lines(value, here, lines)
