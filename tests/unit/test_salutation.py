"""How a borrower is greeted: by a masked name, of any script, that fits into every notice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duewise.message.filters import NAME_CHARS_MAX
from duewise.message.salutation import salutation

GREETED = [
    ("李雷", "李*"),
    ("王 芳", "王*"),
    ("欧阳娜娜", "欧阳*"),
    ("东方", "东*"),
    ("阿布都热依木·阿布都外力", "阿布都热依木*"),
    ("Mr Wang Fang", "Wang F*"),
    ("Zhao", "Z*"),
    ("Dr.", None),
    ("", None),
]


@pytest.mark.parametrize(("name", "greeted"), GREETED)
def test_it_greets_by_a_masked_name(name: str, greeted: str | None) -> None:
    assert salutation(name) == greeted


@given(st.text(st.sampled_from("李王·ab \u3000Z"), max_size=60))
def test_it_is_always_short_and_masked(name: str) -> None:
    greeted = salutation(name)
    if greeted is not None:
        assert len(greeted) <= NAME_CHARS_MAX
        assert greeted[:-1].strip()
        assert greeted.endswith("*")
