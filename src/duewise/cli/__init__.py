"""The command line: reads arguments, calls the composition root, prints; decides nothing.

Exit code 0 ok, 1 failed, 2 bad input, with file, line and mend and never a traceback.
"""

from __future__ import annotations

import sys

import typer

from duewise.cli import book, demo, judge, operate, people
from duewise.cli.common import app, fail
from duewise.errors import DuewiseError

for group in (book, judge, operate, people, demo):
    group.register(app)


def main() -> None:
    """Run the command line; a failure becomes a message and an exit code."""
    try:
        app(standalone_mode=False)
    except DuewiseError as error:
        fail(error)
    except typer.Exit as leaving:
        sys.exit(leaving.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        # Typer's own usage errors, whichever library they are defined in.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(2)
