"""Models on disk: every fit has a folder of its own, and one of each target is the champion.

    WORKSPACE/models/TARGET/VERSION/model.json card.json card.html
    WORKSPACE/models/TARGET/champion.json in_use.json

VERSION is the beginning of the SHA-256 of model.json. A folder is written once and never changed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from duewise.errors import BadInput, IntegrityBroken
from duewise.risk.cured import CURED
from duewise.risk.fit import Fitted
from duewise.risk.hazard import FittedHazard
from duewise.risk.hazard_check import OURS
from duewise.store.files import write_atomically, write_once

FOLDER = "models"
CHAMPION, IN_USE = "champion.json", "in_use.json"
VERSION_CHARS = 12
_MODEL: TypeAdapter[Fitted] = TypeAdapter(Fitted)
_HAZARD: TypeAdapter[FittedHazard] = TypeAdapter(FittedHazard)


def version_of(fitted: Fitted | FittedHazard) -> str:
    """The name that its content gives a model."""
    return _version(_dumped(fitted))


def save(workspace: Path, fitted: Fitted | FittedHazard, card: dict[str, Any], page: str) -> Path:
    """The folder of the fit, made if it is not there yet."""
    content = _dumped(fitted)
    folder = workspace / FOLDER / fitted.target / _version(content)
    folder.mkdir(parents=True, exist_ok=True)
    write_once(folder / "model.json", content)
    write_atomically(folder / "card.html", page.encode())
    write_atomically(folder / "card.json", json.dumps(card, indent=1, default=str).encode())
    return folder


def promote(workspace: Path, target: str, version: str) -> None:
    """Make this version the champion of its target."""
    content = json.dumps({"version": version}).encode()
    write_atomically(workspace / FOLDER / target / CHAMPION, content)
    # What was said of the last champion says nothing of this one.
    (workspace / FOLDER / target / IN_USE).unlink(missing_ok=True)


def champion_version(workspace: Path, target: str) -> str | None:
    """The champion's version; None where no model was ever registered."""
    path = workspace / FOLDER / target / CHAMPION
    if not path.exists():
        return None
    return str(json.loads(path.read_bytes())["version"])


def champion_of(workspace: Path, target: str) -> str:
    """The champion's version, its file being what was written. Raises as `load`."""
    _content(workspace, target, None)
    return champion_version(workspace, target) or ""


def use(workspace: Path, target: str, said: dict[str, Any]) -> None:
    """Write down which model of the champion is to be used, and why: what the monitor said."""
    write_atomically(workspace / FOLDER / target / IN_USE, json.dumps(said).encode())


def in_use(workspace: Path, target: str) -> str:
    """`boosting`, `scorecard` or `rules`; boosting until a monitor says otherwise.

    Of the hazard of paying `hazard`, `usual day` or `rules`.
    """
    path = workspace / FOLDER / target / IN_USE
    if not path.exists():
        return OURS if target == CURED else "boosting"
    return str(json.loads(path.read_bytes())["model"])


def load(workspace: Path, target: str, version: str | None = None) -> Fitted:
    """A model, the champion unless a version is named.

    Raises BadInput where there is none, IntegrityBroken where its file is not what was written.
    """
    content = _content(workspace, target, version)
    if target == CURED:
        mend = "name a target such as late_1"
        raise BadInput("the hazard of paying tells nobody from others by a score", mend=mend)
    return _MODEL.validate_json(content)


def load_hazard(workspace: Path, version: str | None = None) -> FittedHazard:
    """The hazard of paying, in the same way."""
    return _HAZARD.validate_json(_content(workspace, CURED, version))


def _content(workspace: Path, target: str, version: str | None) -> bytes:
    chosen = version or champion_version(workspace, target)
    path = workspace / FOLDER / target / (chosen or "") / "model.json"
    if chosen is None or not path.exists():
        mend = "fit one by `duewise risk fit`"
        raise BadInput(f"no model of {target!r}", source=str(path.parent), mend=mend)
    content = path.read_bytes()
    if _version(content) != chosen:
        raise IntegrityBroken(f"the model file was changed: {path}")
    return content


def load_card(workspace: Path, target: str, version: str) -> dict[str, Any]:
    """The card of a version, as it was written."""
    path = workspace / FOLDER / target / version / "card.json"
    card: dict[str, Any] = json.loads(path.read_bytes())
    return card


def _dumped(fitted: Fitted | FittedHazard) -> bytes:
    if isinstance(fitted, FittedHazard):
        return _HAZARD.dump_json(fitted)
    return _MODEL.dump_json(fitted)


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:VERSION_CHARS]
