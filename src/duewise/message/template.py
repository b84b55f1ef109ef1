"""Templates: versioned texts with typed variables, approved by somebody else than their author.

`render` writes one message through Liquid itself; `render_column` compiles the same parsed text to
one Polars expression for a whole column. `syntax` says what a text may hold, `filters` how a value
is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from liquid.exceptions import LiquidError

from duewise.errors import BadInput
from duewise.message import filters
from duewise.message.filters import KINDS
from duewise.message.syntax import environment, faults_of, outputs

STAGES = ("pre_due", "due_day", "overdue", "service")
TONES = ("thank", "gentle", "neutral", "clear", "urgent", "help")
PURPOSES = (
    *("early_warning", "reminder", "due_today", "grace"),
    *("m1_early", "m1_late", "m2_plus", "statutory_notice", "credit_notice"),
    *("promise_made", "promise_kept", "promise_broken", "plan_offered"),
    *("thank_you", "opt_out", "education"),
)
CHANNELS = ("sms", "push", "wechat", "email")
LOCALES = ("zh-CN", "en")
SHIPPED = Path(str(files("duewise.message"))) / "templates"


SENDER_NAMES = ("name", "signature", "hotline", "app")


@dataclass(frozen=True)
class Sender:
    """Who speaks: constants every template may use as `{{ name }}`, `{{ signature }}` and so on.

    `signature` is what an SMS opens with, brackets included; `app` is how texts call the app.
    """

    name: str
    signature: str
    hotline: str
    app: str

    def __post_init__(self) -> None:
        """No blank may reach a message."""
        for name in SENDER_NAMES:
            if not getattr(self, name).strip():
                raise BadInput(f"the sender has no {name}", mend=f"set its {name}")


EXAMPLE_SENDERS: Mapping[str, Sender] = {
    "zh-CN": Sender("示例消费金融", "【示例消费金融】", "95123", "示例APP"),
    "en": Sender("Example Finance", "[Example Finance]", "95123", "Example app"),
}


@dataclass(frozen=True)
class Template:
    """One text for one purpose, stage, tone, channel and locale.

    `variables` maps a name to its kind (money, date, count, text, tail, link). `preview` is the
    line a lock screen shows (push, WeChat); the text itself is then seen after opening. `subject`
    is an email's. `keywords` are the fields of a WeChat message, each a text of its own. `elements`
    must be found in the text; `legal` is what it rests on. `reading` and `parts` (of an SMS) are
    measured, and declared so that who approves sees them.
    """

    name: str
    version: int
    locale: str
    purpose: str
    stage: str
    tone: str
    channel: str
    text: str
    variables: Mapping[str, str] = field(hash=False)
    author: str
    approver: str
    approved_hash: str
    preview: str | None = None
    subject: str | None = None
    keywords: Mapping[str, str] = field(default_factory=dict, hash=False)
    elements: tuple[str, ...] = ()
    legal: str = ""
    reading: float | None = None
    parts: int | None = None
    claims: tuple[str, ...] = ()
    disclosed: tuple[str, ...] = ()
    promo: bool = False

    @property
    def language(self) -> str:
        """`zh` or `en`."""
        return self.locale.partition("-")[0]

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all that is approved: every field but the names of who wrote and approved."""
        content = asdict(self)
        for signature in ("author", "approver", "approved_hash"):
            del content[signature]
        written = json.dumps(content, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()

    @property
    def is_approved(self) -> bool:
        """Approved in exactly this wording, by another person than its author."""
        is_another = bool(self.approver) and self.approver != self.author
        return is_another and self.approved_hash == self.content_hash


def load_templates(directories: Sequence[Path] = (SHIPPED,)) -> dict[str, Template]:
    """All templates of the folders' `*.yaml` files by name; a later folder replaces by name.

    A file holds one template a YAML document. Raises BadInput with file, line and mend.
    """
    templates: dict[str, Template] = {}
    for directory in directories:
        if not directory.is_dir():
            raise BadInput("no such folder of templates", source=str(directory))
        here: dict[str, Template] = {}
        for file in sorted(directory.glob("*.yaml")):
            for entry in _entries(file):
                template = _template(entry)
                if template.name in here:
                    raise entry.bad("name:", f"second template named {template.name!r}", _RENAME)
                here[template.name] = template
        templates |= here
    return templates


def render(template: Template, values: Mapping[str, object], sender: Sender) -> str:
    """One message. `values` hold Money, date, int or str by variable; more are ignored.

    Raises BadInput that names template and variable if a value is missing, blank or unfit.
    """
    for name, kind in template.variables.items():
        if not filters.is_fit(kind, values.get(name)):
            raise BadInput(
                f"template {template.name!r}: variable {name!r} is missing or not fit to be sent",
                mend=f"give {name!r} a value of kind {kind}",
            )
    context = {name: values[name] for name in template.variables} | asdict(sender)
    try:
        return environment(template.language).from_string(template.text).render(**context)
    except LiquidError as error:
        raise BadInput(f"template {template.name!r}: {error.message}") from error


def render_column(template: Template, frame: pl.DataFrame, *, sender: Sender) -> pl.Series:
    """A message a row, as column `text`; null where a variable is missing or not fit to be sent.

    A variable is a column of its name; money is `<name>_minor` (Int64) beside `currency`.
    Raises BadInput that names a column the frame lacks. `missing_variables` says why a row is null.
    """
    columns = _check_columns(template, frame)
    kinds, constants = template.variables, asdict(sender)
    text = ""
    pieces: list[pl.Expr] = []
    fit = [filters.fit(kind, name) for name, kind in kinds.items()]
    for piece in outputs(template.text, template.language):
        match piece:
            case str():
                text += piece
            case (name, _) if name in constants:
                text += constants[name]
            case (name, written_by):
                pieces += [
                    pl.lit(text),
                    filters.write_column(frame, written_by, name, template.language),
                ]
                text = ""
    written = pl.concat_str(*pieces, pl.lit(text))
    masked = pl.when(pl.all_horizontal(fit)).then(written) if fit else written
    # By with_columns, as a text without a variable is one value and not one for each row.
    spoken_of = frame.select(columns) if columns else frame
    return spoken_of.with_columns(text=masked).get_column("text")


def missing_variables(template: Template, frame: pl.DataFrame) -> pl.Series:
    """Per row, the names (List Str) of variables that are missing or not fit to be sent."""
    _check_columns(template, frame)
    missing: list[pl.Expr] = [
        pl.when(~filters.fit(kind, name)).then(pl.lit(name))
        for name, kind in template.variables.items()
    ]
    names = pl.concat_list(*missing, pl.lit(None, pl.String)).list.drop_nulls()
    return frame.with_columns(missing=names).get_column("missing")


def render_keywords(
    template: Template, values: Mapping[str, object], sender: Sender
) -> dict[str, str]:
    """The fields of a WeChat message, filled as `render` fills the text."""
    return {
        key: render(replace(template, text=text, keywords={}), values, sender)
        for key, text in template.keywords.items()
    }


def worst_values(template: Template) -> dict[str, filters.Value]:
    """The longest value of each variable that can reasonably occur."""
    return {
        name: filters.worst(kind, template.language) for name, kind in template.variables.items()
    }


def worst_case(template: Template, sender: Sender) -> str:
    """The message with the longest values that can reasonably occur, for lint and price."""
    return render(template, worst_values(template), sender)


def _check_columns(template: Template, frame: pl.DataFrame) -> list[str]:
    """The columns the template's variables are read from, each found to hold what it should."""
    schema, columns = frame.schema, dict[str, str]()
    for name, kind in template.variables.items():
        columns |= filters.columns_of(kind, name)
        for column, holds in filters.columns_of(kind, name).items():
            found = schema.get(column)
            if found is None or not _HOLDS[holds](found):
                raise BadInput(
                    f"template {template.name!r} needs a column {column!r} of {holds}"
                    + (f", not {found}" if found else ""),
                    mend=f"columns found: {', '.join(frame.columns)}",
                )
    return list(columns)


_HOLDS: Mapping[str, Callable[[pl.DataType], bool]] = {
    "integers": lambda dtype: dtype.is_integer(),
    "dates": lambda dtype: dtype == pl.Date,
    "text": lambda dtype: dtype == pl.String,
}


_RENAME = "give it another name"
_CHOICES: Mapping[str, Sequence[str]] = {
    "locale": LOCALES,
    "purpose": PURPOSES,
    "stage": STAGES,
    "tone": TONES,
    "channel": CHANNELS,
}
_TYPES: Mapping[str, tuple[type, str]] = {
    "name": (str, "a text"),
    "version": (int, "a whole number"),
    **dict.fromkeys(_CHOICES, (str, "a text")),
    "text": (str, "a text"),
    "variables": (dict, "a mapping of name to kind"),
    "author": (str, "a text"),
    "approver": (str, "a text"),
    "approved_hash": (str, "a text"),
    "preview": (str, "a text"),
    "subject": (str, "a text"),
    "keywords": (dict, "a mapping of field to text"),
    "elements": (list, "a list"),
    "legal": (str, "a text"),
    "reading": (float, "a number with one decimal"),
    "parts": (int, "a whole number"),
    "claims": (list, "a list"),
    "disclosed": (list, "a list"),
    "promo": (bool, "true or false"),
}
_OPTIONAL = ("preview", "subject", "reading", "parts")
_DEFAULTS: Mapping[str, object] = {
    "variables": {},
    "approver": "",
    "approved_hash": "",
    "keywords": {},
    "elements": [],
    "legal": "",
    "claims": [],
    "disclosed": [],
    "promo": False,
}


@dataclass(frozen=True)
class _Entry:
    """One YAML document and where it stands."""

    source: str
    line: int
    lines: Sequence[str]
    content: Any

    def bad(self, word: str, message: str, mend: str) -> BadInput:
        """The error, at the first line of the document that holds the word."""
        offset = next((n for n, line in enumerate(self.lines) if word in line), 0)
        return BadInput(message, source=self.source, line=self.line + offset, mend=mend)


# The same loader in C: a send must not wait a second for its texts.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _entries(file: Path) -> Iterator[_Entry]:
    try:
        text = file.read_text(encoding="utf-8")
        loader = _LOADER(text)
        while (node := loader.get_node() if loader.check_node() else None) is not None:
            first, last = node.start_mark.line, node.end_mark.line
            lines = text.splitlines()[first : last + 1]
            yield _Entry(str(file), first + 1, lines, loader.construct_document(node))
    except UnicodeDecodeError as error:
        raise BadInput("not UTF-8", source=str(file), mend="save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise BadInput(
            f"not YAML: {error.problem}", source=str(file), line=line, mend="quote the text"
        ) from error
    except yaml.YAMLError as error:
        raise BadInput(f"not YAML: {error}", source=str(file), mend="save plain text") from error


def _template(entry: _Entry) -> Template:
    if not isinstance(entry.content, dict):  # also where the file ends in an empty document
        raise entry.bad("", "a template is a mapping", "write `name: …`, `text: …`")
    content = {**_DEFAULTS, **entry.content}
    _check_fields(entry, content)
    for listed in ("elements", "claims", "disclosed"):
        content[listed] = tuple(content[listed])
    template = Template(**content)
    faults = faults_of(
        "\n".join((template.text, *template.keywords.values())),
        template.variables,
        constants=SENDER_NAMES,
        language=template.language,
    )
    for fault in faults:
        raise entry.bad(fault.word, fault.message, fault.mend)
    return template


def _check_fields(entry: _Entry, content: Mapping[str, Any]) -> None:
    for key, value in content.items():
        if key not in _TYPES:
            mend = f"use {', '.join(_TYPES)}"
            raise entry.bad(f"{key}:", f"unknown field {key!r}", mend)
        wanted, described = _TYPES[key]
        if type(value) is not wanted:
            raise entry.bad(f"{key}:", f"{key!r} is not {described}", f"write {described}")
        if value not in _CHOICES.get(key, (value,)):
            mend = f"use {', '.join(_CHOICES[key])}"
            raise entry.bad(f"{key}:", f"unknown {key} {value!r}", mend)
    for key in _TYPES:
        if key not in content and key not in _OPTIONAL:
            raise entry.bad("", f"the template has no {key!r}", f"add {key!r}")
    for name, kind in content["variables"].items():
        if kind not in KINDS:
            mend = f"use {', '.join(KINDS)}"
            raise entry.bad(f"{name}:", f"unknown kind {kind!r} of variable {name!r}", mend)
