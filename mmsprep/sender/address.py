"""The recipient's number as the gateway wants it: digits with the country code, no plus (E.164 without it).

Comes in: a number as people write it. Goes out: an MSISDN, and a word on what was changed. Never: a guess at the
country.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

from mmsprep.errors import AddressError, UsageError, a_kind_of

_MSISDN = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_SHORT_CODE = re.compile(r"[1-9][0-9]{2,5}|1[0-9]{6,7}", re.ASCII)
_WRITTEN = re.compile(r"\(?\+?\(?[0-9][0-9 \u00a0\u202f().\-\u2010\u2011/]*", re.ASCII)
_SHOWS_NOTHING = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Marks of direction, which phones put round a number that is copied, and spaces without width."""
_DECIMAL = re.compile(r"(\+?[0-9]{7,15})[.,](0{1,2})|\+?[0-9]{7,15}[.,][0-9]{1,2}", re.ASCII)
"""How a table that takes numbers for amounts writes one: 61409317436.0."""
_NOT_DIGITS = re.compile(r"[^0-9]")
_ONE = "expected a number as a str"
_EXPECTED = "expected 7 to 15 digits with the country code, like 61409317436"


@dataclass(frozen=True, slots=True)
class Msisdn:
    """``digits`` go to the gateway; ``note`` says what was changed, empty where nothing was."""

    digits: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who a message appears to be from: an MSISDN, or a service's short code within a network."""

    digits: str
    is_short_code: bool = False
    note: str = ""


class PhoneNumber(Protocol):
    """A number as ``phonenumbers`` parses it; Django's phone field gives the same."""

    country_code: Any
    national_number: Any


Recipient = str | int | PhoneNumber | Msisdn
Recipients = Recipient | Iterable[Recipient]
"""One recipient, or several."""


def as_recipients(value: Recipients, argument: str = "to") -> tuple[str, ...]:
    """One recipient or many, as many numbers as they were written.

    Raises:
        UsageError: something is no number; ``argument`` is what the message calls it.
    """
    if is_one_recipient(value):
        return (_written(value, argument),)
    if isinstance(value, Iterable) and not isinstance(value, (Mapping, bytes, bytearray, memoryview)):
        return tuple(_written(one, f"{argument}: number {place}") for place, one in enumerate(value, start=1))
    raise UsageError(f"{argument}: is {a_kind_of(value)}; {_ONE}, or several of them")


def is_one_recipient(value: object) -> bool:
    """Whether ``value`` is one recipient, not several."""
    return isinstance(value, (str, int, Msisdn)) or hasattr(value, "national_number")


def _written(value: object, called: str) -> str:
    if isinstance(value, Msisdn):
        return value.digits
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if getattr(value, "national_number", None) is not None and getattr(value, "country_code", None) is not None:
        import phonenumbers

        number = cast(phonenumbers.PhoneNumber, value)
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    raise UsageError(f"{called}: is {a_kind_of(value)}; {_ONE}")


def msisdn(written: str, country: str = "") -> Msisdn:
    """Read a number.

    Args:
        written: as people write it: ``61409317436``, ``+61 409 317 436``, with ``country`` also ``0409 317 436`` and
            ``0061 409 317 436``; also ``61409317436.0``, as tables write it.
        country: two letters (ISO 3166) of the country whose national numbers are completed; empty: none is.

    Raises:
        AddressError: it is no number in international form, or cannot be completed.
    """
    text = _SHOWS_NOTHING.sub("", written).strip()
    text = text[4:] if text[:4].lower() == "tel:" else text
    if decimal := _DECIMAL.fullmatch(text):
        if not decimal[1]:
            raise AddressError(f"{written}: is an amount, no number; {_EXPECTED}")
        text = decimal[1]
    if _MSISDN.fullmatch(text) and not country:
        return Msisdn(text, _note(written, text))
    if not _WRITTEN.fullmatch(text):
        raise AddressError(f"{written!r}: is no number; {_EXPECTED}")
    # "+61 (0)409": the zero in brackets is dialled at home only.
    is_international = "+" in text
    digits = _NOT_DIGITS.sub("", text.replace("(0)", "") if is_international else text)
    if country and not is_international:
        digits = _completed(written, digits, country)
    elif digits.startswith("0"):
        raise AddressError(
            f"{written}: begins with 0, as numbers are dialled inside a country; {_EXPECTED},"
            " or name the country (--country AU)"
        )
    if not _MSISDN.fullmatch(digits):
        raise AddressError(f"{written}: has {len(digits)} digits; {_EXPECTED}")
    return Msisdn(digits, _note(written, digits))


def _note(written: str, digits: str) -> str:
    return "" if digits == written else f"{written} is sent to as {digits}"


def country_of(number: Msisdn) -> str:
    """The country of a number, as two letters of ISO 3166; empty where its digits do not tell."""
    import phonenumbers

    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(f"+{number.digits}")) or ""
    except phonenumbers.NumberParseException:
        return ""


def origin(written: str, country: str = "") -> Origin:
    """Read the number that a message is to appear from: a short code, or what :func:`msisdn` reads.

    A short code has three to eight digits; seven and eight may be an MSISDN as well, unless they begin with 1 (as
    Australia's 19 numbers do): numbers of the country code 1 have eleven.

    Raises:
        AddressError: it is neither.
    """
    text = written.strip()
    if _SHORT_CODE.fullmatch(text):
        return Origin(text, is_short_code=True)
    number = msisdn(written, country)
    return Origin(number.digits, note=number.note)


def _completed(written: str, digits: str, country: str) -> str:
    """A national number with its country code in front; one that has it already stays."""
    import phonenumbers

    region = country.strip().upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise AddressError(f"the country {country!r} is unknown; expected two letters like AU")
    try:
        number = phonenumbers.parse(digits, region, keep_raw_input=True)
    except phonenumbers.NumberParseException as error:
        raise AddressError(f"{written}: is no number in {region} ({error})") from None
    if digits.startswith("00") and number.country_code_source != phonenumbers.CountryCodeSource.FROM_NUMBER_WITH_IDD:
        return _dialled_abroad(written, digits)
    # Possible, not valid: which numbers are given out changes faster than anybody's tables.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise AddressError(f"{written}: is no number in {region}; write it with its country code, like +61409317436")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def _dialled_abroad(written: str, digits: str) -> str:
    """What follows 00, the prefix of most countries (ITU-T E.123); to those that dial 0011 or 011 it is something else.

    So it has to be a number that is given out.
    """
    import phonenumbers

    with suppress(phonenumbers.NumberParseException):
        number = phonenumbers.parse(f"+{digits[2:]}")
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
    raise AddressError(f"{written}: what follows 00 is no number of any country; write it like +61409317436")
