"""The Python that runs this, and whether its makers let a profile tell them what runs often."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Mapping
from typing import Any

OF_THE_SYSTEM = "/usr"  # its packagers profile in ways of their own, which leave no sign


def this_python() -> str:
    """Its version, with a word on its build where that makes it slow."""
    version = platform.python_version()
    if is_unprofiled(sysconfig.get_config_vars(), base=sys.base_prefix):
        return f"{version}, configured without --enable-optimizations"
    return version


def is_unprofiled(built: Mapping[str, Any], *, base: str) -> bool:
    """Whether it was for certain not built by profile.

    `built` is how, as sysconfig has it; `base` is where it is installed. Debian's Python shows
    nothing of the profile that it was built by, so of a system's own nothing is said.

    >>> is_unprofiled({"CONFIG_ARGS": "'--prefix=/opt'"}, base="/opt")
    True
    >>> is_unprofiled({"CONFIG_ARGS": "'--enable-optimizations'"}, base="/opt")
    False
    >>> is_unprofiled({"CONFIG_ARGS": "'--prefix=/usr'"}, base="/usr")
    False
    """
    said = str(built.get("CONFIG_ARGS") or "")
    how = " ".join(str(built.get(name) or "") for name in ("CONFIG_ARGS", "PY_CORE_CFLAGS"))
    is_profiled = any(sign in how for sign in ("--enable-optimizations", "-fprofile-"))
    return bool(said) and not is_profiled and base != OF_THE_SYSTEM
