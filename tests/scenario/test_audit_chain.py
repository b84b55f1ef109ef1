"""Evidence of a day: sent and unsent alike are sealed, exported, verified offline, and proved."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.scenario.audit_world import (
    SENT,
    UNSENT,
    command_line,
    decided_day,
    records,
    sealed_now,
)
from tests.scenario.desk import Desk, delivery_line
from tests.scenario.road import CommandLine

from duewise.guard.evidence import canonical, leaf_hashes, merkle_root
from duewise.jobs.audit import examine_chain
from duewise.store.audit import last_head, seal, sealed

PROOF_BYTES_MAX = 480
DOUBLED = (
    "INSERT INTO verdict_row SELECT (jsonb_populate_record(v, '{\"verdict_id\": 900}')).*"
    " FROM verdict_row v WHERE verdict_id = 1"
)


@pytest.fixture
async def desk(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)
    return await decided_day(tmp_path, dsn)


def healthy(desk: Desk) -> tuple[bool, str]:
    with desk.app.connect(desk.dsn) as conn:
        return examine_chain(conn, desk.app.signer, now=desk.clock.now())


def test_it_seals_a_record_of_every_verdict_of_the_sent_and_the_unsent(desk: Desk) -> None:
    told = desk.rows(
        "SELECT verdict_id, envelope_id, gate, outcome, rules FROM verdict ORDER BY verdict_id"
    )
    found = records(desk)
    names = ("verdict", "envelope", "gate", "outcome", "rules")
    assert sorted(tuple(record[name] for name in names) for record in found) == told
    wire = {record["borrower"]: record for record in found if record["gate"] == "wire"}
    assert set(wire) == {*SENT, *UNSENT}
    assert {wire[each]["outcome"] for each in SENT} == {"allow"}
    assert {each: wire[each]["rules"] for each in UNSENT} == {
        "Wang": ["CN-DSP-01"],
        "Zhao": ["DW-OPT-01"],
        "Chen": ["CN-ID-04"],
    }
    assert healthy(desk) == (True, "45 records sealed in 2 batches, 0 wait")


def test_it_writes_records_in_their_one_spelling_without_anything_personal(
    desk: Desk,
) -> None:
    with desk.app.connect(desk.dsn) as conn:
        raw = [record for batch in sealed(conn) for record in batch.records]
    assert [canonical(json.loads(record)) for record in raw] == raw
    text = b"".join(raw).decode()
    for personal in ("李", "先生", "13800", "+86", "示例"):
        assert personal not in text
    seen = json.loads(raw[-1])["facts"]
    assert {"now", "msg.stage", "acct.amount_due", "case.dispute_open", "to.number"} <= set(seen)


def test_it_numbers_records_without_a_gap_and_chains_batches(desk: Desk) -> None:
    with desk.app.connect(desk.dsn) as conn:
        heads = [(batch.batch.head, list(batch.records)) for batch in sealed(conn)]
    assert [head.number for head, _ in heads] == list(range(1, len(heads) + 1))
    for (before, _), (head, raw) in pairwise(heads):
        assert (head.first, head.previous) == (before.last + 1, before.chain)
        assert head.root == merkle_root(leaf_hashes(head.first, raw))
    assert heads[-1][0].last == desk.rows("SELECT count(*) FROM verdict")[0][0]
    assert sealed_now(desk) == 0


def test_it_verifies_an_export_offline_and_names_what_was_changed(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    duewise = command_line(desk, capsys)
    said = duewise("audit", "export", "--into", tmp_path)
    assert said.code == 0, said.err
    path = Path(said.json["path"])
    offline = CommandLine(capsys, "--workspace", tmp_path / "nowhere", "--json")
    key = ("--key", said.json["key"])
    fine = offline("audit", "verify", path, *key)
    assert (fine.code, fine.json["records"], fine.json["findings"]) == (0, 45, [])

    text = path.read_bytes()
    forged = tmp_path / "forged.txt"
    forged.write_bytes(text.replace(b'"outcome":"block"', b'"outcome":"allow"', 1))
    wrong = offline("audit", "verify", forged)
    assert wrong.code == 1
    (finding,) = wrong.json["findings"]
    place = next(n for n, line in enumerate(text.split(b"\n")) if b'"outcome":"block"' in line)
    assert finding["line"] == place + 1
    assert finding["text"] == f"record {finding['record']} was changed"
    other = offline("audit", "verify", path, "--key", "00" * 32)
    assert (other.code, len(other.json["findings"])) == (1, 3)


async def test_it_finds_a_cut_tail_and_an_older_history_by_a_kept_checkpoint(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    duewise = command_line(desk, capsys)
    older, kept = tmp_path / "older.txt", tmp_path / "kept"
    assert duewise("audit", "export", "--into", older).code == 0
    desk.run(  # one more verdict, by the way the third gate takes
        "INSERT INTO envelope SELECT (jsonb_populate_record(e, jsonb_build_object("
        "'envelope_id', nextval(pg_get_serial_sequence('envelope', 'envelope_id')), 'key',"
        " 'again', 'state', 'ready', 'attempt', 0, 'wired_at', NULL))).*"
        " FROM envelope e WHERE borrower_id = 'Zhao'"
    )
    async with delivery_line(desk) as line:
        await line.pass_at()
    assert sealed_now(desk) == 1
    said = duewise("audit", "checkpoint", "--into", kept)
    assert (said.code, said.json["records"]) == (0, 46)
    assert duewise("audit", "verify", older).code == 0
    cut = duewise("audit", "verify", older, "--checkpoint", kept)
    assert cut.code == 1
    assert [each["record"] for each in cut.json["findings"]] == [46]


def test_it_proves_one_verdict_in_a_few_hundred_bytes(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    duewise = command_line(desk, capsys)
    sizes = []
    for record in records(desk)[-3:]:
        path = tmp_path / f"proof-{record['verdict']}"
        said = duewise("audit", "proof", str(record["verdict"]), "--into", path)
        assert said.code == 0, said.err
        assert json.loads(json.loads(path.read_text())["record"]) == record
        sizes.append(said.json["proof_bytes"])
        offline = CommandLine(capsys, "--workspace", tmp_path / "nowhere", "--json")
        key = desk.app.signer.key.hex()
        assert offline("audit", "verify", path, "--key", key).code == 0
        for old, new in ((b"allow", b"block"), (b'"gate":\\"wire', b'"gate":\\"plan')):
            changed = path.read_bytes().replace(old, new, 1)
            path.with_suffix(".x").write_bytes(changed)
            wrong = offline("audit", "verify", path.with_suffix(".x"))
            assert (wrong.code, changed == path.read_bytes()) in {(1, False), (0, True)}
    print(f"proofs of {sizes} bytes")  # noqa: T201 -- the figure is asked for
    assert max(sizes) <= PROOF_BYTES_MAX


def test_it_refuses_to_prove_what_is_not_sealed(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = command_line(desk, capsys)("audit", "proof", "999999", "--into", tmp_path / "p")
    assert (said.code, "no sealed verdict 999999" in said.err) == (2, True)


def test_it_lets_nobody_change_or_take_away_what_was_sealed(desk: Desk) -> None:
    for change in ("UPDATE audit_batch SET records = 1", "DELETE FROM audit_batch"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="only ever added"):
            desk.run(change)


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        ("UPDATE verdict_row SET outcome = 'allow' WHERE outcome = 'block'", "says other than"),
        ("DELETE FROM verdict_row WHERE outcome = 'block'", "is gone from the table"),
        (
            DOUBLED,
            "46 verdicts, but 45 sealed",
        ),
        (
            "UPDATE audit_batch SET sealed_at = sealed_at + interval '1 s' WHERE number = 2",
            "batch 2 was changed",
        ),
        ("DELETE FROM audit_batch WHERE number = 1", "batch 2 does not follow the start"),
        ("DELETE FROM audit_batch WHERE number = 2", "45 verdicts, but 30 sealed"),
    ],
)
def test_it_sees_what_full_rights_on_the_database_can_do(
    desk: Desk, forgery: str, said: str
) -> None:
    table = "audit_batch" if "audit_batch" in forgery else "verdict_row"
    desk.run(f"ALTER TABLE {table} DISABLE TRIGGER only_appended; {forgery}")
    is_ok, text = healthy(desk)
    assert not is_ok
    assert said in text


def test_it_leaves_a_record_waiting_or_sealed_once_wherever_the_sealer_dies(
    desk: Desk,
) -> None:
    """Its session is lost before each of its statements in turn, until one run gets through."""
    desk.run(
        "INSERT INTO unsealed (at, verdict_ids, body)"
        " SELECT until_at, verdict_ids, body FROM audit_batch ORDER BY number"
    )
    died = 0
    while len(records(desk)) < 90:
        assert _left(desk) == 45
        with desk.app.connect(desk.dsn) as conn:
            conn.cursor_factory = _dying_after(died)
            with suppress(psycopg.OperationalError):
                seal(conn, desk.app.signer, now=desk.clock.now())
        died += 1
    assert died > 4
    assert (len(records(desk)), _left(desk)) == (90, 0)
    with desk.app.connect(desk.dsn) as conn:
        head = last_head(conn)
    assert head is not None
    assert head.last == 90


def _left(desk: Desk) -> int:
    """How many records wait."""
    query = "SELECT COALESCE(sum(cardinality(verdict_ids)), 0)::int FROM unsealed"
    return int(desk.rows(query)[0][0])


def _dying_after(statements: int) -> type[psycopg.Cursor[Any]]:
    """Cursors of a session that is lost after so many statements."""
    left = count(statements, -1)

    class Dying(psycopg.Cursor[Any]):
        def execute(self, *given: Any, **named: Any) -> Any:
            if next(left) == 0:
                self.connection.close()
            return super().execute(*given, **named)

    return Dying
