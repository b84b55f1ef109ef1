"""Phone numbers in one form, E.164, or the reason why one cannot be used for a message."""

from __future__ import annotations

from enum import Enum

import polars as pl

# Mainland mobiles as they are usually written: what the library would say of them, in one pass.
_PLAIN_CN_MOBILE = r"^(?:\+86|0086|86)?(1(?:[38]\d|4[57]|[59][0-35-9]|6[25-7]|7[0-35-8])\d{8})$"


_SHOWN_HEAD, _SHOWN_TAIL = 6, 4  # of a number: +86138****8000


class PhoneFault(Enum):
    """Why a text is no address for a message."""

    NOT_A_NUMBER = "not a phone number"
    TOO_SHORT = "too short for a phone number"
    TOO_LONG = "too long for a phone number"
    NOT_ASSIGNED = "no such number is assigned"
    NOT_A_MOBILE = "not a mobile number"


def masked_number(number: str) -> str:
    """A number of which nobody can make out the whole; nothing of one too short for that.

    >>> masked_number("+8613800008000"), masked_number("95000")
    ('+86138****8000', '****')
    """
    if len(number) <= _SHOWN_HEAD + _SHOWN_TAIL + 2 or not number.removeprefix("+").isdecimal():
        return "****"
    return f"{number[:_SHOWN_HEAD]}****{number[-_SHOWN_TAIL:]}"


def normalise_phone(text: str, *, region: str = "CN") -> str | PhoneFault:
    """The number in E.164; `region` (ISO 3166) is where numbers without a country code are from.

    >>> normalise_phone("138 0013 8000"), normalise_phone("021-12345678").value
    ('+8613800138000', 'not a mobile number')
    """
    import phonenumbers
    from phonenumbers import PhoneNumberFormat, PhoneNumberType, ValidationResult

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return PhoneFault.NOT_A_NUMBER
    length = phonenumbers.is_possible_number_with_reason(number)
    if length == ValidationResult.TOO_SHORT:
        return PhoneFault.TOO_SHORT
    if length == ValidationResult.TOO_LONG:
        return PhoneFault.TOO_LONG
    if not phonenumbers.is_valid_number(number):
        return PhoneFault.NOT_ASSIGNED
    can_take_sms = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
    if phonenumbers.number_type(number) not in can_take_sms:
        return PhoneFault.NOT_A_MOBILE
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def normalise_phones(
    texts: pl.Series, *, region: str = "CN"
) -> tuple[pl.Series, dict[int, PhoneFault]]:
    """A column in E.164, and the faults by row; null where null or at fault. Order is kept."""
    plain = texts if region == "CN" else texts.clear(texts.len())
    numbers = "+86" + plain.str.extract(_PLAIN_CN_MOBILE, 1)
    rest = texts.to_frame("text").with_row_index("row")
    rest = rest.filter(numbers.is_null() & texts.is_not_null())
    answers = {row: normalise_phone(text, region=region) for row, text in rest.iter_rows()}
    faults = {row: answer for row, answer in answers.items() if isinstance(answer, PhoneFault)}
    found = {row: answer for row, answer in answers.items() if not isinstance(answer, PhoneFault)}
    return numbers.scatter(list(found), list(found.values())), faults
