"""YAML in which every value knows its line, so that a mistake can be shown where it was made.

Scalars follow YAML 1.2: `21:30` is text, `on` and `no` are words, dates stay text; decimals are
exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeAlias

import yaml

from duewise.errors import BadInput

Plain: TypeAlias = "str | bool | int | Decimal | list[Plain] | dict[str, Plain] | None"

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it was built in


class _Loader(_Base):  # type: ignore[misc]
    """Only the scalars of YAML 1.2's core schema; everything else is text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"~|null|", ["~", "n", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first)
    )


@dataclass(frozen=True)
class Node:
    """One value of a YAML file, with the file's name and its line (counted from 1)."""

    raw: yaml.Node
    source: str

    @property
    def line(self) -> int:
        return int(self.raw.start_mark.line) + 1

    @property
    def is_scalar(self) -> bool:
        return isinstance(self.raw, yaml.ScalarNode)

    def refuse(self, message: str, *, mend: str) -> NoReturn:
        """Raise BadInput that points here."""
        raise BadInput(message, source=self.source, line=self.line, mend=mend)

    def entries(self) -> dict[str, Node]:
        """The members of a mapping; a key that comes twice is refused."""
        if not isinstance(self.raw, yaml.MappingNode):
            self.refuse(f"expected a mapping, found {_kind(self.raw)}", mend="write `key: value`")
        members: dict[str, Node] = {}
        for key, value in self.raw.value:
            name = str(key.value)
            if name in members:
                Node(key, self.source).refuse(f"key {name!r} comes twice", mend="keep one of them")
            members[name] = Node(value, self.source)
        return members

    def items(self) -> list[Node]:
        """The members of a list."""
        if not isinstance(self.raw, yaml.SequenceNode):
            self.refuse(f"expected a list, found {_kind(self.raw)}", mend="write `[one, two]`")
        return [Node(member, self.source) for member in self.raw.value]

    def text(self) -> str:
        """A scalar as it is written."""
        if not isinstance(self.raw, yaml.ScalarNode):
            self.refuse(f"expected a word, found {_kind(self.raw)}", mend="write one plain value")
        return str(self.raw.value)

    def texts(self) -> tuple[str, ...]:
        """A list of scalars as they are written."""
        return tuple(member.text() for member in self.items())

    def plain(self) -> Plain:
        """The value as Python data; decimals are Decimal, an empty scalar is None."""
        if isinstance(self.raw, yaml.MappingNode):
            return {name: node.plain() for name, node in self.entries().items()}
        if isinstance(self.raw, yaml.SequenceNode):
            return [node.plain() for node in self.items()]
        return _scalar(self.raw.tag.rpartition(":")[2], str(self.raw.value))

    def known(self, allowed: Sequence[str], *, what: str) -> dict[str, Node]:
        """The members of a mapping that may hold only the `allowed` keys."""
        members = self.entries()
        for name, node in members.items():
            if name not in allowed:
                node.refuse(f"unknown key {name!r} in {what}", mend=f"use {', '.join(allowed)}")
        return members

    def required(self, members: Mapping[str, Node], *names: str) -> list[Node]:
        """The members of those names, in that order."""
        for name in names:
            if name not in members:
                self.refuse(f"key {name!r} is missing", mend=f"add `{name}:`")
        return [members[name] for name in names]


def parse(text: str, *, source: str) -> Node:
    """The root of a YAML text. Raises BadInput with the line where YAML stops making sense.

    >>> parse("now: 21:30", source="x.yaml").plain()
    {'now': '21:30'}
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadInput(
            f"not YAML: {getattr(error, 'problem', None) or 'unreadable'}",
            source=source,
            line=None if mark is None else mark.line + 1,
            mend="check quotes, brackets and indentation there",
        ) from None
    if root is None:
        raise BadInput("the file is empty", source=source, mend="write the file, or remove it")
    return Node(root, source)


def parse_file(path: Path) -> Node:
    """The root of a YAML file. Raises BadInput if it cannot be read, or is no YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror}", source=str(path), mend="check the path"
        ) from None
    except UnicodeDecodeError:
        raise BadInput("not UTF-8", source=str(path), mend="save the file as UTF-8") from None
    return parse(text, source=str(path))


def _scalar(tag: str, text: str) -> str | bool | int | Decimal | None:
    match tag:
        case "bool":
            return text == "true"
        case "null":
            return None
        case "int":
            return int(text)
        case "float":
            return Decimal(text)
    return text


def _kind(raw: yaml.Node) -> str:
    return {"mapping": "a mapping", "sequence": "a list"}.get(
        str(getattr(raw, "id", "")), f"`{raw.value}`"
    )
