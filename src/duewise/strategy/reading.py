"""Typed access to a YAML file that analysts write: whatever is wrong is told with its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from duewise.errors import BadInput

WHOLE_BP = 10_000


def read_mapping(text: str, *, source: str, what: str) -> tuple[Reader, dict[str, Any]]:
    """The file's top mapping, and a reader for it. Raises BadInput with the line."""
    try:
        # S506: the loader derives from SafeLoader.
        document = yaml.load(text, Loader=_Lines)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or "not YAML"
        raise BadInput(
            str(problem), source=source, line=line, mend="check indentation and quotes"
        ) from error
    reader = Reader(source)
    return reader, reader.mapping(document, what)


class Reader:
    """Typed access to the parsed file that fails with its line."""

    def __init__(self, source: str) -> None:
        self.source = source

    def error(self, near: object, message: str, mend: str) -> BadInput:
        line = near.get("__line__") if isinstance(near, dict) else None
        return BadInput(message, source=self.source, line=line, mend=mend)

    def fail(self, near: object, message: str, mend: str) -> None:
        raise self.error(near, message, mend)

    def mapping(self, raw: object, what: str, near: object = None) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise self.error(near, f"{what} must be a mapping of keys to values", "see the example")
        return raw

    def only(self, found: dict[str, Any], known: set[str], what: str) -> None:
        for key in found:
            if key not in known and key != "__line__":
                self.fail(found, f"{what} has no key {key!r}", f"keys: {', '.join(sorted(known))}")

    def text(self, found: dict[str, Any], key: str) -> str:
        value = found.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(found, f"{key!r} is missing or empty", f"write {key}: and a text")
        return value

    def choice(self, found: dict[str, Any], key: str, values: Sequence[str]) -> str:
        value = found.get(key)
        if value not in values:
            raise self.error(found, f"{key} {value!r} is not known", f"one of {', '.join(values)}")
        return str(value)

    def whole(self, found: dict[str, Any], key: str, low: int, high: int) -> int:
        value = found.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(
                found, f"{key} {value!r} is not a whole number", f"write {low} to {high}"
            )
        return value

    def flag(self, found: dict[str, Any], key: str) -> bool:
        value = found.get(key, False)
        if not isinstance(value, bool):
            raise self.error(found, f"{key} {value!r} is not true or false", f"write {key}: true")
        return value

    def sequence(self, found: dict[str, Any], key: str, low: int, high: int) -> list[Any]:
        value = found.get(key)
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise self.error(found, f"{key} must be a list", f"list {low} to {high} of them")
        return value

    def basis_points(self, near: object, share: object) -> int:
        match = re.fullmatch(r"(\d{1,3})(?:\.(\d{1,2}))?\s*%", str(share).strip())
        points = int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0")) if match else -1
        if not 0 <= points <= WHOLE_BP:
            raise self.error(near, f"share {share!r} is not a percentage", "write it as 5%")
        return points


class _Lines(yaml.SafeLoader):
    """A loader that remembers on which line each mapping starts."""

    def construct_mapping(  # the base class sets this signature
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep=deep)
        found["__line__"] = node.start_mark.line + 1
        return found


_Lines.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
