"""What the command line says of itself. `make golden` rewrites the file; review the diff."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).parent / "help.txt"
# In a fresh process: how help is drawn is settled by the environment when Typer is loaded.
PROGRAM = """
import sys, typer
from duewise.cli import main
from duewise.cli.program import app
from typer.core import TyperGroup

def walk(command, path):
    yield path
    for child in command.commands.values() if isinstance(command, TyperGroup) else ():
        yield from walk(child, [*path, child.name])

for path in walk(typer.main.get_command(app), []):
    print("$", *["duewise", *path, "--help"], flush=True)
    main([*path, "--help"])
"""


def test_it_helps_as_reviewed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"COLUMNS": "100", "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = "\n".join(line.rstrip() for line in done.stdout.decode().splitlines()) + "\n"
    if os.environ.get("DUEWISE_GOLDEN") == "rewrite":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
