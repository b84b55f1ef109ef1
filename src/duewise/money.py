"""Money: whole minor units and a currency, exact. No float ever comes near it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from babel.numbers import format_currency, get_currency_precision


@dataclass(frozen=True, order=True)
class Money:
    """`minor` counts the currency's smallest unit (fen, cent); it may be negative."""

    minor: int
    currency: str

    def split(self, parts: int) -> list[Money]:
        """Split exactly; the first shares take what is left over.

        >>> [share.minor for share in Money(100, "CNY").split(3)]
        [34, 33, 33]
        """
        share, left_over = divmod(self.minor, parts)
        return [Money(share + (i < left_over), self.currency) for i in range(parts)]

    @property
    def major(self) -> Decimal:
        """The amount in major units, exact.

        >>> Money(86840, "CNY").major
        Decimal('868.40')
        """
        exponent = minor_digits(self.currency)
        return Decimal(self.minor).scaleb(-exponent)


def minor_digits(currency: str) -> int:
    """How many decimal digits the currency has (ISO 4217): CNY 2, JPY 0."""
    return int(get_currency_precision(currency))


def to_minor(amount: str | Decimal, currency: str) -> int:
    """A decimal amount in major units as whole minor units, rounded half-up.

    >>> to_minor("868.405", "CNY")
    86841

    Raises ValueError for text that is not a finite decimal number.
    """
    try:
        value = Decimal(amount)
        scaled = value.scaleb(minor_digits(currency)).quantize(Decimal(1), ROUND_HALF_UP)
    except InvalidOperation as error:
        raise ValueError(f"not an amount: {amount!r}") from error
    return int(scaled)


def format_money(money: Money, *, locale: str) -> str:
    """The amount as people of that locale write it.

    >>> format_money(Money(86840, "CNY"), locale="zh_CN")
    '¥868.40'
    """
    return str(format_currency(money.major, money.currency, locale=locale))
