"""What a template's text may hold: literal text and `{{ variable | filter }}`, in Liquid's syntax.

No tags: what a person approved is what goes out, so a condition is a second template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias

from liquid import Environment, Mode, StrictUndefined
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError

from duewise.errors import BadInput
from duewise.message import filters
from duewise.message.filters import FILTERS, UNFILTERED, Value

SOURCE_CHARS_MAX = 1_000  # of a template
RENDERED_BYTES_MAX = 8_000  # of a message
MEND = "write outputs as {{ variable | filter }}"

Variable: TypeAlias = tuple[str, str | None]  # name, filter


@lru_cache(maxsize=1_024)
def outputs(text: str, language: str) -> tuple[str | Variable, ...]:
    """The parsed template: literal text, and variables with their filter, in order.

    >>> outputs("还款日{{ due_date | date }}", "zh")
    ('还款日', ('due_date', 'date'))

    Raises BadInput for anything else, and for what Liquid cannot parse.
    """
    if len(text) > SOURCE_CHARS_MAX:
        raise BadInput(f"the text is over {SOURCE_CHARS_MAX} characters", mend="shorten it")
    if "\r" in text:  # Liquid would write another line end than the one approved
        raise BadInput("the text holds a carriage return", mend="end lines with a line feed alone")
    try:
        nodes = environment(language).from_string(text).nodes
    except LiquidError as error:
        raise BadInput(f"broken template text: {error.message}", mend=MEND) from error
    return tuple(_piece(node) for node in nodes)


@lru_cache
def environment(language: str) -> Environment:
    """Liquid with our filters only: strict, and nothing to include or loop over."""
    liquid = _Environment(tolerance=Mode.STRICT, undefined=StrictUndefined)
    liquid.filters = {name: partial(_write, name=name, language=language) for name in FILTERS}
    return liquid


@dataclass(frozen=True)
class Fault:
    """What is wrong with a template's text; `word` is where to look for it in the file."""

    word: str
    message: str
    mend: str


def faults_of(
    text: str, variables: Mapping[str, str], *, constants: Sequence[str], language: str
) -> Iterator[Fault]:
    """Outputs that cannot be written as declared, and declarations that are not used."""
    try:
        pieces = outputs(text, language)
    except BadInput as error:
        yield Fault("text:", error.message, error.mend or "")
        return
    if not text.strip():
        yield Fault("text:", "the text is empty", "write it")
    used = [piece for piece in pieces if not isinstance(piece, str)]
    for name, written_by in used:
        known = ", ".join((*variables, *constants))
        if written_by is not None and written_by not in FILTERS:
            yield Fault(written_by, f"unknown filter {written_by!r}", f"use {', '.join(FILTERS)}")
        elif name in constants:
            if written_by:
                yield Fault(name, f"{name!r} takes no filter", f"write {{{{ {name} }}}}")
        elif name not in variables:
            mend = f"declare it under variables, or use one of {known}"
            yield Fault(name, f"unknown variable {name!r}", mend)
        elif not _can_write(variables[name], written_by):
            mend = f"write {{{{ {name} | {_filter_of(variables[name])} }}}}"
            yield Fault(name, f"{name!r} of kind {variables[name]} is not written so", mend)
    for name in variables:
        if name in constants:
            yield Fault(f"{name}:", f"{name!r} is the sender's own", "do not declare it")
        elif name not in dict(used):
            yield Fault(f"{name}:", f"variable {name!r} is declared and not used", "remove it")


def _can_write(kind: str, written_by: str | None) -> bool:
    return kind in UNFILTERED if written_by is None else FILTERS[written_by] == kind


def _filter_of(kind: str) -> str:
    return next((name for name, takes in FILTERS.items() if takes == kind), "no filter")


def _piece(node: object) -> str | Variable:
    match node:
        case ContentNode():
            return node.text
        case OutputNode(
            expression=FilteredExpression(left=Path(path=[str() as name]), filters=filters_used)
        ):
            used = filters_used or []
            if len(used) <= 1 and not any(one.args for one in used):
                return name, used[0].name if used else None
    raise BadInput(f"a template cannot hold {str(node)!r}", mend=MEND)


class _Environment(Environment):
    output_stream_limit = RENDERED_BYTES_MAX
    block_nesting_limit = 1


def _write(value: Value, *, name: str, language: str) -> str:
    return filters.write(name, value, language)
