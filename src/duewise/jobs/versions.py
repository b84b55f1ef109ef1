"""The versions of a strategy that were in force before: kept, because borrowers may be on them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from duewise.errors import BadInput
from duewise.message.choose import stages_of
from duewise.message.template import Template
from duewise.store.files import write_atomically
from duewise.strategy.plan import Strategy, load_strategy

VERSIONS = "versions"  # their folder in the workspace, each under its content hash
VERSIONS_MAX = 16
DRAFTS = "drafts"  # what edits have replaced; nobody is on them


def keep_version(workspace: Path, content: bytes, *, but: str) -> None:
    """Keep what was in force till now: borrowers in its sticky steps stay on it."""
    content_hash = hashlib.sha256(content).hexdigest()
    if content_hash != but:
        path = workspace / VERSIONS / f"{content_hash}.yaml"
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content)


def keep_draft(workspace: Path, content: bytes) -> str:
    """Keep a file as it was before an edit; the content hash under which it is found again."""
    content_hash = hashlib.sha256(content).hexdigest()
    path = workspace / DRAFTS / f"{content_hash}.yaml"
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, content)
    return content_hash


def kept_draft(workspace: Path, content_hash: str) -> bytes:
    """The file kept under a hash, or its beginning. Raises BadInput unless it is exactly one."""
    found = sorted((workspace / DRAFTS).glob(f"{content_hash}*.yaml"))
    if not content_hash.isalnum() or len(found) != 1:
        mend = "give the hash that `duewise strategy set` told"
        raise BadInput(f"{len(found)} files are kept under {content_hash!r}", mend=mend)
    return found[0].read_bytes()


def earlier_versions(
    workspace: Path, templates: Mapping[str, Template], *, but: str
) -> tuple[Strategy, ...]:
    """The versions with sticky steps that were in force before, the latest first.

    Raises BadInput where one cannot be read any more.
    """
    folder = workspace / VERSIONS
    kept = sorted(folder.glob("*.yaml"), key=lambda path: (-path.stat().st_mtime_ns, path.name))
    versions = [load_strategy(path, templates=stages_of(templates)) for path in kept[:VERSIONS_MAX]]
    return tuple(
        each for each in versions if each.content_hash != but and any(s.sticky for s in each.steps)
    )
