"""Commands about strategy files: check one, compare two, look ahead, replay, publish."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from duewise.cli.common import (
    opened,
    out,
    parse_day,
    print_json,
    print_table,
    progress_bar,
    say,
    wants_json,
)
from duewise.errors import BadInput
from duewise.times import local_date, local_text

if TYPE_CHECKING:
    from duewise.app import App
    from duewise.jobs.rehearse import BudgetDays, Replay, Side
    from duewise.strategy.plan import Strategy

DAYS_MAX = 366

strategy = typer.Typer(no_args_is_help=True, help="Whom, when and how: the strategy file.")

Draft = Annotated[Path, typer.Argument(metavar="FILE", help="A strategy file.")]
File = Annotated[Path | None, typer.Argument(help="Default: the workspace's.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(strategy, name="strategy")


@strategy.command()
def check(context: typer.Context, file: File = None) -> None:
    """Steps nobody reaches, overlaps, gaps, empty cells; each with its line and a mend."""
    from duewise.strategy.check import findings

    app = opened(context)
    tenant = app.tenant_with(file) if file else app.tenant
    tones = {name: template.tone for name, template in tenant.templates.items()}
    found = findings(tenant.strategy, tones=tones)
    if wants_json(context):
        print_json([asdict(each) for each in found])
    else:
        for each in found:
            at = f"line {each.line}: " if each.line else ""
            out.print(f"{each.level}: {at}{each.message}. Mend: {each.mend}", highlight=False)
    wrong = [each for each in found if each.level == "error"]
    if wrong:
        raise BadInput(
            f"{len(wrong)} of the {len(found)} findings are errors",
            source=str(file or app.config.strategy),
            line=wrong[0].line,
            mend=wrong[0].mend,
        )


@strategy.command()
def diff(
    context: typer.Context,
    old: Annotated[Path, typer.Argument(help="A strategy file.")],
    new: Annotated[Path, typer.Argument(help="Another.")],
) -> None:
    """What came, went, changed or moved between two files; comments do not count."""
    from duewise.strategy.compare import changes

    app = opened(context)
    found = changes(app.tenant_with(old).strategy, app.tenant_with(new).strategy)
    if wants_json(context):
        print_json([asdict(each) for each in found])
    else:
        say("\n".join(str(each) for each in found) or "No difference but in comments and layout.")


@strategy.command("set")
def set_one(
    context: typer.Context,
    file: Draft,
    path: Annotated[str, typer.Argument(metavar="PATH", help="As in steps.m1_day1.when.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="YAML on one line.")],
    write: Annotated[bool, typer.Option(help="Write it; else only show the change.")] = False,
) -> None:
    """Change one value of a file, comments and layout kept; checked before it is written."""
    from duewise.strategy.edit import set_value

    text = _read(file)
    _change(opened(context), file, text, set_value(text, path, value, source=str(file)), write)


@strategy.command()
def restore(
    context: typer.Context,
    file: Draft,
    content_hash: Annotated[str, typer.Argument(metavar="HASH", help="As `set` told it.")],
    write: Annotated[bool, typer.Option(help="Write it; else only show the change.")] = False,
) -> None:
    """Put back what an edit has replaced."""
    from duewise.jobs.versions import kept_draft

    app = opened(context)
    _change(app, file, _read(file), kept_draft(app.workspace, content_hash).decode(), write)


def _change(app: App, file: Path, old: str, new: str, write: bool) -> None:  # noqa: FBT001
    """Show what changes; check it; write it if asked, the old text kept."""
    import difflib

    from duewise.jobs.versions import keep_draft
    from duewise.message.choose import stages_of
    from duewise.store.files import write_atomically
    from duewise.strategy.plan import parse_strategy

    lines = (old.splitlines(keepends=True), new.splitlines(keepends=True))
    say("".join(difflib.unified_diff(*lines, str(file), str(file), n=1)) or "No change.")
    parse_strategy(new, source=str(file), templates=stages_of(app.tenant.templates))
    if not write or new == old:
        return
    if file.resolve() == (app.workspace / app.config.strategy).resolve():
        mend = "edit a copy, then `duewise strategy replay` and `publish`"
        raise BadInput("this strategy is in force", source=str(file), mend=mend)
    kept = keep_draft(app.workspace, old.encode())
    write_atomically(file, new.encode())
    say(f"Written. Back: duewise strategy restore {file} {kept[:12]} --write")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("cannot read the strategy", source=str(file), mend=str(error)) from error


@strategy.command()
def preview(
    context: typer.Context,
    borrower: Annotated[str, typer.Option(help="A borrower of the book.")],
    file: File = None,
    days: Annotated[int, typer.Option(min=1, max=DAYS_MAX, help="How many.")] = 30,
    plan: Annotated[
        Path | None, typer.Option(help="A finished plan's folder: what its budgets' prices leave.")
    ] = None,
) -> None:
    """What the next days hold for a borrower if nothing is paid."""
    from duewise.jobs.rehearse import preview as look_ahead
    from duewise.jobs.rehearse import prices_of

    app = opened(context)
    tenant = app.tenant_with(file) if file else app.tenant
    now = app.clock.now()
    day = local_date(now, tenant.strategy.timezone)
    uses = prices_of(plan, tenant.strategy) if plan else None
    with app.database() as dsn, app.connect(dsn) as conn:
        rows = look_ahead(
            conn, app.book(), tenant, borrower_id=borrower, as_of=day, now=now, days=days, uses=uses
        )
    columns = ["as_of", "dpd", "decision", "step", "arm", "channel", "template", "not_before"]
    columns += ["outcome", "rules", "reason"]
    if tenant.strategy.budgets:
        columns += ["budgets", "worth", "price"]
    shown = rows.select(columns)
    if wants_json(context):
        print_json(shown.to_dicts())
        return
    zone = tenant.strategy.timezone
    lines = [[_cell(value, zone) for value in row] for row in shown.iter_rows()]
    print_table(f"{borrower}, if nothing is paid", shown.columns, lines)
    if tenant.strategy.budgets:
        say(_of_budgets(tenant.strategy, plan))


def _of_budgets(strategy: Strategy, plan: Path | None) -> str:
    """What a look at one borrower can say of budgets that all share."""
    if plan:
        return (
            f"Budgets at the prices of {plan}: what is worth less than its price would not go,"
            " but for the few whom a plan settles by hand."
        )
    first = "; of a step with `choose: budget` the first arm is shown"
    choice = first if any(step.by_budget for step in strategy.steps) else ""
    return (
        "Whether the budgets have room for a message is decided over the whole book, and not known"
        f" for one borrower{choice}. Name a plan for its prices: --plan FOLDER."
    )


@strategy.command()
def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The strategy to try.")],
    from_day: Annotated[str, typer.Option("--from", help="The first day.")],
    to_day: Annotated[str, typer.Option("--to", help="The last day.")],
) -> None:
    """Past days of the book under this strategy and the one in force. Nothing is sent."""
    from duewise.jobs.rehearse import keep
    from duewise.jobs.rehearse import replay as try_out

    app = opened(context)
    first, last = parse_day(from_day, source="--from"), parse_day(to_day, source="--to")
    if not 0 <= (last - first).days < DAYS_MAX:
        raise BadInput("that is no span of days", source="--to", mend=f"1 to {DAYS_MAX} days")
    tried, now = app.tenant_with(file).strategy, app.clock.now()
    with app.database() as dsn, app.connect(dsn) as conn, progress_bar("replay") as step:
        found = try_out(
            conn,
            app.book(),
            app.tenant,
            tried,
            from_day=first,
            from_at=_planning_instant(first, app.tenant.strategy.timezone),
            days=(last - first).days + 1,
            now=now,
            progress=step,
        )
    path = keep(app.workspace, found)
    if wants_json(context):
        print_json(asdict(found))
        return
    _print_replay(found)
    say(f"Kept as {path}. Next: duewise strategy publish {file}")


@strategy.command()
def publish(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A strategy that was replayed.")],
) -> None:
    """Put a strategy in force. Refused unless this very content was replayed."""
    from duewise.jobs.rehearse import publish as put_in_force

    app = opened(context)
    chosen = app.tenant_with(file).strategy
    put_in_force(app.workspace, chosen, source=file, target=app.workspace / app.config.strategy)
    say(f"In force: {chosen.name} v{chosen.version}, {chosen.content_hash[:12]}")


def _planning_instant(day: date, zone: str) -> datetime:
    """Half past eight in the morning there: before anything may leave."""
    return datetime.combine(day, time(8, 30), ZoneInfo(zone)).astimezone(UTC)


def _print_replay(found: Replay) -> None:
    sides = (found.old, found.new)
    rows = [
        ["messages", *(f"{side.messages:,}" for side in sides)],
        ["parts", *(f"{side.parts:,}" for side in sides)],
        ["cost", *(side.cost for side in sides)],
        *_compared("step", sides, "by_step"),
        *_compared("arm", sides, "by_arm"),
        *_compared("no budget for", sides, "cut"),
        *_compared("rule", sides, "rules"),
        *_compared("none", sides, "reasons"),
    ]
    title = f"{found.days} days from {found.from_day}, {found.borrowers:,} borrowers"
    print_table(title, ["", *(f"{side.strategy}" for side in sides)], rows)
    for side in sides:
        for budget in side.budgets:
            say(f"{side.strategy}, {_over_days(budget, found.days)}")
    say(
        f"{found.more:,} borrowers would get more messages, {found.fewer:,} fewer,"
        f" {found.other:,} others, {found.alike:,} the same."
    )


def _over_days(budget: BudgetDays, days: int) -> str:
    """What became of a budget.

    >>> from duewise.jobs.rehearse import BudgetDays
    >>> _over_days(BudgetDays("sms", "parts", 500, 3300.0, 6, 0.4, 1.25), 7)
    'budget sms: 3,300 parts of 7 x 500; short on 6 of 7 days; one more was worth 0.40 (most 1.25)'
    """
    used = f"budget {budget.name}: {budget.used:,.10g} {budget.of} of {days} x {budget.limit:,}"
    if not budget.short_days:
        return f"{used}; never short"
    worth = f"one more was worth {budget.price:,.2f} (most {budget.price_most:,.2f})"
    return f"{used}; short on {budget.short_days} of {days} days; {worth}"


def _compared(what: str, sides: tuple[Side, Side], field: str) -> list[list[str]]:
    """A line for each name that either side counts."""
    counts: list[dict[str, int]] = [getattr(side, field) for side in sides]
    names = dict.fromkeys(name for each in counts for name in each)
    return [[f"{what} {name}", *(f"{each.get(name, 0):,}" for each in counts)] for name in names]


def _cell(value: object, zone: str) -> str:
    match value:
        case None:
            return ""
        case list():
            return ", ".join(value)
        case datetime():
            return local_text(value, zone)
        case float():
            return f"{value:,.2f}"
        case _:
            return str(value)
