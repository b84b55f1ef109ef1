"""Functions as machine code, kept on disk under a name that changes with the code.

Numba keeps what it compiled beside the file that asked, and looks again when that file changes; it
does not see that a function called from there, in another file, has changed. A ledger must not run
yesterday's arithmetic, so the folder is named by a hash over all files that are compiled.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import numba
from numba.core import config
from numba.np import linalg

Function = TypeVar("Function", bound=Callable[..., object])

_HERE = Path(__file__).resolve().parent
COMPILED = (
    "accrual.py",
    "columns.py",
    "compiled.py",
    "fold.py",
    "reading.py",
    "straight.py",
    "sweep.py",
    "working.py",
)


# Numba counts who holds an array, at each call and each access out of a tuple. A function that
# makes none needs no count: its caller holds what it was given.
_UNCOUNTED: dict[str, Any] = {"_nrt": False}


def compiled(function: Function) -> Function:
    """The function as machine code; it runs without Python's lock, and 1/0 does not raise."""
    make = numba.njit(cache=True, nogil=True, error_model="numpy")
    return cast(Function, make(function))


def uncounted(function: Function) -> Function:
    """The same for what makes no array, without the count of who holds those it was given."""
    make = numba.njit(cache=True, nogil=True, error_model="numpy", **_UNCOUNTED)
    return cast(Function, make(function))


def inlined(function: Function) -> Function:
    """The same, copied into whatever calls it: for the smallest and most used."""
    make = numba.njit(nogil=True, error_model="numpy", forceinline=True, **_UNCOUNTED)
    return cast(Function, make(function))


def sources_hash(folder: Path) -> str:
    """A hash over the files of a folder that are compiled."""
    content = hashlib.sha256()
    for name in COMPILED:
        content.update((folder / name).read_bytes())
    return content.hexdigest()[:16]


def _folder() -> Path:
    """Beside the code where that may be written, else in the account's cache."""
    if os.access(_HERE, os.W_OK):
        return _HERE / "__pycache__"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "duewise"


def is_kept() -> bool:
    """Whether machine code of these very sources is on disk; if not, the first use makes it."""
    return Path(vars(config)["CACHE_DIR"]).is_dir()


if not os.environ.get("NUMBA_CACHE_DIR"):
    vars(config)["CACHE_DIR"] = str(_folder() / f"ledger-{sources_hash(_HERE)}")


def _leave_scipy_out() -> None:
    """Let Numba not look for SciPy's matrix products, which nothing here takes.

    It would when it loads its first function, and a worker waited 0.3 s for it. A Numba that goes
    about it in another way is left to it.
    """

    def is_not_needed() -> NoReturn:
        raise ImportError("no function here multiplies matrices")

    asked = vars(linalg).get("ensure_blas")
    if asked is None:
        return
    vars(linalg)["ensure_blas"] = is_not_needed
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        vars(linalg)["ensure_blas"] = asked


_leave_scipy_out()
