"""Write the generated pages of docs/reference from the code itself. Stale pages fail the build.

Each page is a function without arguments that returns its text, so that a test can compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from duewise.channels.provider import Provider, find_provider, provider_names
from duewise.channels.table import table
from duewise.cli import program  # noqa: F401 — registers every command
from duewise.cli.common import app
from duewise.config import AccountSection, Config
from duewise.guard.profile import load_rulebook, profile_names
from duewise.guard.rule import Rule
from duewise.guard.words import asked_of, asks, in_force
from duewise.jobs.explain import load_words
from duewise.risk.features import feature_table

Parameter: TypeAlias = TyperArgument | TyperOption
Command: TypeAlias = TyperCommand | TyperGroup
REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by `make docs`. Change the code, not this page. -->\n"

# What the codes of `jobs/words.yaml` are about; rules have a page of their own.
KINDS: Mapping[str, str] = {
    "reason": "Why a notice was not proposed, or was stopped",
    "decision": "Decisions of a plan",
    "outcome": "Verdicts of the guard",
    "gate": "Gates",
    "state": "States of an envelope",
    "receipt": "Receipts",
    "intent": "What a reply says",
    "action": "What becomes of a reply",
    "promise": "States of a promise",
    "promise_reason": "Why a promise stands so",
}


def commands(command: Command, name: str) -> Iterator[tuple[str, Command]]:
    """Every command and group below it with its full name, depth first."""
    yield name, command
    if isinstance(command, TyperGroup):
        for child in command.commands.values():
            if isinstance(child, Command) and not child.hidden:
                yield from commands(child, f"{name} {child.name}")


def cli_page() -> str:
    """Each command with its arguments and options."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup), "the command line has subcommands"
    sections = [_command_section(name, command) for name, command in commands(root, "duewise")]
    return _page("Commands", _CLI_INTRO, *sections)


_SHELL = ("install_completion", "show_completion")
_CLI_INTRO = """\
Exit status: 0 done, 1 failed (nothing is lost; try again), 2 the input is wrong (with file, line
and mend). `--json` prints results for machines on standard output; progress goes to standard error.
"""


def _command_section(name: str, command: Command) -> str:
    pieces = command.collect_usage_pieces(typer.Context(command))
    usage = " ".join([name, *(piece.strip("{}").upper() for piece in pieces)])
    rows = [
        (_names(part), _help(part))
        for part in command.params
        if isinstance(part, Parameter) and not part.hidden and part.name not in _SHELL
    ]
    # What follows a form feed is not for the reader.
    said = (command.help or "").partition("\f")[0].strip()
    body = f"## {name}\n\n{said}\n\n```\n{usage}\n```\n"
    return body + (f"\n{_table(('', ''), rows)}" if rows else "")


def _names(part: Parameter) -> str:
    if isinstance(part, TyperArgument):
        return f"`{part.metavar or str(part.name).upper()}`"
    return ", ".join(f"`{name}`" for name in (*part.opts, *part.secondary_opts))


def _help(part: Parameter) -> str:
    text = part.help or ""
    default = part.default if isinstance(part.default, str | int) else None
    shown = default is not None and not isinstance(default, bool) and default != ""
    if isinstance(part, TyperOption) and part.required:
        return f"{text} Required."
    return text + (f" (default `{default}`)" if shown else "")


def settings_page() -> str:
    """Each setting, its variable and its default, by section of the file."""
    top, sections = [], []
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections.append(_settings_section(name, field.annotation))
        else:
            top.append(_setting_row(name, field))
    sections.append(_settings_section("accounts.NAME", AccountSection))
    return _page("Settings", _SETTINGS_INTRO, _table(_SETTINGS_HEAD, top), *sections)


_SETTINGS_HEAD = ("setting", "variable", "default", "")
_SETTINGS_INTRO = """\
A setting is read from the environment, else from `duewise.toml` in the workspace, else it has the
default given here. An unknown key is refused.
"""


def _settings_section(name: str, section: type[BaseModel]) -> str:
    rows = [_setting_row(key, field, name) for key, field in section.model_fields.items()]
    said = (section.__doc__ or "").strip()
    return f"## {name}\n\n{said}\n\n" + _table(_SETTINGS_HEAD, rows)


def _setting_row(key: str, field: FieldInfo, section: str = "") -> tuple[str, str, str, str]:
    variable = "__".join(filter(None, (*section.split("."), key))).upper()
    default = field.get_default(call_default_factory=True, validated_data={})
    shown = "" if default in (None, {}, ()) else f"`{default}`"
    return f"`{key}`", f"`DUEWISE_{variable}`", shown, field.description or ""


def reasons_page() -> str:
    """Each code a person may see, in both languages."""
    english, chinese = load_words("en"), load_words("zh")
    sections = [
        f"## {title}\n\n"
        + _table(
            ("code", "means", "含义"),
            (
                (
                    f'<a id="{code}"></a>`{code}`' if kind == "reason" else f"`{code}`",
                    said,
                    chinese[kind][code],
                )
                for code, said in english[kind].items()
                if code not in english["rule"]
            ),
        )
        for kind, title in KINDS.items()
    ]
    return _page("Reasons and states", _REASONS_INTRO, *sections)


_REASONS_INTRO = """\
The words that stand in the journal, in an explanation, in the console and in the API. A guard
rule's id is a reason too: see [rules](rules.md).
"""


def rules_page() -> str:
    """Each rule of each profile that ships."""
    english, chinese = load_words("en")["rule"], load_words("zh")["rule"]
    sections = []
    for profile in profile_names():
        rows = (
            (
                f'<a id="{rule.id.lower()}"></a>`{rule.id}`',
                *_rule_cells(rule),
                "<br/>".join(filter(None, (english.get(rule.id), chinese.get(rule.id)))),
            )
            for rule in load_rulebook([profile]).rules
        )
        head = (
            "rule",
            "asked of",
            "asks",
            "if broken",
            "basis",
            "sure",
            "source",
            "in force",
            "means",
        )
        sections.append(f"## {profile}\n\n" + _table(head, rows))
    return _page("Rules", _RULES_INTRO, *sections)


_RULES_INTRO = """\
What a message is asked, by profile, in the order it is asked. `basis` says what stands behind a
rule (`policy` is our cautious default: no known law demands it), `sure` how well the source is
known (H from the primary text, M from several secondary ones, L from one). Source keys are those of
the profile. Not legal advice; see [compliance](../explanation/compliance.md).
"""


def _rule_cells(rule: Rule) -> tuple[str, ...]:
    effect = rule.effect.word if rule.effect is not None else "timer"
    sources = " ".join(rule.src)
    return asked_of(rule), f"`{asks(rule)}`", effect, rule.basis, rule.conf, sources, in_force(rule)


def features_page() -> str:
    """Each feature, by theme, with its unit, its sign and its reason."""
    head = ("feature", "means", "unit", "risk", "reason", "原因")
    signs = {1: "rises", -1: "falls", 0: ""}
    by_theme: dict[str, list[tuple[str, ...]]] = {}
    for each in feature_table():
        said = (f"`{each.name}`", each.meaning, each.unit, signs[each.sign])
        by_theme.setdefault(each.theme, []).append((*said, each.reason["en"], each.reason["zh"]))
    sections = [f"## {theme}\n\n{_table(head, rows)}" for theme, rows in by_theme.items()]
    return _page("Features", _FEATURES_INTRO, *sections)


_FEATURES_INTRO = """\
What is known of each open loan on the morning of a day, from the book alone: of the borrower over
all loans, and of the loan itself (theme `loan`). Empty means that there is nothing to tell yet. A
payment counts from its own instant, a reversal and an extension from theirs; what came later
changes nothing. `risk` says in which direction risk is held to go when the number rises: a model
may be bound to it. Days late are negative for what came early. Columns of the book's table
`features` come beside these (the latest row of the day or before) under their own names, or as
`given_<name>` where a name is taken.
"""


def channels_page() -> str:
    """Each provider: what it can do, its settings, and what its codes ask of us."""
    sections = [_provider_section(find_provider(name)) for name in provider_names()]
    return _page("Channels", _CHANNELS_INTRO, *sections)


_CHANNELS_INTRO = """\
The providers of this installation. An account is a table `[accounts.NAME]` of `duewise.toml`:
`provider`, the [common settings](settings.md#accountsname), and the provider's own, listed here.
`carrier` names the account that texts leave by, `[routes]` those of push, WeChat and email. A
secret never stands in that file: it lies in `secrets/NAME.SETTING` (mode 0600), or in
`DUEWISE_ACCOUNTS__NAME__SETTING`.

What a code asks: `retry`, the same account later; `re-route`, this account cannot, another may (it
is tried again later, and five of these in a row pause the route until it is resumed);
`dead_address`, the address receives nothing and is not written to again until it changes; `stop`,
nobody will take it as it is; `unknown`, it may have gone out, so that it is not sent again. A code
nobody listed is tried again. Carriers (SMPP, CMPP) have [settings](settings.md) of their own.
[How to add a provider](../howto/add-a-channel.md).
"""


def _provider_section(provider: Provider) -> str:
    module = import_module(provider.module)
    known = table(provider.module)
    said = (module.__doc__ or "").strip()
    settings = _table(("setting", "default", ""), map(_own_setting, _own(provider)))
    can = ", ".join(f"{name}: {_yaml_word(value)}" for name, value in known["can"].items())
    by_ask: dict[str, list[str]] = {}
    for code, ask in known["codes"].items():
        by_ask.setdefault(ask, []).append(f"`{code}`")
    codes = _table(("asks", "codes"), ((f"`{ask}`", ", ".join(of)) for ask, of in by_ask.items()))
    return f"## {provider.name}\n\n{said}\n\n{settings}\nCan: {can}.\n\n{codes}"


def _own(provider: Provider) -> list[Field[Any]]:
    """Its settings but for the name, which is the table's."""
    return [field for field in fields(provider.settings) if field.name != "name"]


def _yaml_word(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _own_setting(field: Field[Any]) -> tuple[str, str, str]:
    is_required = field.default is MISSING and field.default_factory is MISSING
    default = "" if is_required or field.default in (None, MISSING) else f"`{field.default}`"
    said = " ".join(filter(None, ("required" * is_required, "secret" * (not field.repr))))
    return f"`{field.name}`", default, said


def _page(title: str, intro: str, *sections: str) -> str:
    return "\n".join((NOTE, f"# {title}\n", intro, *sections))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, ("---",) * len(head), *rows]
    lines = ("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in cells)
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: Mapping[str, Callable[[], str]] = {
    "channels.md": channels_page,
    "cli.md": cli_page,
    "features.md": features_page,
    "reasons.md": reasons_page,
    "rules.md": rules_page,
    "settings.md": settings_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
