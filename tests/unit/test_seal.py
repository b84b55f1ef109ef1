"""Sealing: what goes in comes out, only where it belongs, only with its key."""

import hashlib
import hmac
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duewise.errors import BadInput
from duewise.store.seal import CannotUnseal, Keyring, parse_keyring

A_KEY = '"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="'  # 32 bytes
PHONE = "+8613800138000"


def counting() -> Callable[[int], bytes]:
    numbers = count(1)
    return lambda size: b"".join(next(numbers).to_bytes(4, "big") for _ in range(size // 4))


def keyring_of(*keys: bytes) -> Keyring:
    return Keyring(dict(enumerate(keys, start=1)), b"i" * 32, counting())


KEYRING = keyring_of(b"k" * 32)


@given(text=st.text(), column=st.text(max_size=9), borrower_id=st.text(max_size=9))
def test_it_opens_to_what_was_sealed(text: str, column: str, borrower_id: str) -> None:
    sealed = KEYRING.seal(text, column=column, borrower_id=borrower_id)
    assert KEYRING.unseal(sealed, column=column, borrower_id=borrower_id) == text


@given(texts=st.lists(st.none() | st.text()))
def test_it_seals_a_column_as_its_values(texts: list[str | None]) -> None:
    borrower_ids = [f"B{row}" for row in range(len(texts))]
    sealed = KEYRING.seal_column(texts, column="name", borrower_ids=borrower_ids)
    assert KEYRING.unseal_column(sealed, column="name", borrower_ids=borrower_ids) == texts
    for value, text, borrower_id in zip(sealed, texts, borrower_ids, strict=True):
        if value is not None:
            assert KEYRING.unseal(value, column="name", borrower_id=borrower_id) == text


def test_it_never_seals_alike() -> None:
    sealed = KEYRING.seal_column(["Li"] * 100, column="name", borrower_ids=["Li"] * 100)
    assert len(set(sealed)) == 100


@pytest.mark.parametrize(
    ("column", "borrower_id"), [("phone", "Wang"), ("name", "Li"), ("phone", "li"), ("phoneLi", "")]
)
def test_it_opens_only_where_it_was_sealed(column: str, borrower_id: str) -> None:
    sealed = KEYRING.seal(PHONE, column="phone", borrower_id="Li")
    with pytest.raises(CannotUnseal):
        KEYRING.unseal(sealed, column=column, borrower_id=borrower_id)


def test_it_does_not_open_when_any_byte_was_changed_or_cut() -> None:
    sealed = KEYRING.seal(PHONE, column="phone", borrower_id="Li")
    changed = [
        sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))
    ]
    cut = [sealed[:end] for end in range(len(sealed))]
    for broken in changed + cut:
        with pytest.raises(CannotUnseal):
            KEYRING.unseal(broken, column="phone", borrower_id="Li")


def test_it_seals_with_the_newest_key_and_opens_with_the_older() -> None:
    old, new = keyring_of(b"k" * 32), keyring_of(b"k" * 32, b"n" * 32)
    before = old.seal("Li", column="name", borrower_id="Li")
    after = new.seal("Li", column="name", borrower_id="Li")
    assert (before[0], after[0]) == (1, 2)
    assert new.unseal(before, column="name", borrower_id="Li") == "Li"
    with pytest.raises(CannotUnseal):
        old.unseal(after, column="name", borrower_id="Li")


@given(numbers=st.lists(st.text()))
def test_it_finds_a_number_by_its_keyed_hash(numbers: list[str]) -> None:
    expected = [
        hmac.new(b"i" * 32, number.encode(), hashlib.sha256).hexdigest()[:32] for number in numbers
    ]
    assert KEYRING.number_tokens(numbers) == expected
    assert [KEYRING.number_token(number) for number in numbers] == expected


def test_it_never_shows_a_key() -> None:
    assert repr(KEYRING) == str(KEYRING) == "Keyring(keys=[1])"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"index": %s, "keys": {}}',
        '{"index": %s, "keys": {"0": %s}}',
        '{"index": %s, "keys": {"256": %s}}',
        '{"index": %s, "keys": {"one": %s}}',
        '{"index": %s, "keys": {"1": "c2hvcnQ="}}',
        '{"index": 7, "keys": {"1": %s}}',
    ],
)
def test_it_refuses_what_are_no_keys_and_shows_none_of_it(text: str) -> None:
    with pytest.raises(BadInput, match=r"keys\.json: these are no keys") as told:
        parse_keyring(text.replace("%s", A_KEY), source="keys.json", random_bytes=counting())
    assert A_KEY.strip('"') not in str(told.value)
