"""What the gateway takes, whichever door it comes by: addresses, media types, names, base64.

Comes in: single values of a request. Goes out: the value in its proper form, or :class:`Refused` with the
status of SMSGlobal's table. Never: a repair; the real gateway may be more lenient, a message that passes here
has nothing to fear from it.
"""

from __future__ import annotations

import binascii
import re
from types import MappingProxyType

from mmsprep.errors import MmsprepError
from mmsprep.formats import FORMATS, Format
from mmsprep.model import Attachment
from mmsprep.sandbox.exchange import Refused
from mmsprep.sniff import identify

MAX_ATTACHMENTS = 15

ADDRESS_ERROR = 2002
MULTIMEDIA = 2004
FORMAT_CORRUPT = 2007

_MPEG = frozenset(("mp4", "mpeg-ps", "mpeg-ts", "mpeg-video"))
MEDIA_TYPES = MappingProxyType(
    {
        "image/jpeg": frozenset(("jpeg",)),
        "image/gif": frozenset(("gif",)),
        "image/bmp": frozenset(("bmp",)),
        "image/vnd.wap.wbmp": frozenset(("wbmp",)),
        "audio/mpeg": frozenset(("mp3",)),
        "audio/mid": frozenset(("midi",)),
        "audio/midi": frozenset(("midi",)),
        "audio/wav": frozenset(("wav",)),
        "audio/amr": frozenset(("amr",)),
        "audio/imelody": frozenset(("imelody", "emelody")),
        "video/mpeg4": _MPEG,
        "video/3gpp": frozenset(("3gp",)),
        "text/plain": frozenset(("text",)),
        "text/x-imelody": frozenset(("imelody",)),
        "text/x-emelody": frozenset(("emelody",)),
    }
)
"""SMSGlobal's compatibility table: media type to the formats that honestly are it.

Left out are the rows "not currently supported". WBMP is there although its row was lost in the published text
(its remark stands in GIF's row).
"""

_MSISDN = re.compile(r"[1-9][0-9]{6,14}")
_NAME = re.compile(r'[^\x00-\x1f\x7f"<>/\\:*?|]{1,100}')


def check_short_code(where: str, code: str) -> None:
    """A service's short number within a network, digits alone, as in ``222``.

    Raises:
        Refused: it is none.
    """
    if not re.fullmatch("[0-9]{3,8}", code, re.ASCII):
        raise Refused(ADDRESS_ERROR, f"{where}: {code[:40]!r} is no short code; expected three to eight digits")


def check_number(where: str, number: str) -> None:
    """An MSISDN: country code and number, digits alone, as in ``61409317436``.

    Raises:
        Refused: it is none.
    """
    if _MSISDN.fullmatch(number):
        return
    hint = ""
    if number.startswith(("+", " ")):
        hint = "; do not use + before the country code"
    elif number.startswith("0"):
        hint = "; it begins with the country code, not with 0"
    elif not number.isdigit():
        hint = "; digits only"
    raise Refused(
        ADDRESS_ERROR, f"{where}: {number[:40]!r} is no MSISDN, expected 7 to 15 digits like 61409317436{hint}"
    )


def check_name(where: str, name: str) -> None:
    """A plain file name.

    Raises:
        Refused: it is empty, too long, or has a path or a control character in it.
    """
    if not _NAME.fullmatch(name) or name.strip(". ") == "":
        raise Refused(FORMAT_CORRUPT, f"{where}: {name[:60]!r} is no plain file name like image1.jpg")


def check_media(where: str, declared_type: str, data: bytes) -> Format:
    """A media type of the table, and content that is of that type.

    Returns:
        What the content really is.

    Raises:
        Refused: the type is not in the table, or the content is something else.
    """
    content_type = declared_type.partition(";")[0].strip().lower()
    allowed = MEDIA_TYPES.get(content_type)
    if allowed is None:
        raise Refused(
            MULTIMEDIA,
            f"{where}: the type {declared_type[:60]!r} is not in the compatibility table ({', '.join(MEDIA_TYPES)})",
        )
    if not data:
        raise Refused(MULTIMEDIA, f"{where}: is empty")
    if content_type == "text/plain":
        _check_text(where, data)
        return FORMATS["text"]
    try:
        found = identify(Attachment(0, where, len(data), data=data))
    except MmsprepError as error:
        raise Refused(MULTIMEDIA, f"{where}: declared as {content_type}, but the content says: {error}") from None
    if found.slug not in allowed:
        raise Refused(MULTIMEDIA, f"{where}: declared as {content_type}, but it is {found.title}")
    return found


def decode_base64(where: str, text: str) -> bytes:
    """The bytes of a base64 value: standard alphabet, padded, without blanks or line ends.

    Raises:
        Refused: it is not that.
    """
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        hint = ""
        if " " in text:
            hint = "; it has blanks: was + not URL-encoded as %2B?"
        elif "\n" in text:
            hint = "; it has line ends"
        elif "-" in text or "_" in text:
            hint = "; it looks like the URL-safe alphabet"
        raise Refused(MULTIMEDIA, f"{where}: is not valid base64 ({error}){hint}") from None


def _check_text(where: str, data: bytes) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(MULTIMEDIA, f"{where}: text/plain must be UTF-8 or US-ASCII, and it is not") from None
    if "\0" in text:
        raise Refused(MULTIMEDIA, f"{where}: text/plain must be UTF-8 or US-ASCII (not UTF-16), and it has NUL bytes")
