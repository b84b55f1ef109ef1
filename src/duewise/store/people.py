"""The people behind the borrowers: the one place where personal values go in and come out.

They are sealed on the way in and never logged; a number is looked up by its token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from psycopg import Connection, Cursor, sql

from duewise.errors import Reject
from duewise.frames import Schema, conform
from duewise.message.salutation import salutation
from duewise.store.phone import normalise_phone, normalise_phones
from duewise.store.seal import Keyring

SEALED = ("name", "salutation", "phone", "email", "push_token", "wechat_openid", "birth_date")
# Neither name nor number: the guard asks for them.
_PLAIN = ("locale", "timezone", "region")
# Addresses beside the number, by the channel that sends there.
_ADDRESSES = {"push": "push_token", "wechat": "wechat_openid", "email": "email"}
ROWS_PER_BLOCK = 100_000
_REQUIRED: Schema = {"borrower_id": pl.String, "locale": pl.String, "timezone": pl.String}


@dataclass(frozen=True)
class PeopleWritten:
    """How many people were written, and the values that could not be."""

    written: int
    rejects: tuple[Reject, ...]


def upsert_people(
    conn: Connection[Any],
    people: pl.DataFrame,
    *,
    keyring: Keyring,
    region: str = "CN",
    source: str = "borrowers",
) -> PeopleWritten:
    """Write people, or what is new about them, in one transaction.

    `people`: borrower_id, locale, timezone, maybe region, any of SEALED (text; birth_date also as
    Date), and `line`, the row's line in `source`; a borrower's last row counts. A column that is
    absent leaves what is stored. A number that cannot be used is a Reject, and its person is kept
    with the number state `invalid`. What was learned about a number (its state, a wrong party)
    holds until the number changes. Raises BadInput.
    """
    conform(people, _REQUIRED, name=source)
    given = [name for name in SEALED if name in people.columns]
    known = [name for name in _PLAIN if name in people.columns]
    rejects: list[Reject] = []
    if "line" not in people.columns:
        people = people.with_row_index("line", offset=1)
    unique = people.unique("borrower_id", keep="last", maintain_order=True)
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE person_in (LIKE person)")
        for block in unique.iter_slices(ROWS_PER_BLOCK):
            sealed, faults = _sealed(block, given, keyring=keyring, region=region, source=source)
            rejects += faults
            columns = sql.SQL(", ").join(map(sql.Identifier, sealed.columns))
            statement = sql.SQL("COPY person_in ({}) FROM STDIN (FORMAT csv)").format(columns)
            with cursor.copy(statement) as copy:
                copy.write(sealed.write_csv(include_header=False))
        cursor.execute(_merge([*known, *given]))
        _revive(cursor, unique, keyring)
        cursor.execute("DROP TABLE person_in")
    return PeopleWritten(unique.height, tuple(rejects))


def salutations(
    conn: Connection[Any], borrower_ids: Sequence[str], keyring: Keyring
) -> pl.DataFrame:
    """How these borrowers are addressed: borrower_id, salutation (null if not known).

    As the lender says; where it does not, by a form of their name. Raises CannotUnseal.
    """
    rows = conn.execute(
        "SELECT borrower_id, salutation_sealed, name_sealed FROM person"
        " WHERE borrower_id = ANY(%s)",
        [list(borrower_ids)],
    ).fetchall()
    ids = [row[0] for row in rows]
    called = keyring.unseal_column([row[1] for row in rows], column="salutation", borrower_ids=ids)
    names = keyring.unseal_column(
        [None if said else row[2] for said, row in zip(called, rows, strict=True)],
        column="name",
        borrower_ids=ids,
    )
    called = [
        said or (salutation(name) if name else None)
        for said, name in zip(called, names, strict=True)
    ]
    schema = {"borrower_id": pl.String, "salutation": pl.String}
    return pl.DataFrame({"borrower_id": ids, "salutation": called}, schema=schema)


def number_token(number: str, keyring: Keyring, *, region: str = "CN") -> str:
    """The token by which a person with this number is found, however the number is written."""
    normal = normalise_phone(number, region=region)
    return keyring.number_token(normal if isinstance(normal, str) else number)


def _revive(cursor: Cursor[Any], people: pl.DataFrame, keyring: Keyring) -> None:
    """Whoever has another address can be reached again; the same one stays dead."""
    given = {kind: name for kind, name in _ADDRESSES.items() if name in people.columns}
    cursor.execute(
        "SELECT borrower_id, channel, token FROM dead_address"
        " JOIN person_in USING (borrower_id) WHERE channel = ANY(%s)",
        [list(given)],
    )
    dead = cursor.fetchall()
    if not dead:
        return
    concerned = people.filter(pl.col("borrower_id").is_in([row[0] for row in dead]))
    now = {
        (row["borrower_id"], kind): keyring.number_token(row[name]) if row[name] else None
        for row in concerned.iter_rows(named=True)
        for kind, name in given.items()
    }
    gone = [(row[0], row[1]) for row in dead if now[row[0], row[1]] != row[2]]
    cursor.executemany("DELETE FROM dead_address WHERE borrower_id = %s AND channel = %s", gone)


def _sealed(
    block: pl.DataFrame, given: Sequence[str], *, keyring: Keyring, region: str, source: str
) -> tuple[pl.DataFrame, list[Reject]]:
    """The block as rows of `person`, ready for COPY, and its unusable numbers."""
    rejects: list[Reject] = []
    plain = [name for name in _PLAIN if name in block.columns]
    out = block.select("borrower_id", *plain).with_columns(
        number_token=pl.lit(None, pl.String),
        number_state=pl.lit("missing"),
        is_wrong_party=pl.lit(value=False),
    )
    for name in given:
        values = block[name].cast(pl.String)
        if name == "phone":
            values, faults = normalise_phones(values, region=region)
            rejects = [
                Reject(source, block["line"][row], "phone", fault.value)
                for row, fault in faults.items()
            ]
            out = out.with_columns(_token_and_state(values, list(faults), keyring))
        sealed = keyring.seal_column(
            values.to_list(), column=name, borrower_ids=block["borrower_id"].to_list()
        )
        hexed = pl.Series(f"{name}_sealed", sealed, pl.Binary).bin.encode("hex")
        out = out.with_columns((r"\x" + hexed).alias(hexed.name))
    return out, rejects


def _token_and_state(
    numbers: pl.Series, faulty: Sequence[int], keyring: Keyring
) -> tuple[pl.Series, pl.Series]:
    known = numbers.is_not_null()
    tokens = pl.repeat(None, numbers.len(), dtype=pl.String, eager=True)
    tokens = tokens.scatter(known.arg_true(), keyring.number_tokens(numbers.drop_nulls().to_list()))
    states = known.replace_strict({True: "valid", False: "missing"}, return_dtype=pl.String)
    states = states.scatter(list(faulty), "invalid")
    return tokens.alias("number_token"), states.alias("number_state")


def _merge(given: Sequence[str]) -> sql.Composed:
    """The statement that brings `person_in` into `person`, setting only what was given."""
    of_number = ["number_token", "number_state", "is_wrong_party"] if "phone" in given else []
    plain = [name if name in _PLAIN else f"{name}_sealed" for name in given]
    if_changed = sql.SQL(
        "{0} = CASE WHEN person.number_token = excluded.number_token"
        " THEN person.{0} ELSE excluded.{0} END"
    )
    changes = [
        *(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in plain),
        *(if_changed.format(sql.Identifier(name)) for name in of_number),
    ]
    return sql.SQL(
        "INSERT INTO person SELECT * FROM person_in ON CONFLICT (borrower_id) DO UPDATE SET {}"
    ).format(sql.SQL(", ").join(changes))
