"""The embedded PostgreSQL server: made, started, shared by several processes, stopped by the last.

Everything lies in WORKSPACE/postgres: `data`, `server.log`, and two lock files. Whoever uses the
server holds a shared lock on `users.lock`; starting and stopping happen under `start.lock`. The
kernel drops the locks of a process that is killed, so the next user simply adopts its server.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

from psycopg.conninfo import make_conninfo

from duewise.errors import BadInput, Unreachable
from duewise.store.binaries import NOBODY, Owner, Programs, find_programs, runnable
from duewise.store.connection import check_server
from duewise.store.files import private_folder, sync_folder, write_atomically

ROLE = DATABASE = "duewise"
START_S_MAX = 300  # recovery after a crash under load takes its time
_POLL_S = 0.02
_SOCKET_PATH_BYTES_MAX = 107  # sockaddr_un of Linux
_PORT = 5432  # names the socket; nothing listens on TCP
_STATUS_LINE = 8  # of postmaster.pid
_START_TRIES, _START_PAUSE_S = 100, 0.2
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A statement or a row in an error may hold what belongs to a borrower: the log gets neither.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_MENDS = {
    "No space left on device": "free some disk space",
    "Permission denied": "let one user own the workspace, or run as root",
    "could not access the server configuration file": "restore the workspace's folder 'postgres'",
}


@dataclass(frozen=True)
class _Postmaster:
    """What `postmaster.pid` says of a live server."""

    pid: int
    socket_folder: Path
    is_ready: bool


@contextmanager
def running_server(
    workspace: Path,
    *,
    database_url: str | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Iterator[str]:
    """The DSN of a database that answers, for as long as the block runs.

    With `database_url` that server is used as it is; otherwise the workspace's own is made and
    started as needed, and stopped when its last user leaves. `random_bytes` makes passwords.
    Raises Unreachable when no server can be had, BadInput when URL or workspace are wrong.
    """
    if database_url is not None:
        check_server(database_url)
        yield database_url
        return
    home = (workspace / "postgres").resolve()
    try:
        dsn, users = _enter(home, random_bytes)
    except OSError as error:
        raise Unreachable(
            f"{error.filename or home}: {error.strerror}. Mend: {_mend(str(error.strerror))}"
        ) from error
    with users:
        try:
            yield dsn
        finally:
            _leave(home, users)


def _enter(home: Path, random_bytes: Callable[[int], bytes]) -> tuple[str, IO[bytes]]:
    owner = _owner(private_folder(home))
    with _locked(home / "start.lock"):
        users = (home / "users.lock").open("ab")
        try:
            fcntl.flock(users, fcntl.LOCK_SH)
            _give(owner, home, home / "start.lock", home / "users.lock")
            postmaster = _settled(home) or _start(home, owner, random_bytes)
            password = _password(home).read_text().strip()
        except BaseException:
            users.close()
            raise
    sockets = str(postmaster.socket_folder)
    dsn = make_conninfo(user=ROLE, password=password, dbname=DATABASE, host=sockets, port=_PORT)
    return dsn, users


def _leave(home: Path, users: IO[bytes]) -> None:
    with _locked(home / "start.lock"):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody else still uses the server
        if postmaster := _settled(home):
            _stop(home, postmaster)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _owner(home: Path) -> Owner:
    """Who runs the server: the folder's owner; `nobody` where that would be root."""
    status = home.stat()
    if status.st_uid == 0:
        return Owner(NOBODY, NOBODY)
    if os.geteuid() not in (0, status.st_uid):
        raise BadInput(
            "the database belongs to another user",
            source=str(home),
            mend=f"run as user {status.st_uid}, or as root",
        )
    return Owner(status.st_uid, status.st_gid)


def _give(owner: Owner, *paths: Path) -> None:
    """As root, hand files of our own over to who runs the server."""
    for path in paths if os.geteuid() == 0 else ():
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def _password(home: Path) -> Path:
    return home.parent / "secrets" / "postgres.password"


def _settled(home: Path) -> _Postmaster | None:
    """The live server once it is ready, or None once there is none."""
    for _ in range(int(START_S_MAX / _POLL_S)):
        postmaster = _postmaster(home / "data")
        if postmaster is None:
            return None
        if postmaster.is_ready:
            if (postmaster.socket_folder / f".s.PGSQL.{_PORT}").exists():
                return postmaster
            _stop(home, postmaster)  # its socket was cleaned away: nobody can reach it any more
        time.sleep(_POLL_S)
    raise Unreachable(f"PostgreSQL is still starting. Mend: see {home / 'server.log'}")


def _postmaster(data: Path) -> _Postmaster | None:
    path = data / "postmaster.pid"
    try:
        lines = path.read_text().splitlines()
        command = Path(f"/proc/{lines[0]}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None  # stopped; or killed, and PostgreSQL itself recovers from that
    if os.fsencode(data) not in command:
        # The number went to another process: PostgreSQL would refuse to start.
        path.unlink(missing_ok=True)
        return None
    if len(lines) < _STATUS_LINE:
        return _Postmaster(int(lines[0]), data, is_ready=False)
    is_ready = lines[_STATUS_LINE - 1].strip() == "ready"
    return _Postmaster(int(lines[0]), Path(lines[4]), is_ready=is_ready)


def _stop(home: Path, postmaster: _Postmaster) -> None:
    """Shut down fast (SIGINT): sessions end, what was committed stays."""
    os.kill(postmaster.pid, signal.SIGINT)
    for _ in range(int(START_S_MAX / _POLL_S)):
        if _postmaster(home / "data") is None:
            shutil.rmtree(postmaster.socket_folder, ignore_errors=True)
            return
        time.sleep(_POLL_S)
    raise Unreachable(f"PostgreSQL does not stop. Mend: see {home / 'server.log'}")


def _start(home: Path, owner: Owner, random_bytes: Callable[[int], bytes]) -> _Postmaster:
    data, log = home / "data", home / "server.log"
    major = _major_of(home)
    folder, sockets = find_programs(major=major), _socket_folder(home, owner)
    programs = runnable(folder, owner=owner, writes=(home, sockets))
    if major is None:
        _create(home, owner, programs, random_bytes)
    elif data.stat().st_uid == 0:
        _give(owner, *home.rglob("*"))  # root copied the workspace from elsewhere
    settings = _SETTINGS | {"unix_socket_directories": str(sockets)}
    options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
    said = ""
    for _ in range(_START_TRIES):
        before = log.stat().st_size if log.exists() else 0
        result = programs.run(
            *("pg_ctl", "start", "--silent", "--wait", f"--timeout={START_S_MAX}"),
            *(f"--pgdata={data}", f"--log={log}", f"--options={options}"),
        )
        if result.returncode == 0 and (postmaster := _settled(home)):
            return postmaster
        said = (log.read_bytes()[before:] if log.exists() else b"").decode(errors="replace")
        said = said or result.stdout
        if "pre-existing shared memory block" not in said:
            break
        time.sleep(_START_PAUSE_S)  # the sessions of a killed server are still on their way out
    shutil.rmtree(sockets, ignore_errors=True)
    raise _failed("PostgreSQL does not start", said, log)


def _major_of(home: Path) -> int | None:
    """The version that made the data; None if there is none yet. Raises BadInput."""
    data = home / "data"
    if not data.exists():
        return None
    if not (data / "PG_VERSION").exists():
        raise BadInput("not a PostgreSQL data folder", source=str(data), mend="move it away")
    if not _password(home).exists():
        raise BadInput(
            "the database's password is gone",
            source=str(_password(home)),
            mend="restore the workspace's folder 'secrets', which also holds the keys to the data",
        )
    return int((data / "PG_VERSION").read_text())


def _create(
    home: Path, owner: Owner, programs: Programs, random_bytes: Callable[[int], bytes]
) -> None:
    """Make the data folder beside its place, then move it there: it is whole or not there."""
    fresh, superuser = home / "data.new", home / "superuser.password"
    shutil.rmtree(fresh, ignore_errors=True)
    password = random_bytes(24).hex()
    private_folder(_password(home).parent)
    write_atomically(_password(home), password.encode(), mode=0o600)
    try:
        # Kept nowhere: we are never superuser. Who has to be has the folder, and single-user mode.
        write_atomically(superuser, random_bytes(24).hex().encode(), mode=0o600)
        _give(owner, superuser)
        made = programs.run(
            *("initdb", f"--pgdata={fresh}", "--username=postgres", f"--pwfile={superuser}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"),
        )
        if made.returncode != 0:
            raise _failed("PostgreSQL cannot make its data folder", made.stdout, fresh)
    finally:
        superuser.unlink(missing_ok=True)
    statements = (
        f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}'",
        f"CREATE DATABASE {DATABASE} OWNER {ROLE}",
    )
    quiet = ("-c", "log_min_error_statement=panic", "-c", "exit_on_error=on")
    single = ("postgres", "--single", *quiet, "-D", str(fresh), "postgres")
    made = programs.run(*single, stdin="\n".join(statements) + "\n")
    if made.returncode != 0:
        raise _failed("PostgreSQL cannot make its database", made.stdout, fresh)
    fresh.rename(home / "data")
    sync_folder(home)


def _socket_folder(home: Path, owner: Owner) -> Path:
    """A private folder with a short path, for a socket's path may have 107 bytes only."""
    name = f"duewise-{owner.uid}-{sha256(os.fsencode(home)).hexdigest()[:16]}"
    folder = Path(tempfile.gettempdir()).resolve() / name
    if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) > _SOCKET_PATH_BYTES_MAX:
        folder = Path("/tmp") / name  # noqa: S108 -- its owner and mode are checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    is_ours = status.st_uid in {owner.uid, os.geteuid()} and stat.S_ISDIR(status.st_mode)
    if not is_ours or stat.S_IMODE(status.st_mode) & 0o077:
        raise BadInput(
            "another user's folder lies where our socket goes",
            source=str(folder),
            mend="remove it, or set TMPDIR to a folder of your own",
        )
    _give(owner, folder)
    for left_over in folder.glob(".s.PGSQL.*"):
        left_over.unlink()  # of a killed server, whose number another process may have by now
    return folder


def _failed(what: str, said: str, place: Path) -> Unreachable:
    lines = [line for line in said.splitlines() if line.strip()] or ["it does not say why"]
    errors = [line for line in lines if "FATAL" in line or "error:" in line or "PANIC" in line]
    cause = (errors[-1:] or lines)[0].strip()
    return Unreachable(f"{what} ({place}): {cause}. Mend: {_mend(said)}")


def _mend(said: str) -> str:
    mends = (mend for phrase, mend in _MENDS.items() if phrase in said)
    return next(mends, "see the file named above; nothing was lost")
