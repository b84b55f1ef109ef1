"""Commands about who is likely to slip: rows, fit and judge a model, report, monitor, reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.cli.common import (
    opened,
    parse_day,
    print_json,
    print_table,
    progress_bar,
    say,
    say_unread,
    wants_json,
)
from duewise.cli.ledger import ProductsFile
from duewise.cli.risk_told import conclusive, show_card, tell, tell_all, tell_watched
from duewise.errors import BadInput

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from duewise.jobs.risk import Registered, Request
    from duewise.risk.fit import Columns
    from duewise.risk.reasons import Words

risk = typer.Typer(no_args_is_help=True, help="Who is likely to slip, why, and how sure that is.")

FrameFile = Annotated[Path, typer.Argument(metavar="FRAME", help="A Parquet file of features.")]
Target = Annotated[str, typer.Option(help="The column of the outcome, 0 or 1.")]
FitTarget = Annotated[
    str,
    typer.Option(
        help="The column of the outcome, 0 or 1; late_1,late_7,late_30 or `all`: together;"
        " `cured`: when a missed one is paid."
    ),
]
Dictionary = Annotated[
    Path | None, typer.Option(help="A CSV file: name, sign, reason_en, reason_zh.")
]
FirstDay = Annotated[str | None, typer.Option("--as-of-from", help="Of a book: first day.")]
LastDay = Annotated[str | None, typer.Option("--as-of-to", help="Of a book: last day.")]
KnownUntil = Annotated[
    str | None, typer.Option("--known-until", help="Of a book: last day with all payments.")
]
Time = Annotated[
    str | None, typer.Option("--time", help="The column of the row's date: split by it.")
]
Protected = Annotated[
    list[str] | None, typer.Option(help="A column that may not be a feature; repeat it.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(risk, name="risk")


@risk.command()
def rows(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="BOOK", help="The book's folder.")],
    since: Annotated[str, typer.Option("--as-of-from", help="The first day.")],
    until: Annotated[str, typer.Option("--as-of-to", help="The last day.")],
    known: Annotated[
        str, typer.Option("--known-until", help="The last day of which all payments are there.")
    ],
    into: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")],
    every_days: Annotated[int, typer.Option(min=1, help="Days from one to the next.")] = 30,
    products: ProductsFile = None,
) -> None:
    """Write what was known of each open loan on some mornings, and what became of it."""
    found = _write_rows(context, folder, since, until, known, into, every_days, products)
    if wants_json(context):
        print_json(found.to_dicts())
    else:
        print_table("Rows", found.columns, [list(row) for row in found.rows()])


def _write_rows(
    context: typer.Context,
    folder: Path,
    since: str,
    until: str,
    known: str,
    into: Path,
    every_days: int = 30,
    products: Path | None = None,
) -> pl.DataFrame:
    from duewise.jobs.risk_rows import write_rows
    from duewise.store.book import open_book

    days, known_until = _mornings(since, until, known, every_days=every_days)
    with progress_bar("rows") as step:
        return write_rows(
            open_book(folder),
            opened(context).products(products),
            days,
            known_until=known_until,
            out=into,
            progress=step,
        )


def _mornings(since: str, until: str, known: str, *, every_days: int) -> tuple[list[date], date]:
    """The days to look at, and the last day of which all payments are there."""
    from datetime import timedelta

    first, last = parse_day(since, source="--as-of-from"), parse_day(until, source="--as-of-to")
    known_until = parse_day(known, source="--known-until")
    if not first <= last <= known_until:
        raise BadInput(
            "the days do not follow each other",
            source="--as-of-from",
            mend="--as-of-from, --as-of-to and --known-until, in this order",
        )
    days = range(0, (last - first).days + 1, every_days)
    return [first + timedelta(days=n) for n in days], known_until


@risk.command()
def fit(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="BOOK|FRAME", help="A book's folder, or a file of features.")
    ],
    target: FitTarget = "late_1",
    since: FirstDay = None,
    until: LastDay = None,
    known: KnownUntil = None,
    groups: Annotated[str, typer.Option(help="The column of the borrower.")] = "borrower_id",
    as_of: Time = None,
    known_after_days: Annotated[int, typer.Option(help="Days until an outcome is known.")] = 60,
    money: Annotated[str | None, typer.Option(help="The column of what is owed.")] = None,
    protected: Protected = None,
    dictionary: Dictionary = None,
    folds: Annotated[int, typer.Option(help="Folds of borrowers.", min=2, max=20)] = 5,
    seed: Annotated[int, typer.Option(help="The seed of all chance.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of the boosting.", min=1)] = 1,
    quick: Annotated[bool, typer.Option(help="Larger steps: a tenth of the time.")] = False,
) -> None:
    """Judge a model of these features, write its card, and register it unless a guard breaks.

    Of a book, features and outcomes are made first, as by `risk rows`.
    """
    from duewise.jobs import risk as jobs
    from duewise.risk import hazard
    from duewise.risk.boosting import QUICK, Settings
    from duewise.risk.cured import CURED
    from duewise.risk.fit import Columns
    from duewise.web.report.hazard_card import render_hazard_card
    from duewise.web.report.model_card import render_model_card

    app, banned, together = opened(context), tuple(protected or ()), _together(target)
    columns = Columns(target, groups, as_of, known_after_days, money, banned)
    if target == CURED:
        chosen = replace(hazard.QUICK if quick else hazard.TREES, threads=threads)
        asked = jobs.Request(
            app.workspace, columns, app.clock.now(), render_hazard_card, seed, folds, chosen
        )
        tell(context, _fit_hazard(context, source, (since, until, known), asked))
        return
    if source.is_dir():
        columns = jobs.book_columns(target, banned, known_after_days)
        source = _rows_of(context, source, since, until, known)
    settings = replace(QUICK if quick else Settings(), threads=threads)
    signed, now = _signed(columns, dictionary), app.clock.now()
    asked = jobs.Request(app.workspace, signed, now, render_model_card, seed, folds, settings)
    with progress_bar("fit") as step:
        asked = replace(asked, progress=step)
        if not together:
            tell(context, conclusive(jobs.fit(source, asked)))
            return
        found = jobs.fit_together(source, asked, together)
    tell_all(context, found)


def _together(target: str) -> tuple[str, ...]:
    """The targets of `all`, or of a list; none for a single one."""
    from duewise.risk.target import TARGETS

    if target != "all" and "," not in target:
        return ()
    named = list(TARGETS) if target == "all" else [each.strip() for each in target.split(",")]
    if set(named) - set(TARGETS):
        mend = f"a list may hold {', '.join(TARGETS)}; fit others one by one"
        raise BadInput(f"{target!r} cannot be fitted together", source="--target", mend=mend)
    return tuple(each for each in TARGETS if each in named)


def _rows_of(
    context: typer.Context, book: Path, since: str | None, until: str | None, known: str | None
) -> Path:
    """The rows of a book in the workspace, so that a model's source stays at hand."""
    into, days = _place_of("rows", context, book, (since, until, known))
    _write_rows(context, book, *days, into)
    return into


def _place_of(
    name: str,
    context: typer.Context,
    book: Path,
    days: tuple[str | None, str | None, str | None],
) -> tuple[Path, tuple[str, str, str]]:
    since, until, known = days
    if since is None or until is None or known is None:
        mend = "give --as-of-from, --as-of-to and --known-until"
        raise BadInput("a book needs the days to learn from", source=str(book), mend=mend)
    folder = opened(context).workspace / "models"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}-{since}-{until}-{known}.parquet", (since, until, known)


def _fit_hazard(
    context: typer.Context,
    source: Path,
    days: tuple[str | None, str | None, str | None],
    asked: Request,
) -> Registered:
    """The hazard of paying, of a book or of the rows that an earlier fit has made of one."""
    from duewise.jobs import risk_hazard as jobs

    lapses = _lapses_of(context, source, days)
    with progress_bar("fit") as step:
        return conclusive(jobs.fit(lapses, replace(asked, progress=step)))


def _lapses_of(
    context: typer.Context, source: Path, days: tuple[str | None, str | None, str | None]
) -> Path:
    """The file of lapses itself, or the one made of a book, in the workspace."""
    from duewise.jobs import risk_hazard as jobs
    from duewise.store.book import open_book

    if not source.is_dir():
        return source
    into, asked_days = _place_of("lapses", context, source, days)
    mornings, last = _mornings(*asked_days, every_days=jobs.EVERY_DAYS)
    products, book = opened(context).products(None), open_book(source)
    with progress_bar("rows") as step:
        jobs.write_lapses(book, products, mornings, known_until=last, out=into, progress=step)
    return into


def _signed(columns: Columns, dictionary: Path | None) -> Columns:
    from duewise.jobs.risk import read_dictionary

    return replace(columns, signs=read_dictionary(dictionary)[0]) if dictionary else columns


@risk.command()
def score(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="BOOK", help="The book's folder.")],
    as_of: Annotated[str, typer.Option(help="The morning asked about.")],
    into: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")],
    products: ProductsFile = None,
) -> None:
    """Write each open loan's probabilities by the models in use, as plans see them."""
    from duewise.jobs.risk_serve import score_book, served_hazard, served_models
    from duewise.risk.serve import told
    from duewise.store.book import open_book

    app, day = opened(context), parse_day(as_of, source="--as-of")
    models, hazard = served_models(app.workspace), served_hazard(app.workspace)
    with progress_bar("score") as step:
        found = score_book(
            open_book(folder),
            app.products(products),
            models,
            hazard=hazard,
            as_of=day,
            out=into,
            progress=step,
        )
    if wants_json(context):
        head = {"rows": found.rows, "risk": told(models, hazard)}
        print_json(head | {"unread": dict(found.unread)})
    else:
        say_unread(found.unread, "loans")
        say(f"{found.rows:,} loans scored: {told(models, hazard)}.")


@risk.command()
def report(context: typer.Context, target: Target) -> None:
    """The card of the model in use: its figures, and where its page lies."""
    from duewise.store import models_registry as registry

    workspace = opened(context).workspace
    version = registry.champion_of(workspace, target)
    card = registry.load_card(workspace, target, version)
    if wants_json(context):
        print_json({**card, "in_use": registry.in_use(workspace, target)})
        return
    show_card(card)
    say(f"In use: {registry.in_use(workspace, target)}")
    say(str(workspace / registry.FOLDER / target / version / "card.html"))


@risk.command()
def monitor(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FRAME|BOOK", help="A Parquet file of features; of `cured` a book's folder."
        ),
    ],
    target: Target,
    segment: Annotated[str, typer.Option(help="The column to divide accounts by.")] = "product",
    since: FirstDay = None,
    until: LastDay = None,
    known: KnownUntil = None,
) -> None:
    """Whether the model still fits: drift, calibration by segment, and what is to be used now.

    Of `cured` by horizon, as the days of its mornings become known.
    """
    from duewise.jobs import risk as jobs
    from duewise.jobs import risk_hazard
    from duewise.risk.cured import CURED

    app = opened(context)
    if target == CURED:
        lapses = _lapses_of(context, source, (since, until, known))
        found = risk_hazard.monitor(lapses, workspace=app.workspace, now=app.clock.now())
        tell_watched(context, found)
        return
    found = jobs.monitor(
        source, workspace=app.workspace, target=target, segment=segment, now=app.clock.now()
    )
    tell_watched(context, found)


@risk.command()
def reasons(
    context: typer.Context,
    frame: FrameFile,
    target: Target,
    into: Annotated[Path, typer.Option("--out", help="Where the scores go, as Parquet.")],
    dictionary: Dictionary = None,
) -> None:
    """Score accounts by the model in use, and say of each why, in both languages."""
    from duewise.jobs import risk as jobs

    own: Words = jobs.read_dictionary(dictionary)[1] if dictionary else {}
    words = {**jobs.shipped_words(), **own}
    workspace = opened(context).workspace
    found, unread = jobs.score(frame, workspace=workspace, target=target, words=words)
    found.write_parquet(into)
    if wants_json(context):
        print_json({"rows": len(found), "out": str(into), "unread": unread})
    else:
        say_unread(unread, "accounts")
        say(f"{len(found):,} accounts scored: {into}")
