"""Which texts are approved, by the record and by the file: the record alone of what was ever on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.lender import NOW

from duewise.message.approval import Approval, by_record
from duewise.message.template import load_templates

TEXT = load_templates()["zh.early.gentle"]
OTHER = replace(TEXT, text=f"{TEXT.text}!")


def said(what: str, template: str = TEXT.name, content_hash: str = TEXT.content_hash) -> Approval:
    return Approval(template, content_hash, what, TEXT.author, "Wang", NOW, "")


@pytest.mark.parametrize(
    ("words", "is_approved"),
    [
        ([], True),  # as the file signs it
        ([said("approved", "zh.early.neutral")], True),
        ([said("approved")], True),
        ([said("withdrawn")], False),
        ([said("approved", content_hash=OTHER.content_hash)], False),  # the file was changed back
        ([said("withdrawn", content_hash=OTHER.content_hash)], False),
    ],
)
def test_it_takes_the_files_word_only_where_there_is_no_record(
    words: list[Approval], *, is_approved: bool
) -> None:
    assert by_record({TEXT.name: TEXT}, words)[TEXT.name].is_approved == is_approved


def test_it_approves_nothing_of_the_authors_own() -> None:
    own = replace(TEXT, author="Wang")
    assert not by_record({own.name: own}, [said("approved")])[own.name].is_approved
