"""A lender's rows on their way into partitions: streamed, checked row by row, set aside on disk.

Rows go to disk three times, by borrower, by loan and by partition, so that duplicates and orphans
are found within one shard, and memory is bounded by a chunk or a shard whatever the files' size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from duewise.book.checks import mark_duplicates, mark_orphans, mark_reversals, reject
from duewise.book.intake import LEFT_OUT, PLACE, VERDICT, raw_columns, read_rows, shaped
from duewise.book.mapping import Mapping, TableMapping
from duewise.book.schema import PERSONAL, SCHEMAS, TABLES
from duewise.frames import conform
from duewise.ids import stable_hash
from duewise.store.book_control import Control, Groups
from duewise.store.book_parts import write_part, write_spans
from duewise.store.book_source import SourceFile, chunks
from duewise.store.book_spill import Spill
from duewise.store.book_tally import Account, amounts

BY_LOAN = ("instalments", "payments", "pauses", "extensions")
NO_LOAN, NO_BORROWER = "no such loan, or it was rejected", "no such borrower"
NO_SCHEDULE = "the loan has no instalment"


@dataclass
class Build:
    """One import under way: where it works, what it reads, and what is set aside so far."""

    folder: Path
    mapping: Mapping
    files: dict[str, list[SourceFile]]
    partitions: int
    account: Account
    progress: Callable[[int], None]
    spills: dict[str, Spill] = field(default_factory=dict)

    def spill(self, name: str, *, by: str) -> Spill:
        """A new place to set rows aside, called `name`."""
        self.spills[name] = Spill(self.folder, name, shards=self.partitions, by=by)
        return self.spills[name]

    def rows(self, name: str, shard: int) -> pl.DataFrame | None:
        """What was set aside there; None if nothing ever was."""
        return self.spills[name].read(shard) if name in self.spills else None


def build_tables(build: Build, into: Path) -> dict[str, Control]:
    """Read, check and write every table; what the written files hold. Raises BadInput."""
    build.spill("left_out", by="loan_id")
    build.spill("payment_ids", by="payment_id")
    for name in build.mapping.tables:
        _take_in(build, name)
    build.spills["left_out"].close()
    build.spills["payment_ids"].close()
    for name in (*TABLES, "checked_loans"):
        by = "loan_id" if name == "checked_loans" else "borrower_id"
        build.spill(name if name == "checked_loans" else f"part_{name}", by=by)
    for shard in range(build.partitions):
        _check_borrowers(build, shard)
    build.spills["checked_loans"].close()
    doubled = _doubled_payments(build)
    for shard in range(build.partitions):
        _check_loans(build, shard, doubled)
    for name in TABLES:
        build.spills[f"part_{name}"].close()
    return _write_parts(build, into)


def _take_in(build: Build, name: str) -> None:
    """Set a table's good rows aside, by the borrower or the loan that they belong to."""
    table, account, mapping = build.mapping.tables[name], build.account, build.mapping
    spill = build.spill(name, by="loan_id" if name in BY_LOAN else "borrower_id")
    groups = Groups(build.folder, f"groups-{name}", table, shards=build.partitions)
    waiting = 0
    for file in build.files[name]:
        for chunk in chunks(file, progress=build.progress):
            account.read(name, chunk)
            typed = read_rows(chunk.rows, table, mapping=mapping)
            if name == "loans":
                _note_left_out(build, table, typed)
            good = account.settle(name, typed, is_shaped=False)
            waiting += good.height if table.group_by else 0
            for group in groups.add(good):
                _set_aside(build, table, group, spill)
    for group in groups.rest():
        waiting -= _set_aside(build, table, group, spill)
    account.tallies[name].rows_merged += waiting
    spill.close()


def _set_aside(build: Build, table: TableMapping, typed: pl.DataFrame, spill: Spill) -> int:
    """Shape the rows, settle them and set them aside; how many there were before settling."""
    raw = raw_columns(typed, table, mapping=build.mapping)
    rows = shaped(raw, table, mapping=build.mapping)
    build.account.tallies[table.name].read.update(amounts(table.name, rows))
    good = build.account.settle(table.name, rows.drop(PERSONAL, strict=False))
    spill.append(good)
    if table.name == "payments":
        build.spills["payment_ids"].append(good.select(*PLACE, "payment_id"))
    return rows.height


def _note_left_out(build: Build, table: TableMapping, typed: pl.DataFrame) -> None:
    """Remember which loans are left out, so that their rows elsewhere are no orphans."""
    left_out = typed.filter(pl.col(LEFT_OUT).is_not_null())
    if not table.group_by:
        ids = raw_columns(left_out, table, mapping=build.mapping, only=["loan_id"])
        build.spills["left_out"].append(
            ids.select(pl.col("loan_id").cast(pl.String)).with_columns(left_out[LEFT_OUT])
        )


def _check_borrowers(build: Build, shard: int) -> None:
    """Borrowers once each; loans and features of borrowers that exist."""
    loans = build.rows("loans", shard)
    borrowers = build.rows("borrowers", shard)
    if borrowers is not None:
        borrowers = build.account.settle("borrowers", mark_duplicates(borrowers, ["borrower_id"]))
        borrowers = _hashed(borrowers)
        _to_partitions(build, "borrowers", borrowers)
        if loans is not None:
            loans = _of_known(build, "loans", loans, borrowers)
    if loans is None:
        return
    loans = _hashed(loans)
    build.spills["checked_loans"].append(loans)
    features = build.rows("features", shard)
    if features is not None:
        features = build.account.settle(
            "features", mark_duplicates(features, TABLES["features"].key)
        )
        known = loans if borrowers is None else borrowers
        features = _of_known(build, "features", features, known)
        _to_partitions(build, "features", _hashed(features))


def _of_known(build: Build, name: str, rows: pl.DataFrame, borrowers: pl.DataFrame) -> pl.DataFrame:
    nobody = pl.DataFrame(schema={"borrower_id": pl.String, LEFT_OUT: pl.String})
    marked = mark_orphans(
        rows, "borrower_id", borrowers["borrower_id"], left_out=nobody, reason=NO_BORROWER
    )
    return build.account.settle(name, marked)


def _doubled_payments(build: Build) -> pl.DataFrame:
    """The places of payments whose id an earlier row has; ids may repeat across loans."""
    doubled = [pl.DataFrame(schema={"_file": pl.Int32, "_line": pl.Int64})]
    for shard in range(build.partitions):
        ids = build.rows("payment_ids", shard)
        if ids is not None:
            again = ids.sort(PLACE).filter(~pl.col("payment_id").is_first_distinct())
            doubled.append(again.select(PLACE))
    return pl.concat(doubled)


def _check_loans(build: Build, shard: int, doubled: pl.DataFrame) -> None:
    """Loans once each and with a schedule; instalments, payments and pauses of loans that exist."""
    loans = build.rows("checked_loans", shard)
    if loans is None:
        return
    loans = build.account.settle("loans", mark_duplicates(loans, ["loan_id"]))
    found = _check_rows(build, "instalments", shard, loans)
    has_none = pl.lit(value=True)
    if found is not None:
        has_none = ~pl.col("loan_id").is_in(found["loan_id"].unique().implode())
        _to_partitions(build, "instalments", _with_borrower(found, loans))
    loans = build.account.settle("loans", reject(loans, has_none, "loan_id", NO_SCHEDULE))
    _to_partitions(build, "loans", loans)
    for name in ("payments", "pauses", "extensions"):
        found = _check_rows(build, name, shard, loans, doubled)
        if found is not None:
            _to_partitions(build, name, _with_borrower(found, loans))


def _check_rows(
    build: Build,
    name: str,
    shard: int,
    loans: pl.DataFrame,
    doubled: pl.DataFrame | None = None,
) -> pl.DataFrame | None:
    """The rows of a table whose loan exists, once each."""
    rows = build.rows(name, shard)
    if rows is None:
        return None
    left_out = build.rows("left_out", shard)
    if left_out is None:
        left_out = pl.DataFrame(schema={"loan_id": pl.String, LEFT_OUT: pl.String})
    left_out = left_out.unique("loan_id", keep="first", maintain_order=True)
    left_out = left_out.join(loans, on="loan_id", how="anti")
    rows = mark_orphans(rows, "loan_id", loans["loan_id"], left_out=left_out, reason=NO_LOAN)
    rows = build.account.settle(name, rows)
    if name == "payments" and doubled is not None:
        again = rows.join(doubled.with_columns(again=True), on=PLACE, how="left")
        rows = reject(again, pl.col("again").is_not_null(), "payment_id", "duplicate payment_id")
        rows = mark_reversals(build.account.settle(name, rows.drop("again")).sort(PLACE))
    else:
        rows = mark_duplicates(rows, TABLES[name].key)
    return build.account.settle(name, rows)


def _hashed(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their borrower's stable hash, taken once a borrower."""
    ids = rows["borrower_id"].unique()
    hashes = pl.Series("borrower_hash", [stable_hash(each) for each in ids], pl.Int64)
    table = pl.DataFrame({"borrower_id": ids}).with_columns(hashes)
    return rows.join(table, on="borrower_id", how="left", maintain_order="left")


def _with_borrower(rows: pl.DataFrame, loans: pl.DataFrame) -> pl.DataFrame:
    whose = loans.select("loan_id", "borrower_id", "borrower_hash")
    return rows.join(whose, on="loan_id", how="inner", maintain_order="left")


def _to_partitions(build: Build, name: str, rows: pl.DataFrame) -> None:
    number = pl.col("borrower_hash") % build.partitions
    build.spills[f"part_{name}"].append_to(number, rows.drop(VERDICT))


def _write_parts(build: Build, into: Path) -> dict[str, Control]:
    """Write each table's partitions in their order; what the files then hold."""
    written = {name: Control() for name in TABLES}
    names = [name for name in TABLES if name != "features" or name in build.mapping.tables]
    for number in range(build.partitions):
        back: dict[str, pl.DataFrame] = {}
        for name in names:
            rows = build.rows(f"part_{name}", number)
            if name == "borrowers" and name not in build.mapping.tables:
                rows = _borrowers_of(build, number)
            frame = _stored(name, rows)
            back[name] = pl.read_parquet(write_part(into, name, number, frame))
            written[name].rows += back[name].height
            written[name].amounts.update(amounts(name, back[name]))
        write_spans(into, number, back)
    return written


def _borrowers_of(build: Build, number: int) -> pl.DataFrame | None:
    """The borrowers that the loans name, where no file of borrowers is given."""
    loans = build.rows("part_loans", number)
    if loans is None:
        return None
    return (
        loans.select("borrower_id", "borrower_hash")
        .unique()
        .with_columns(
            pl.lit(build.mapping.locale).alias("locale"),
            pl.lit(build.mapping.timezone).alias("timezone"),
        )
    )


def _stored(name: str, rows: pl.DataFrame | None) -> pl.DataFrame:
    if rows is None:
        return pl.DataFrame(schema=dict(SCHEMAS[name]))
    if TABLES[name].has_more_columns:
        return rows.drop("borrower_hash").sort(TABLES[name].order)
    return conform(rows, SCHEMAS[name], name=name).sort(TABLES[name].order)
