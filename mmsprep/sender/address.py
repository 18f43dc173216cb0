"""The recipient's number as the gateway wants it: digits with the country code, no plus (E.164 without it).

Comes in: a number as people write it. Goes out: an MSISDN, and a word on what was changed. Never: a guess at the
country.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmsprep.errors import AddressError

_MSISDN = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_WRITTEN = re.compile(r"\+?[0-9][0-9 \u00a0\u202f().\-\u2010\u2011/]*", re.ASCII)
_NOT_DIGITS = re.compile(r"[^0-9]")
_EXPECTED = "expected 7 to 15 digits with the country code, like 61409317436"


@dataclass(frozen=True, slots=True)
class Msisdn:
    """``digits`` go to the gateway; ``note`` says what was changed, empty where nothing was."""

    digits: str
    note: str = ""


def msisdn(written: str, country: str = "") -> Msisdn:
    """Read a number.

    Args:
        written: as people write it: ``61409317436``, ``+61 409 317 436``, with ``country`` also ``0409 317 436``.
        country: two letters (ISO 3166) of the country whose national numbers are completed; empty: none is.

    Raises:
        AddressError: it is no number in international form, or cannot be completed.
    """
    text = written.strip()
    if _MSISDN.fullmatch(text) and not country:
        return Msisdn(text)
    if not _WRITTEN.fullmatch(text):
        raise AddressError(f"{written!r}: is no number; {_EXPECTED}")
    # "+61 (0)409": the zero in brackets is dialled at home only.
    digits = _NOT_DIGITS.sub("", text.replace("(0)", "") if text.startswith("+") else text)
    if country and not text.startswith("+"):
        digits = _completed(written, digits, country)
    elif digits.startswith("0"):
        raise AddressError(
            f"{written}: begins with 0, as numbers are dialled inside a country; {_EXPECTED},"
            " or name the country (--country AU)"
        )
    if not _MSISDN.fullmatch(digits):
        raise AddressError(f"{written}: has {len(digits)} digits; {_EXPECTED}")
    return Msisdn(digits, "" if digits == written else f"{written} is sent to as {digits}")


def _completed(written: str, digits: str, country: str) -> str:
    """A national number with its country code in front; one that has it already stays."""
    import phonenumbers

    region = country.strip().upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise AddressError(f"the country {country!r} is unknown; expected two letters like AU")
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as error:
        raise AddressError(f"{written}: is no number in {region} ({error})") from None
    # Possible, not valid: which numbers are given out changes faster than anybody's tables.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise AddressError(f"{written}: is no number in {region}; write it with its country code, like +61409317436")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
