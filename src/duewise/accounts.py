"""Accounts: what the settings and the workspace's secrets say of one, put together into a channel.

A secret never stands in `duewise.toml`: it is in a variable of its own, or in a file of `secrets`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from duewise.config import FILE, Account, AccountSection, Config
from duewise.errors import BadInput
from duewise.times import Clock

if TYPE_CHECKING:
    from duewise.channels.base import Channel
    from duewise.channels.provider import Provider
    from duewise.jobs.deliver import DeliverySettings
    from duewise.jobs.ways import Ways

CARRIERS = ("smpp", "cmpp")
Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Line:
    """A channel, and when a doubt about what it took may end."""

    channel: Channel
    settings: DeliverySettings


def lines_of(workspace: Path, config: Config, clock: Clock) -> list[Line]:
    """Every account that something leaves by. Raises BadInput where one carries another kind."""
    lines = []
    for kind, name in config.chosen:
        if name in config.routes.sms and name not in config.accounts:
            raise BadInput(
                f"{name!r} cannot share the texts",
                source=str(workspace / FILE),
                mend="make it the carrier, or name one of accounts",
            )
        channel = channel_of(name, workspace, config, clock)
        carries = channel.capabilities.carries
        if carries != kind:
            raise BadInput(
                f"the account {name!r} carries {carries}, not {kind}",
                source=str(workspace / FILE),
                mend=f"name another account for {kind}",
            )
        settings = replace(delivery_of(name, config), ways=ways_of(kind, config))
        lines.append(Line(channel, settings))
    return lines


def ways_of(kind: str, config: Config) -> Ways:
    """The routes that carry a kind of message, with their weights and prices."""
    from duewise.jobs.ways import Ways
    from duewise.outbox.ways import Way

    ways = []
    for name in dict.fromkeys(name for carries, name in config.chosen if carries == kind):
        account = config.account_of(name)
        ways.append(Way(name, account.weight, account.price_per_part))
    return Ways(tuple(ways), is_learned=config.routes.weights == "auto")


def rates_of(config: Config) -> dict[str, float]:
    """Parts a second at which each kind of message can leave, where its routes limit that.

    They share a kind by weight: the one that is fullest at its share says how fast all can go.
    """
    rates = {}
    for kind in dict.fromkeys(kind for kind, _ in config.chosen):
        names = dict.fromkeys(name for carries, name in config.chosen if carries == kind)
        accounts = [config.account_of(name) for name in names]
        homes = [each for each in accounts if each.weight > 0] or accounts[:1]
        whole = sum(each.weight for each in homes)
        limits = [
            each.rate_per_s * (whole / each.weight if whole else 1.0)
            for each in homes
            if each.rate_per_s is not None
        ]
        if limits:
            rates[kind] = min(limits)
    return rates


def kinds_held(config: Config) -> tuple[str, ...]:
    """The kinds of message of which every account holds to an end of validity; no secret is read.

    Before a route is chosen the guard is told the worst of them.
    """
    held: dict[str, bool] = {}
    for kind, name in config.chosen:
        held[kind] = held.get(kind, True) and _holds(config.account_of(name))
    return tuple(sorted(kind for kind, holds in held.items() if holds))


def _holds(account: Account) -> bool:
    if not isinstance(account, AccountSection):
        return account.holds_validity
    from duewise.channels.provider import find_provider
    from duewise.channels.table import capabilities

    try:
        return capabilities(find_provider(account.provider).module).holds_validity
    except (BadInput, FileNotFoundError):
        return False  # `lines_of` says what is wrong with it


def channel_of(
    name: str, workspace: Path, config: Config, clock: Clock, *, port: int | None = None
) -> Channel:
    """An account's channel, closed yet; a carrier's at another port if one is given.

    Raises BadInput for an account that is not there, is wrong, or lacks a secret.
    """
    account = config.account_of(name)
    if isinstance(account, AccountSection):
        return _at_provider(name, account, workspace, config, clock)
    from duewise.channels.cmpp.channel import cmpp_channel
    from duewise.channels.cmpp.settings import CmppSettings
    from duewise.channels.smpp.channel import smpp_channel
    from duewise.channels.smpp.settings import SmppSettings

    password = account_password(name, workspace, config)
    given = account.model_dump() | {"password": password, "port": port or account.port}
    if name == "cmpp":
        return cmpp_channel(_taken(CmppSettings, given), clock=clock)
    return smpp_channel(_taken(SmppSettings, given), clock=clock)


def delivery_of(name: str, config: Config) -> DeliverySettings:
    """When a doubt about a message of this account may end."""
    from duewise.jobs.deliver import DeliverySettings

    # Only SMPP carries our reference to and fro: no other doubt ends by its absence.
    account = config.account_of(name)
    return DeliverySettings(
        receipt_horizon_s=account.receipt_horizon_s,
        resend_unknown_after_s=config.smpp.resend_unknown_after_s if name == "smpp" else None,
        rate_per_s=account.rate_per_s,
    )


def account_password(name: str, workspace: Path, config: Config) -> str:
    """A carrier's password: from the settings' environment, else from the workspace's secrets."""
    account = config.account_of(name)
    assert not isinstance(account, AccountSection), "a provider's secrets have names"
    if account.password is not None:
        return account.password
    path = workspace / "secrets" / name
    if not path.exists():
        raise BadInput(
            f"no password for the {name.upper()} account",
            source=str(path),
            mend=f"write it there (mode 0600) or set DUEWISE_{name.upper()}__PASSWORD",
        )
    return path.read_text(encoding="utf-8").strip()


def _at_provider(
    name: str, account: AccountSection, workspace: Path, config: Config, clock: Clock
) -> Channel:
    from duewise.channels.heard import hook_url
    from duewise.channels.provider import find_provider

    place = f"{workspace / FILE}: accounts.{name}"
    try:
        provider = find_provider(account.provider)
        provider.check_names(account.own)
        given = {
            field: os.environ.get(_variable(name, field), value) if _is_plain(value) else value
            for field, value in account.own.items()
            if field not in provider.secrets
        }
        if account.sender_id and "sender_id" in provider.names:
            given["sender_id"] = account.sender_id
        given |= _secrets(name, account, provider, workspace)
        if "callback_url" in provider.names and config.hooks.public_url:
            given.setdefault("callback_url", hook_url(config.hooks.public_url, name))
        return provider.opens(provider.account({"name": name} | given), clock=clock)
    except BadInput as error:
        raise BadInput(error.message, source=error.source or place, mend=error.mend) from None


def _secrets(
    name: str, account: AccountSection, provider: Provider, workspace: Path
) -> Mapping[str, Any]:
    """The account's secrets as they are written, from their variables or files."""
    found = {}
    for field in provider.secrets:
        variable = _variable(name, field)
        path = workspace / "secrets" / f"{name}.{field}"
        if variable in os.environ:
            found[field] = os.environ[variable]
        elif field in account.own:
            raise BadInput(
                f"the secret {field!r} stands in the settings",
                mend=f"move it to {path} (mode 0600), or to {variable}",
            )
        elif path.exists():
            found[field] = path.read_text(encoding="utf-8").strip()
        elif field in provider.required:
            raise BadInput(
                f"no {field} for the account {name!r}",
                source=str(path),
                mend=f"write it there (mode 0600) or set {variable}",
            )
    return found


def _variable(name: str, field: str) -> str:
    return f"DUEWISE_ACCOUNTS__{name}__{field}".upper()


def _is_plain(value: object) -> bool:
    """Whether a variable's text may have been taken for a number: an account's id, say."""
    return isinstance(value, int | float)


def _taken(kind: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Settings of that kind, from those of the given that it knows."""
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: given[name] for name in names if name in given})
