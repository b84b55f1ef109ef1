"""Providers by their names: the entry points `duewise.channels`, and what an account of each needs.

An entry point names a function of the account's settings and a clock that returns a channel. The
settings are a dataclass; a field that its `repr` leaves out is a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from importlib import metadata
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter, ValidationError

from duewise.channels.base import Channel
from duewise.errors import BadInput

GROUP: Final = "duewise.channels"


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: how a channel over an account of it is made, and of which settings."""

    name: str
    opens: Callable[..., Channel]
    settings: type[Any]

    @property
    def module(self) -> str:
        """Where it lives, and its table beside it."""
        return self.opens.__module__

    @property
    def names(self) -> tuple[str, ...]:
        """All its settings."""
        return tuple(field.name for field in fields(self.settings))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The settings that are never shown, nor written into the settings' file."""
        return tuple(field.name for field in fields(self.settings) if not field.repr)

    @property
    def required(self) -> tuple[str, ...]:
        """The settings that have no default."""
        return tuple(field.name for field in fields(self.settings) if _is_required(field))

    def check_names(self, given: Iterable[str]) -> None:
        """Raises BadInput for a setting that the provider does not know."""
        known = [field.name for field in fields(self.settings) if field.repr]
        unknown = sorted(set(given) - {*known, *self.secrets})
        if unknown:
            raise BadInput(
                f"{self.name} knows no setting {unknown[0]!r}",
                mend=f"known here: {', '.join(known)}",
            )

    def account(self, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - each provider's own kind
        """The settings of an account. Raises BadInput naming the one that is wrong."""
        try:
            return TypeAdapter(self.settings).validate_python(dict(given))
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)[0]
            key = ".".join(str(part) for part in found["loc"])
            raise BadInput(f"setting {key!r}: {found['msg']}", mend="see channels.md") from None


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def provider_names() -> tuple[str, ...]:
    """The providers that this installation knows."""
    return tuple(sorted({each.name for each in metadata.entry_points(group=GROUP)}))


def find_provider(name: str) -> Provider:
    """A provider by the name of its entry point. Raises BadInput.

    >>> provider = find_provider("twilio")
    >>> provider.secrets, provider.required
    (('auth_token',), ('account_sid', 'auth_token'))
    """
    found = tuple(metadata.entry_points(group=GROUP, name=name))
    if not found:
        raise BadInput(f"no provider {name!r}", mend=f"one of {', '.join(provider_names())}")
    opens = found[0].load()
    hints = [hint for key, hint in get_type_hints(opens).items() if key != "return"]
    if not hints or not is_dataclass(hints[0]) or not isinstance(hints[0], type):
        raise BadInput(
            f"the provider {name!r} does not say what its settings are",
            mend="annotate its first parameter with a dataclass",
        )
    return Provider(name, opens, hints[0])
