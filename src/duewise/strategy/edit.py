"""Edits of a strategy file that leave everything else as it was written: comments, order, layout.

The parser says where a value stands; only these characters are replaced. What is written is read
back and compared, so that an edit does what it says or is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from duewise.errors import BadInput

_BLOCK = ("|", ">")


def set_value(text: str, path: str, value: str, *, source: str) -> str:
    r"""The file with the value at a path: `hold_out.share`, `steps.m1_day1.arms.clear.hours`.

    Steps and arms go by their names. `value` is YAML on one line; a key that is not there yet is
    added to its mapping. Raises BadInput.

    >>> set_value("a: 1  # one\nb: {c: x}\n", "b.d", "[9, 20]", source="-")
    'a: 1  # one\nb: {c: x, d: [9, 20]}\n'
    """
    keys = path.split(".")
    if "\n" in value or not value.strip():
        raise BadInput("a value is one line of YAML", source=source, mend="write [9, 20] or 5%")
    wanted = _read(value, source=f"value {value!r}")
    node = _read_node(text, source=source)
    for number, key in enumerate(keys[:-1]):
        found = _child(node, key)
        if found is None:
            raise _absent(".".join(keys[: number + 1]), node, source)
        node = found
    last = _child(node, keys[-1])
    if last is None and not isinstance(node, yaml.MappingNode):
        raise _absent(path, node, source)
    if last is None:
        edited = _added(text, node, keys[-1], value)
    else:
        edited = _replaced(text, last, value, path=path, source=source)
    before, after = _read(text, source=source), _read(edited, source=source)
    if _with(before, keys, wanted) != after:
        mend = "edit the file by hand"
        raise BadInput(f"{path} cannot be set in place", source=source, mend=mend)
    return edited


def _replaced(text: str, node: yaml.Node, value: str, *, path: str, source: str) -> str:
    is_block = node.style in _BLOCK if isinstance(node, yaml.ScalarNode) else not _is_flow(node)
    if is_block:
        raise BadInput(f"{path} is more than one line", source=source, mend="name a key within it")
    start, end = node.start_mark.index, node.end_mark.index
    gap = "" if text[start - 1 : start].isspace() or text[start - 1] in "[{," else " "
    return f"{text[:start]}{gap}{value}{text[end:]}"


def _added(text: str, node: yaml.Node, key: str, value: str) -> str:
    """The mapping with one more key: behind its last in braces, below its last short one else."""
    assert isinstance(node, yaml.MappingNode), "keys are added to mappings"
    if _is_flow(node):
        at = node.end_mark.index - 1
        comma = ", " if node.value else ""
        return f"{text[:at].rstrip()}{comma}{key}: {value}{text[at:]}"
    indent = " " * node.value[0][0].start_mark.column
    short = [each for _, each in node.value if each.start_mark.line == each.end_mark.line]
    if not short:
        at = node.value[0][0].start_mark.index
        return f"{text[:at]}{key}: {value}\n{indent}{text[at:]}"
    end = text.find("\n", short[-1].end_mark.index)
    at = len(text) if end < 0 else end
    return f"{text[:at]}\n{indent}{key}: {value}{text[at:]}"


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    """What stands under a key of a mapping, or the item of a list that has this name."""
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode):
        return next((each for each in node.value if _name(each) == key), None)
    return None


def _name(node: yaml.Node) -> str | None:
    name = _child(node, "name") if isinstance(node, yaml.MappingNode) else None
    return name.value if isinstance(name, yaml.ScalarNode) else None


def _absent(path: str, node: yaml.Node, source: str) -> BadInput:
    near = [
        str(_name(each) if isinstance(node, yaml.SequenceNode) else each[0].value)
        for each in (node.value if not isinstance(node, yaml.ScalarNode) else [])
    ]
    line = node.start_mark.line + 1
    return BadInput(f"nothing at {path}", source=source, line=line, mend=f"there: {near}")


def _is_flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _with(document: Any, keys: Sequence[str], value: object) -> object:  # noqa: ANN401 -- YAML
    """The document with the value at the path."""
    if not keys:
        return value
    if isinstance(document, list):
        return [
            _with(each, keys[1:], value) if _is_named(each, keys[0]) else each for each in document
        ]
    return {**document, keys[0]: _with(document.get(keys[0]), keys[1:], value)}


def _is_named(thing: object, name: str) -> bool:
    return isinstance(thing, dict) and thing.get("name") == name


def _read(text: str, *, source: str) -> Any:  # noqa: ANN401 -- whatever YAML says
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"not YAML: {error}", source=source, mend="quote the value") from error


def _read_node(text: str, *, source: str) -> yaml.Node:
    _read(text, source=source)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        raise BadInput("no mapping of keys to values", source=source, mend="see the example")
    return node
