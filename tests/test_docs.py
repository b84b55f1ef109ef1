"""What the documents promise: nothing stale, nothing missing, no link into the void."""

import re
from importlib import metadata, resources
from pathlib import Path

import pytest
import typer
from tools.reference import PAGES, REFERENCE, commands, settings_page
from typer.core import TyperGroup

from duewise.channels.gateway import control
from duewise.cli import program  # noqa: F401 — registers every command
from duewise.cli.common import app
from duewise.guard.profile import load_rulebook
from duewise.jobs.explain import load_words
from duewise.message.reply import ACTIONS
from duewise.outbox.envelope import State
from duewise.strategy import conditions, decide, plan

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES_FOR_PEOPLE = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
KINDS_OF_PAGE = ("tutorial.md", "howto", "reference", "explanation", "adr")
ADR_LINES_MAX = 60


def headings(page: Path) -> set[str]:
    """The anchors of a page: its headings as the hosting platforms write them, and its own."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)
    return {*plain, *re.findall(r'<a id="([^"]+)">', text)}


def code_blocks(page: Path) -> list[str]:
    return re.findall(
        r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("name", PAGES)
def test_it_keeps_the_generated_page_current(name: str) -> None:
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), f"docs/reference/{name} is stale: run `make docs`"


@pytest.mark.parametrize("page", PAGES_FOR_PEOPLE, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_links_only_to_what_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert not broken


def test_it_shows_only_commands_that_exist() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    known = {name.removeprefix("duewise").strip() for name, _ in commands(root, "duewise")}
    option = r"(?: +--(?:workspace|clock) +\S+| +--json)*"
    shown = {
        call
        for page in PAGES_FOR_PEOPLE
        for block in code_blocks(page)
        for call in re.findall(
            rf"^(?:\.venv/bin/)?duewise{option} +([a-z]+(?: [a-z]+)?)", block, re.MULTILINE
        )
    }
    assert shown, "the documents show the command line"
    assert not {call for call in shown if call not in known and call.split()[0] not in known}


def test_it_says_the_same_in_both_readmes() -> None:
    english, chinese = (
        [re.sub(r"\s*#.*", "", block) for block in code_blocks(ROOT / name)]
        for name in ("README.md", "README.zh-CN.md")
    )
    assert english == chinese


def test_it_has_words_in_both_languages_for_every_code() -> None:
    codes = {
        "state": {state.value for state in State},
        "decision": {decision.value for decision in decide.Decision},
        "reason": {reason.value for reason in decide.Reason} | reasons_in_sql(),
        "intent": set(ACTIONS),
        "rule": {rule.id for rule in load_rulebook(["CN", "HOUSE"]).rules},
    }
    silent = [
        f"{language} {kind} {code}"
        for language in ("en", "zh")
        for kind, wanted in codes.items()
        for code in sorted(wanted - load_words(language)[kind].keys())
    ]
    assert not silent


def reasons_in_sql() -> set[str]:
    """The reasons that the named statements write into an envelope."""
    folder = resources.files("duewise.store.sql")
    texts = [entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return {
        code
        for text in texts
        for said in re.findall(r"\breason = (.+?)(?:,\n|, \w+ =|\n *WHERE)", text, re.DOTALL)
        for code in re.findall(r"'([a-z_]+)(?:: )?'", said)
        if code not in {state.value for state in State}
    }


@pytest.mark.parametrize("word", [*conditions.COLUMNS, *plan.STAGES, *plan.CHANNELS])
def test_it_documents_what_a_strategy_may_say(word: str) -> None:
    assert f"`{word}`" in (REFERENCE / "strategy.md").read_text(encoding="utf-8")


def test_it_says_what_every_setting_is_for() -> None:
    rows = re.findall(r"^\| `\w+` \| `DUEWISE_.*$", settings_page(), re.MULTILINE)
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]


def test_it_documents_what_the_gateway_can_be_told() -> None:
    told = set(re.findall(r'"do": "(\w+)"', control.__doc__ or ""))
    assert told
    page = (REFERENCE / "gateway.md").read_text(encoding="utf-8")
    assert not {request for request in told if f'"do": "{request}"' not in page}


def test_it_has_documents_of_each_kind() -> None:
    assert [name for name in KINDS_OF_PAGE if not (DOCS / name).exists()] == []


@pytest.mark.parametrize("page", sorted(DOCS.glob("adr/0*.md")), ids=lambda page: page.stem)
def test_it_keeps_a_decision_to_one_screen_and_in_the_index(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert text.count("\n") <= ADR_LINES_MAX
    assert f"]({page.name})" in (DOCS / "adr" / "README.md").read_text(encoding="utf-8")


def test_it_tells_the_post_loan_team_about_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(
        rf"^## {re.escape(metadata.version('duewise'))}\b(.*?)(?=^## |\Z)",
        text,
        re.MULTILINE | re.DOTALL,
    )
    assert section
    assert "### Compliance" in section[1]
