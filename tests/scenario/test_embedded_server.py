"""The embedded server from the outside: started, shared, killed, moved, broken; it comes back.

Run by root these tests lie below a folder of mode 0700, as pytest makes it, so that the server has
to find its way as it would in somebody's home.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from duewise.errors import BadInput, Unreachable
from duewise.store.connection import connect, open_pool
from duewise.store.server import _failed, _postmaster, running_server

# Everything is imported before the rights are given up: Python itself may lie below root's home.
HOLD = """
import os, sys
from pathlib import Path
from duewise.store.connection import connect
from duewise.store.server import running_server
if "ordinary" in sys.argv and os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
with running_server(Path(sys.argv[1])) as dsn:
    connect(dsn).close()
    print(dsn, flush=True)
    sys.stdin.readline()
"""
Hold = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose database was made and holds one row; stopped."""
    workspace = tmp_path_factory.mktemp("made")
    with running_server(workspace) as dsn, connect(dsn) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 'Li' AS name")
    return workspace


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Path:
    """A copy of it, as somebody would copy a workspace."""
    return Path(shutil.copytree(made, tmp_path / "workspace"))


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Start another process that uses the server until its standard input ends."""
    started = []

    def start(workspace: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(workspace), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def postmaster_of(workspace: Path) -> int | None:
    found = _postmaster((workspace / "postgres" / "data").resolve())
    return found.pid if found else None


def what_was_kept(dsn: str) -> object:
    with connect(dsn) as conn:
        return conn.execute("SELECT name FROM kept").fetchone()


def test_it_keeps_what_was_written_from_one_start_to_the_next(workspace: Path) -> None:
    with running_server(workspace) as dsn:
        assert what_was_kept(dsn) == ("Li",)
    assert postmaster_of(workspace) is None
    with running_server(workspace) as dsn:
        assert what_was_kept(dsn) == ("Li",)


def test_it_is_closed_to_everybody_else(workspace: Path) -> None:
    with running_server(workspace) as dsn:
        given = conninfo_to_dict(dsn)
        assert Path(str(given["host"])).stat().st_mode & 0o077 == 0
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(dsn, password="guessed")
        with connect(dsn) as conn:
            assert conn.execute("SHOW listen_addresses").fetchone() == ("",)
            assert conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)  # fmt: skip
    assert (workspace / "secrets").stat().st_mode & 0o077 == 0
    assert (workspace / "secrets" / "postgres.password").stat().st_mode & 0o077 == 0
    assert str(given["password"]) not in (workspace / "postgres" / "server.log").read_text()


def test_it_logs_no_value_of_a_failed_statement(workspace: Path) -> None:
    with running_server(workspace) as dsn, connect(dsn) as conn:
        conn.execute("CREATE TABLE once (name text UNIQUE)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("INSERT INTO once VALUES ('Zhao'), ('Zhao')")
    log = (workspace / "postgres" / "server.log").read_text()
    assert "duplicate key" in log
    assert "Zhao" not in log


def test_it_speaks_utc_and_keeps_transactions_open_until_told(workspace: Path) -> None:
    with running_server(workspace) as dsn:
        with connect(dsn) as conn:
            assert conn.execute("SHOW timezone").fetchone() == ("UTC",)
            assert not conn.autocommit
        with open_pool(dsn, size_max=2) as pool, pool.connection() as conn:
            assert conn.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_it_is_shared_and_the_last_one_stops_it(workspace: Path, hold: Hold) -> None:
    with running_server(workspace) as dsn:
        other = hold(workspace)
        assert first_line(other) == dsn
    assert what_was_kept(dsn) == ("Li",)
    other.communicate()
    assert postmaster_of(workspace) is None


def test_it_starts_once_when_several_start_it_at_once(workspace: Path, hold: Hold) -> None:
    processes = [hold(workspace) for _ in range(3)]
    addresses = {first_line(process) for process in processes}
    assert len(addresses) == 1
    for process in processes:
        process.communicate()
    assert postmaster_of(workspace) is None


def test_it_outlives_a_killed_starter_and_is_adopted(workspace: Path, hold: Hold) -> None:
    starter = hold(workspace)
    dsn = first_line(starter)
    starter.kill()
    starter.wait()
    assert what_was_kept(dsn) == ("Li",)
    before = postmaster_of(workspace)
    with running_server(workspace) as again:
        assert again == dsn
        assert postmaster_of(workspace) == before
    assert postmaster_of(workspace) is None


def test_it_recovers_from_a_killed_postgres(workspace: Path) -> None:
    with running_server(workspace) as dsn:
        with connect(dsn) as conn:
            conn.execute("UPDATE kept SET name = 'Wang'")
        pid = postmaster_of(workspace)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    with running_server(workspace) as dsn:
        assert what_was_kept(dsn) == ("Wang",)


def test_it_is_not_fooled_by_a_number_that_went_to_another_process(workspace: Path) -> None:
    pid_file = workspace / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pid_file.parent}\n1\n5432\n/nowhere\n\n1 1\nready\n")
    with running_server(workspace) as dsn:
        assert what_was_kept(dsn) == ("Li",)


def test_it_comes_back_when_its_socket_was_cleaned_away(workspace: Path) -> None:
    with running_server(workspace) as dsn:
        shutil.rmtree(str(conninfo_to_dict(dsn)["host"]))
        with running_server(workspace) as again:
            assert what_was_kept(again) == ("Li",)


def test_it_makes_its_data_anew_when_making_it_was_cut_short(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data.new"
    (half / "base").mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with running_server(tmp_path) as dsn, connect(dsn) as conn:
        assert conn.execute("SELECT current_database()").fetchone() == ("duewise",)
    assert not half.exists()


def test_it_runs_where_the_path_is_too_long_for_a_socket(made: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(made, tmp_path / ("deep" * 20) / ("deeper" * 20)))
    with running_server(workspace) as dsn:
        assert what_was_kept(dsn) == ("Li",)


def test_it_leaves_the_folders_above_it_as_they_are(made: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    workspace = Path(shutil.copytree(made, home / "workspace"))
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in (home, workspace)]
    with running_server(workspace) as dsn:
        assert what_was_kept(dsn) == ("Li",)
    assert before == [(path, path.stat().st_mode, path.stat().st_uid) for path in (home, workspace)]


def test_it_runs_for_an_ordinary_user(hold: Hold) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        if os.geteuid() == 0:
            os.chown(home, 65534, 65534)
        process = hold(Path(home, "workspace"), "ordinary", HOME=home, TMPDIR=home)
        assert first_line(process).startswith("user=duewise ")
        data = Path(home, "workspace", "postgres", "data").stat()
        assert data.st_uid == Path(home).stat().st_uid
        process.communicate()
        assert process.returncode == 0
        if os.geteuid() == 0:  # and root, coming later, runs it as that user
            with running_server(Path(home, "workspace")) as dsn:
                connect(dsn).close()


def test_it_says_what_is_wrong_with_the_workspace(workspace: Path) -> None:
    password = workspace / "secrets" / "postgres.password"
    password.rename(workspace / "mislaid")
    with (
        pytest.raises(BadInput, match="restore the workspace's folder 'secrets'"),
        running_server(workspace),
    ):
        pass
    (workspace / "mislaid").rename(password)
    (workspace / "postgres" / "data" / "PG_VERSION").write_text("14\n")
    with (
        pytest.raises(Unreachable, match="version 14, which made the data"),
        running_server(workspace),
    ):
        pass
    (workspace / "postgres" / "data" / "PG_VERSION").unlink()
    with pytest.raises(BadInput, match="not a PostgreSQL data folder"), running_server(workspace):
        pass


def test_it_says_why_postgres_does_not_start(workspace: Path) -> None:
    (workspace / "postgres" / "data" / "pg_hba.conf").write_text("nonsense\n")
    with (
        pytest.raises(Unreachable, match=r"FATAL: +could not load .*pg_hba.conf"),
        running_server(workspace),
    ):
        pass


def test_it_names_the_mend_for_a_full_disk() -> None:
    said = "LOG:  starting\nFATAL:  could not write lock file: No space left on device\n"
    error = _failed("PostgreSQL does not start", said, Path("server.log"))
    assert str(error).endswith("No space left on device. Mend: free some disk space")


def test_it_refuses_a_socket_folder_that_others_may_enter(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(workspace) as dsn:
        name = Path(str(conninfo_to_dict(dsn)["host"])).name
    with tempfile.TemporaryDirectory(dir="/tmp") as trap:
        Path(trap, name).mkdir()
        Path(trap, name).chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", trap)
        with pytest.raises(BadInput, match="another user's folder"), running_server(workspace):
            pass


def test_it_uses_the_server_it_is_told_to_use(workspace: Path, server_dsn: str) -> None:
    with running_server(workspace, database_url=server_dsn) as dsn:
        assert dsn == server_dsn
        assert postmaster_of(workspace) is None


def test_it_says_that_the_server_does_not_answer(tmp_path: Path) -> None:
    url = "postgresql://duewise:hidden@localhost:1/duewise"
    with pytest.raises(Unreachable, match="does not answer") as told, running_server(tmp_path, database_url=url):  # fmt: skip
        pass
    assert "hidden" not in str(told.value)


def test_it_never_repeats_an_address_it_cannot_read(tmp_path: Path) -> None:
    url = "postgres//duewise:hidden@db"
    with pytest.raises(BadInput, match="DUEWISE_DATABASE_URL: not a database address") as told, running_server(tmp_path, database_url=url):  # fmt: skip
        pass
    assert "hidden" not in str(told.value)
