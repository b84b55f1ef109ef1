"""The command line. What it takes is imported when it runs: a plan's workers need none of it.

Each of them imports the program that started them, and thereby this.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` are without the program's name, else the process's own."""
    from duewise.cli import program

    program.main(arguments)
