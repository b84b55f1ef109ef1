"""The Chinese of the console: nothing of ours is left in English, and the compiled file is fresh."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from django.utils.translation import gettext as translate
from django.utils.translation import override
from django.utils.translation.template import templatize

import duewise
from duewise.jobs.explain import load_words
from duewise.outbox.envelope import State

ROOT = Path(duewise.__file__).parent
CATALOGUE = ROOT / "web" / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
CALLS: dict[str, None] = {"_": None, "gettext": None, "gettext_lazy": None}
CALL_IN_TEMPLATE = re.compile(
    r"\b(_|n?gettext)\(u?(?P<quote>['\"])(?P<said>.+?)(?P=quote)", re.DOTALL
)


def strings() -> Iterator[str]:
    for path in sorted([*(ROOT / "web").rglob("*.py"), ROOT / "store" / "models.py"]):
        for _line, _call, said, _notes in extract_python(
            io.BytesIO(path.read_bytes()), CALLS, [], {}
        ):
            yield str(said)
    for path in sorted((ROOT / "web").rglob("*.html")):
        code = templatize(path.read_text(), origin=path.name)
        yield from (found["said"] for found in CALL_IN_TEMPLATE.finditer(code))


def catalogue() -> Catalog:
    return read_po(io.BytesIO(CATALOGUE.read_bytes()), locale="zh_Hans")


def test_it_says_everything_of_ours_in_chinese() -> None:
    with override("zh-hans"):
        english = sorted({said for said in strings() if translate(said) == said})
    assert english == []


def test_it_keeps_the_variables_of_a_string() -> None:
    variable = re.compile(r"%\(\w+\)s|\{\w*\}")
    changed = [
        message.id
        for message in catalogue()
        if message.id and isinstance(message.id, str)
        and sorted(variable.findall(message.id)) != sorted(variable.findall(str(message.string)))
    ]  # fmt: skip
    assert changed == []


def test_it_is_compiled() -> None:
    fresh = io.BytesIO()
    write_mo(fresh, catalogue())
    written = read_mo(io.BytesIO(CATALOGUE.with_suffix(".mo").read_bytes()))
    expected = read_mo(io.BytesIO(fresh.getvalue()))
    assert {m.id: m.string for m in written} == {m.id: m.string for m in expected}, (
        "run `pybabel compile -d src/duewise/web/locale -D django`"
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_has_a_name_and_a_meaning_for_every_state(language: str) -> None:
    words = load_words(language)
    for kind in ("state", "state_name"):
        assert words[kind].keys() == {state.value for state in State}
