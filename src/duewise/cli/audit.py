"""Commands that prove what was decided: seal, export, verify, proof, replay, pack."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.cli.common import opened, parse_day, print_json, print_table, say, wants_json
from duewise.errors import BadInput, IntegrityBroken
from duewise.times import local_date

if TYPE_CHECKING:
    from duewise.guard.evidence_file import Checked

audit = typer.Typer(no_args_is_help=True, help="Evidence: what was decided, provable afterwards.")
FINDINGS_SHOWN_MAX = 20


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(audit, name="audit")


@audit.command()
def seal(context: typer.Context) -> None:
    """Seal the verdicts that wait: batch, chain and sign them. `send` does it every ten seconds."""
    from duewise.store.audit import seal as seal_all

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        records = seal_all(conn, app.signer, now=app.clock.now())
    print_json({"sealed": records}) if wants_json(context) else say(f"{records:,} records sealed")


@audit.command()
def export(
    context: typer.Context,
    into: Annotated[Path, typer.Option(help="A file to be, or a folder for one.")],
) -> None:
    """Seal, then write the whole chain with a signed checkpoint: all that `verify` needs."""
    from duewise.jobs.audit import export_chain
    from duewise.store.audit import seal as seal_all

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        seal_all(conn, app.signer, now=app.clock.now())
        done = export_chain(conn, app.signer, into, now=app.clock.now())
    if wants_json(context):
        print_json(asdict(done) | {"key": app.signer.key.hex()})
    else:
        say(f"{done.records:,} records in {done.batches:,} batches: {done.path}")
        say(f"Signed by {app.signer.key.hex()}")


@audit.command()
def checkpoint(
    context: typer.Context,
    into: Annotated[Path, typer.Option(help="A file to be.")],
) -> None:
    """Write how far the chain reaches, signed. Keep it where the database's people are not."""
    from duewise.jobs.audit import export_checkpoint

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        end = export_checkpoint(conn, app.signer, into, now=app.clock.now())
    told = {"batches": end.number, "records": end.records, "chain": end.chain.hex()}
    if wants_json(context):
        print_json(told)
    else:
        say(f"{end.records:,} records, chain {end.chain.hex()}: {into}")


@audit.command()
def verify(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="An export, a proof or a pack.")],
    kept: Annotated[
        Path | None, typer.Option("--checkpoint", help="One that was kept elsewhere.")
    ] = None,
    key: Annotated[list[str] | None, typer.Option(help="A key to trust, in hex.")] = None,
) -> None:
    """Check an export, a proof or a pack, offline: no workspace, no database, only the file."""
    from duewise.jobs.audit import load_checkpoint, verify_file

    known = load_checkpoint(kept) if kept else None
    checked = verify_file(source, known=known, keys=frozenset(map(_key, key or ())))
    found = [asdict(finding) for finding in checked.findings]
    if wants_json(context):
        counted = {"records": checked.records, "batches": checked.batches}
        print_json(counted | {"keys": sorted(checked.keys), "findings": found})
    else:
        _print_checked(source, checked)
    if found:
        raise IntegrityBroken(f"{source}: {len(found)} findings")


@audit.command()
def proof(
    context: typer.Context,
    verdict: Annotated[int, typer.Argument(help="A verdict's number, as `explain` tells it.")],
    into: Annotated[Path, typer.Option(help="A file to be.")],
) -> None:
    """Write one verdict's record and the few hundred bytes that prove it."""
    from duewise.jobs.audit import prove_verdict
    from duewise.store.files import write_atomically

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        text, size = prove_verdict(conn, verdict)
    write_atomically(into, text)
    if wants_json(context):
        print_json({"path": str(into), "proof_bytes": size, "file_bytes": len(text)})
    else:
        say(f"Proof of {size:,} bytes, with its record {len(text):,}: {into}")


@audit.command()
def replay(
    context: typer.Context,
    days: Annotated[str, typer.Argument(metavar="DATE..DATE", help="Days, both included.")],
) -> None:
    """Judge history again by the rules of its day and by today's; list what would differ."""
    from duewise.jobs.replay import replay as judge_again

    app = opened(context)
    since, until = _span(days)
    today = local_date(app.clock.now(), app.tenant.strategy.timezone)
    with app.database() as dsn, app.connect(dsn) as conn:
        told = judge_again(conn, app.tenant, since=since, until=until, today=today)
    if wants_json(context):
        print_json(asdict(told))
        return
    columns = ["verdict", "envelope", "borrower", "gate", "at", "recorded", "then", "now"]
    rows = [
        [
            *(each.verdict, each.envelope, each.borrower, each.gate, each.at),
            *(f"{w.outcome} {', '.join(w.rules)}" for w in (each.recorded, each.then, each.now)),
        ]
        for each in told.differences
    ]
    if rows:
        print_table(f"Verdicts that would differ, {since} to {until}", columns, rows)
    say(
        f"{told.judged:,} verdicts judged again, {len(rows):,} differ;"
        f" {told.without_text:,} have no text on file any more;"
        f" {told.planned:,} of the first gate are left to their plan."
    )


@audit.command()
def pack(
    context: typer.Context,
    borrower: Annotated[str, typer.Argument(help="The borrower who complains.")],
    into: Annotated[Path, typer.Option(help="An HTML file to be.")],
) -> None:
    """Write what a complaint handler needs: notices, verdicts, rules, replies, in one file."""
    from duewise.jobs.pack import make_pack
    from duewise.store.audit import seal as seal_all
    from duewise.store.files import write_atomically
    from duewise.web.pack import render_pack

    app = opened(context)
    now = app.clock.now()
    with app.database() as dsn, app.connect(dsn) as conn:
        seal_all(conn, app.signer, now=now)
        made = make_pack(conn, app.tenant, app.signer, borrower, now=now)
    write_atomically(into, render_pack(made).encode(), mode=0o600)
    if wants_json(context):
        print_json({"path": str(into), "notices": len(made["notices"])})
    else:
        say(f"{len(made['notices'])} notices: {into} (personal: it is readable for you only)")


def _print_checked(source: Path, checked: Checked) -> None:
    for finding in checked.findings[:FINDINGS_SHOWN_MAX]:
        say(f"{source}:{finding.line}: {finding.text}")
    say(f"{checked.records:,} records in {checked.batches:,} batches")
    for key in sorted(checked.keys):
        say(f"Signed by {key}")
    if not checked.findings:
        say("All of it is as it was sealed.")


def _key(text: str) -> str:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != len(bytes(32)):
        mend = "`duewise audit export` says it: 64 hexadecimal digits"
        raise BadInput(f"{text!r} is no key", source="--key", mend=mend)
    return key.hex()


def _span(text: str) -> tuple[date, date]:
    since, dots, until = text.partition("..")
    span = parse_day(since, source="DATE..DATE"), parse_day(until or since, source="DATE..DATE")
    if (dots and not until) or span[0] > span[1]:
        raise BadInput(f"{text!r} is no span of days", mend="write it as 2026-08-01..2026-08-31")
    return span
