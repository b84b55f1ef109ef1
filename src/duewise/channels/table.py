"""What a provider can do, and what each of its codes asks: data, in YAML beside its module."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Literal, TypeAlias

import yaml

from duewise.channels.base import Capabilities, ReceiptStatus, Refused, Unknown

Asks: TypeAlias = Literal["retry", "re-route", "dead_address", "stop", "unknown"]


def refusal(module: str, code: str) -> Refused | Unknown:
    """An error code as the table beside a module reads it; one nobody listed is worth another try.

    >>> refusal("duewise.channels.aliyun", "isv.MOBILE_NUMBER_ILLEGAL").is_permanent
    True
    """
    known = table(module)
    asks: Asks | None = known["codes"].get(code)
    if asks == "unknown":
        return Unknown(code)
    is_permanent = asks in {"dead_address", "stop"}
    return Refused(
        code,
        is_permanent,
        None if is_permanent else known["retry_after_s"],
        is_address_dead=asks == "dead_address",
        is_of_account=asks == "re-route",
    )


def receipt_status(module: str, word: str) -> ReceiptStatus | None:
    """What a provider's word in a receipt means; None: not its last word, or no word of its table.

    >>> receipt_status("duewise.channels.twilio", "undelivered")
    'failed'
    """
    status: ReceiptStatus | None = table(module)["receipts"].get(word)
    return status


def capabilities(module: str) -> Capabilities:
    """What the table says that the provider can do.

    >>> capabilities("duewise.channels.aliyun").carries
    'sms'
    """
    return Capabilities(**table(module)["can"])


@cache
def table(module: str) -> dict[str, Any]:
    """A provider's table: the YAML of the module's name, in its package."""
    package, _, name = module.rpartition(".")
    text = (resources.files(package) / f"{name}.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
