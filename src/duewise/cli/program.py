"""The command line: reads arguments, calls the composition root, prints; decides nothing.

Exit code 0 ok, 1 failed, 2 bad input, with file, line and mend and never a traceback.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from duewise.cli import (
    audit,
    bench,
    book,
    demo,
    inbound,
    judge,
    ledger,
    operate,
    outbox,
    people,
    plan,
    promises,
    risk,
    schedule,
    strategy,
    texts,
)
from duewise.cli.common import app, fail
from duewise.errors import BadInput, DuewiseError, Unreachable

INTERRUPTED, TERMINATED = 130, 143  # as a shell counts: 128 and the signal

GROUPS = (
    book,
    ledger,
    schedule,
    risk,
    judge,
    texts,
    strategy,
    plan,
    operate,
    outbox,
    inbound,
    promises,
    audit,
    people,
    demo,
    bench,
)

for group in GROUPS:
    group.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a failure becomes a message and an exit code.

    `arguments` are without the program's name; default: the process's own.
    """
    with _orderly_end():
        try:
            app(args=arguments, prog_name="duewise", standalone_mode=False)
        except DuewiseError as error:
            fail(error)
        except typer.Exit as leaving:
            sys.exit(leaving.exit_code)
        except (typer.Abort, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        except OSError as error:
            fail(_about_a_path(error))
        except Exception as error:
            _fail_by_usage(error)
            _fail_by_database(error)
            raise


@contextmanager
def _orderly_end() -> Iterator[None]:
    """SIGTERM unwinds the command as an exception does: our database server is stopped, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    signal.signal(number, signal.SIG_IGN)  # once is enough: a second one would cut the end short
    sys.exit(TERMINATED)


def _about_a_path(error: OSError) -> DuewiseError:
    """A file or folder that cannot be used as the caller said."""
    said = error.strerror or str(error)
    source = str(error.filename) if error.filename is not None else None
    is_callers = isinstance(
        error,
        FileNotFoundError
        | FileExistsError
        | NotADirectoryError
        | IsADirectoryError
        | PermissionError,
    )
    if is_callers:
        return BadInput(said, source=source, mend="check the path and who may use it")
    return DuewiseError(f"{source}: {said}" if source else said)


def _fail_by_database(error: Exception) -> None:
    """Say that the database went away in the middle; what was not committed is not there."""
    psycopg = sys.modules.get("psycopg")  # loaded only where a database is asked
    if psycopg is None or not isinstance(error, psycopg.OperationalError):
        return
    said = str(error).partition("\n")[0]
    fail(Unreachable(f"the database fails: {said}. Mend: nothing is half done; try again"))


def _fail_by_usage(error: Exception) -> None:
    """Say a usage error of Typer's, whichever library it is defined in, in our form."""
    show, say = getattr(error, "show", None), getattr(error, "format_message", None)
    if show is None or say is None:
        return
    context: typer.Context | None = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        show()
        sys.exit(BadInput.exit_code)
    command = context.command_path if context else "duewise"
    fail(BadInput(str(say()).rstrip("."), mend=f"see `{command} --help`"))
