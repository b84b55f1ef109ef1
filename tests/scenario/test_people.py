"""People in the database: sealed, found by token, and what was learned about a number."""

import os
import threading
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from duewise.errors import BadInput, Reject
from duewise.store.people import number_token, salutations, upsert_people
from duewise.store.seal import CannotUnseal, Keyring, add_key, load_keyring

Connection = psycopg.Connection[tuple[Any, ...]]
LI, WANG = "+8613800138000", "+8613900139000"


def people(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "borrower_id": ["Li", "Wang"],
            "locale": ["zh-CN", "en"],
            "timezone": ["Asia/Shanghai", "Asia/Urumqi"],
            **columns,
        }
    )


FULL = people(
    name=["李雷", "王芳"],
    salutation=["李先生", None],
    phone=["138 0013 8000", "13900139000"],
    email=["li@example.com", ""],
    birth_date=[date(1990, 2, 28), None],
)


def stored(conn: Connection, column: str, borrower_id: str = "Li") -> Any:
    query = f"SELECT {column} FROM person WHERE borrower_id = %s".encode()
    row = conn.execute(query, [borrower_id]).fetchone()
    assert row is not None
    return row[0]


def test_it_keeps_what_it_was_given_under_seal(conn: Connection, keyring: Keyring) -> None:
    result = upsert_people(conn, FULL, keyring=keyring)
    assert (result.written, result.rejects) == (2, ())
    expected = {"name": "李雷", "phone": LI, "email": "li@example.com", "birth_date": "1990-02-28"}
    for column, value in expected.items():
        sealed = stored(conn, f"{column}_sealed")
        assert keyring.unseal(sealed, column=column, borrower_id="Li") == value
        assert value.encode() not in sealed
    assert stored(conn, "birth_date_sealed", "Wang") is None
    empty = stored(conn, "email_sealed", "Wang")
    assert keyring.unseal(empty, column="email", borrower_id="Wang") == ""
    assert (stored(conn, "locale", "Wang"), stored(conn, "timezone", "Wang")) == (
        "en",
        "Asia/Urumqi",
    )


def test_it_lets_nothing_personal_into_an_open_column(conn: Connection, keyring: Keyring) -> None:
    upsert_people(conn, FULL, keyring=keyring)
    rows = conn.execute("SELECT person::text FROM person").fetchall()
    shown = " ".join(row[0] for row in rows)
    for value in ("李", "王", "13800138000", "13900139000", "example.com", "1990"):
        assert value not in shown
        assert value.encode().hex() not in shown


def test_it_finds_a_person_by_the_number_however_written(
    conn: Connection, keyring: Keyring
) -> None:
    upsert_people(conn, FULL, keyring=keyring)
    for written in (LI, "13800138000", "8613800138000", "138-0013-8000"):
        assert number_token(written, keyring) == stored(conn, "number_token")
    assert number_token("no number at all", keyring) != stored(conn, "number_token")


def test_it_tells_how_to_address_people(conn: Connection, keyring: Keyring) -> None:
    upsert_people(conn, FULL, keyring=keyring)
    called = salutations(conn, ["Wang", "Li", "nobody"], keyring).sort("borrower_id")
    assert called.rows() == [("Li", "李先生"), ("Wang", "王*")]
    assert salutations(conn, [], keyring).schema == called.schema


def test_it_changes_only_what_it_is_told_again(conn: Connection, keyring: Keyring) -> None:
    upsert_people(conn, FULL, keyring=keyring)
    phone = stored(conn, "phone_sealed")
    upsert_people(conn, people(name=["李蕾", "王芳"]), keyring=keyring)
    name = keyring.unseal(stored(conn, "name_sealed"), column="name", borrower_id="Li")
    assert name == "李蕾"
    assert stored(conn, "phone_sealed") == phone
    assert stored(conn, "number_state") == "valid"


def test_it_remembers_what_it_learned_about_a_number_until_it_changes(
    conn: Connection, keyring: Keyring
) -> None:
    upsert_people(conn, FULL, keyring=keyring)
    conn.execute("UPDATE person SET is_wrong_party = true, number_state = 'recycled'")
    upsert_people(conn, people(phone=[LI, "13700137000"]), keyring=keyring)
    assert (stored(conn, "number_state"), stored(conn, "is_wrong_party")) == ("recycled", True)
    assert (stored(conn, "number_state", "Wang"), stored(conn, "is_wrong_party", "Wang")) == ("valid", False)  # fmt: skip


def test_it_keeps_the_person_and_rejects_the_number(conn: Connection, keyring: Keyring) -> None:
    given = people(phone=["021-12345678", None], line=[2, 3])
    result = upsert_people(conn, given, keyring=keyring, source="borrowers.csv")
    assert result.rejects == (Reject("borrowers.csv", 2, "phone", "not a mobile number"),)
    assert stored(conn, "phone_sealed") is None
    assert (stored(conn, "number_state"), stored(conn, "number_state", "Wang")) == ("invalid", "missing")  # fmt: skip


def test_it_takes_the_last_row_of_a_borrower(conn: Connection, keyring: Keyring) -> None:
    twice = pl.concat([people(phone=[LI, WANG]), people(phone=[WANG, WANG])])
    assert upsert_people(conn, twice, keyring=keyring).written == 2
    phone = keyring.unseal(stored(conn, "phone_sealed"), column="phone", borrower_id="Li")
    assert phone == WANG


def test_it_writes_all_people_or_none(conn: Connection, keyring: Keyring) -> None:
    with pytest.raises(psycopg.DataError):
        upsert_people(conn, people(name=["李雷", "王芳"], timezone=["\0", ""]), keyring=keyring)
    assert conn.execute("SELECT count(*) FROM person").fetchone() == (0,)


def test_it_names_the_column_that_is_missing(conn: Connection, keyring: Keyring) -> None:
    with pytest.raises(BadInput, match="table 'borrowers' lacks column 'timezone'"):
        upsert_people(conn, FULL.drop("timezone"), keyring=keyring)


def test_it_does_not_open_one_persons_values_in_anothers_row(
    conn: Connection, keyring: Keyring
) -> None:
    upsert_people(conn, FULL, keyring=keyring)
    conn.execute(
        "UPDATE person SET salutation_sealed ="
        " (SELECT salutation_sealed FROM person WHERE borrower_id = 'Li')"
    )
    with pytest.raises(CannotUnseal):
        salutations(conn, ["Wang"], keyring)


def test_it_makes_its_keys_once_and_for_itself_alone(tmp_path: Path) -> None:
    made: list[Keyring] = []
    starters = [
        threading.Thread(
            target=lambda: made.append(load_keyring(tmp_path, random_bytes=os.urandom))
        )
        for _ in range(8)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert {(ring.index_key, *ring.keys.values()) for ring in made} == {
        (made[0].index_key, made[0].keys[1])
    }
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_it_opens_old_values_after_a_rotation(tmp_path: Path) -> None:
    old = load_keyring(tmp_path, random_bytes=os.urandom)
    sealed = old.seal("李雷", column="name", borrower_id="Li")
    new = add_key(tmp_path, random_bytes=os.urandom)
    assert sorted(new.keys) == [1, 2]
    again = load_keyring(tmp_path, random_bytes=os.urandom)
    assert again.unseal(sealed, column="name", borrower_id="Li") == "李雷"
    assert again.number_token(LI) == old.number_token(LI)
    assert again.seal("李雷", column="name", borrower_id="Li")[0] == 2


def test_it_refuses_keys_that_others_may_read(tmp_path: Path) -> None:
    load_keyring(tmp_path, random_bytes=os.urandom)
    (tmp_path / "keys.json").chmod(0o640)
    with pytest.raises(BadInput, match=r"others may read the keys. Mend: chmod 600"):
        load_keyring(tmp_path, random_bytes=os.urandom)
