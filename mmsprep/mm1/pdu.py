"""The MM1 PDU: the headers of MMS encapsulation, and the multipart that they carry.

Comes in: a message and who it is for, or the bytes of a PDU. Goes out: the other. Never: a network, a file.

Source: OMA-TS-MMS-ENC 1.2 (WAP-209 is its first edition): 6 (PDUs), 7.2 (fields), 7.3 (their numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mmsprep.message.mime import Entity, parse_multipart
from mmsprep.mm1 import wsp
from mmsprep.mm1.content import decode_content_type, decode_parts, encode_content_type, encode_parts
from mmsprep.mm1.wsp import Reader

MESSAGE_TYPES = {
    128: "m-send-req",
    129: "m-send-conf",
    130: "m-notification-ind",
    131: "m-notifyresp-ind",
    132: "m-retrieve-conf",
    133: "m-acknowledge-ind",
    134: "m-delivery-ind",
    135: "m-read-rec-ind",
    136: "m-read-orig-ind",
    137: "m-forward-req",
    138: "m-forward-conf",
}
_SEND_REQ, _RETRIEVE_CONF = 128, 132
_VERSION_1_2 = 0x12
_MESSAGE_TYPE, _CONTENT_TYPE, _DATE, _FROM, _SUBJECT, _TO = 0x0C, 0x04, 0x05, 0x09, 0x16, 0x17
_CLASS, _MESSAGE_ID, _VERSION, _DELIVERY_REPORT, _READ_REPORT, _TRANSACTION_ID = 0x0A, 0x0B, 0x0D, 0x06, 0x10, 0x18
_PERSONAL, _YES, _NO, _ADDRESS_PRESENT, _INSERT_ADDRESS = 128, 128, 129, 0x80, 0x81
_MOST_FIELDS = 500


@dataclass(frozen=True, slots=True)
class Pdu:
    """What a PDU says: its kind, its header fields in order, its content.

    ``fields`` are names of OMA-TS-MMS-ENC and values in words. ``content_type`` is as MIME writes it, empty where
    the PDU carries no content. ``parts`` are leaves, the presentation among them.
    """

    kind: str
    fields: tuple[tuple[str, str], ...]
    content_type: str = ""
    parts: tuple[Entity, ...] = ()

    def field(self, name: str) -> str:
        """The first field called ``name``; empty when there is none."""
        return next((value for key, value in self.fields if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Every field called ``name``, in order."""
        return tuple(value for key, value in self.fields if key == name)


def encode_send(
    content: Entity,
    *,
    transaction_id: str,
    recipients: Sequence[str] = (),
    sender: str = "",
    subject: str = "",
    delivery_report: bool = False,
) -> bytes:
    """An M-Send.req: what a phone or modem hands to its relay.

    Args:
        content: the message's ``multipart/related``.
        transaction_id: the relay's answer repeats it.
        recipients: MSISDNs in digits, or mail addresses. A relay wants at least one.
        sender: as a recipient; empty: the relay inserts it.
        subject: any text.
        delivery_report: ask for one.
    """
    fields = [
        _short(_MESSAGE_TYPE, _SEND_REQ),
        _field(_TRANSACTION_ID, wsp.text(transaction_id)),
        _short(_VERSION, 0x80 | _VERSION_1_2),
        _field(_FROM, _from_value(sender)),
        *(_field(_TO, wsp.encoded_string(address(one))) for one in recipients),
        *_subject(subject),
        _short(_CLASS, _PERSONAL),
        _short(_DELIVERY_REPORT, _YES if delivery_report else _NO),
        _short(_READ_REPORT, _NO),
    ]
    return b"".join(fields) + _body(content)


def encode_retrieved(
    content: Entity,
    *,
    message_id: str,
    sent_at_s: int,
    recipients: Sequence[str] = (),
    sender: str = "",
    subject: str = "",
) -> bytes:
    """An M-Retrieve.conf: what the recipient's phone gets from its relay.

    Args:
        content: the message's ``multipart/related``.
        message_id: the relay's name of the message.
        sent_at_s: seconds since 1970.
        recipients: as in :func:`encode_send`.
        sender: as a recipient; empty: hidden.
        subject: any text.
    """
    fields = [
        _short(_MESSAGE_TYPE, _RETRIEVE_CONF),
        _short(_VERSION, 0x80 | _VERSION_1_2),
        _field(_MESSAGE_ID, wsp.text(message_id)),
        _field(_DATE, wsp.long_integer(sent_at_s)),
        *([_field(_FROM, _from_value(sender))] if sender else []),
        *(_field(_TO, wsp.encoded_string(address(one))) for one in recipients),
        *_subject(subject),
        _short(_CLASS, _PERSONAL),
    ]
    return b"".join(fields) + _body(content)


def decode(data: bytes, name: str) -> Pdu:
    """Read a PDU of any kind.

    Args:
        data: the whole PDU.
        name: what errors call it.

    Raises:
        Damaged: it is none, a length leads beyond its end, or a field is not what it can be.
        OverInputLimit: more fields, parts or nesting than a message has.
    """
    reader = Reader(data, name, "the headers")
    if reader.left < 2 or (reader.octet(), reader.peek() & 0x80) != (0x80 | _MESSAGE_TYPE, 0x80):
        raise reader.damaged("it does not begin with X-Mms-Message-Type")
    number = reader.octet()
    kind = MESSAGE_TYPES.get(number, f"m-{number:#x}")
    fields = [("X-Mms-Message-Type", kind)]
    while reader.left:
        if len(fields) >= _MOST_FIELDS:
            raise reader.damaged(f"there are more than {_MOST_FIELDS}")
        if 32 <= reader.peek() < 0x80:
            fields.append((reader.text(), reader.text()))
            continue
        code = reader.octet()
        if code < 0x80:
            raise reader.damaged(f"the octet {code:#04x} stands where a field was expected")
        if code == 0x80 | _CONTENT_TYPE:
            content_type = decode_content_type(reader)
            return Pdu(kind, tuple(fields), content_type, tuple(_content(reader, content_type, name)))
        fields.append(_decoded(reader, code & 0x7F, name))
    return Pdu(kind, tuple(fields))


def address(written: str) -> str:
    """An address as MM1 carries it: a number in international form with its type, a mail address as it is."""
    return written if "@" in written or "/TYPE=" in written else f"+{written.removeprefix('+')}/TYPE=PLMN"


def _field(number: int, value: bytes) -> bytes:
    return bytes([0x80 | number]) + value


def _short(number: int, value: int) -> bytes:
    return bytes([0x80 | number, value])


def _subject(text: str) -> Iterator[bytes]:
    """The field; none where nothing is to be seen of it."""
    if line := wsp.one_line(text):
        yield _field(_SUBJECT, wsp.encoded_string(line))


def _from_value(sender: str) -> bytes:
    value = bytes([_ADDRESS_PRESENT]) + wsp.encoded_string(address(sender)) if sender else bytes([_INSERT_ADDRESS])
    return wsp.value_length(len(value)) + value


def _body(content: Entity) -> bytes:
    return _field(_CONTENT_TYPE, encode_content_type(content)) + encode_parts(parse_multipart(content))


def _content(reader: Reader, content_type: str, name: str) -> list[Entity]:
    """The parts of a multipart; anything else is one part by itself."""
    if content_type.startswith(("application/vnd.wap.multipart.", "multipart/")):
        return decode_parts(reader, name)
    return [Entity((("Content-Type", content_type),), reader.take(reader.left))]


def _encoded(value: Reader) -> str:
    return value.encoded_string()


def _date(value: Reader) -> str:
    seconds = value.integer()
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, OSError, ValueError):
        raise value.damaged(f"{seconds} is no date") from None


def _when(value: Reader) -> str:
    """A date, or seconds from now."""
    inside = value.part(value.value_length(), "a time")
    is_date = inside.octet() == 0x80
    return _date(inside) if is_date else f"{inside.integer()} s"


def _sender(value: Reader) -> str:
    inside = value.part(value.value_length(), "From")
    return inside.encoded_string() if inside.octet() == _ADDRESS_PRESENT else ""


def _number(value: Reader) -> str:
    return str(value.integer())


def _version(value: Reader) -> str:
    found = value.integer()
    return f"{found >> 4}.{found & 0x0F}" if found & 0x0F != 0x0F else str(found >> 4)


def _words(*words: str) -> Callable[[Reader], str]:
    """A value that is one of ``words``, numbered from 128; a text where somebody wrote one."""

    def read(value: Reader) -> str:
        if value.peek() < 0x80:
            return value.text()
        place = value.octet() - 0x80
        return words[place] if place < len(words) else str(0x80 + place)

    return read


_yes_no = _words("Yes", "No")
_RESPONSES = {
    128: "Ok", 129: "Error-unspecified", 130: "Error-service-denied", 131: "Error-message-format-corrupt",
    132: "Error-sending-address-unresolved", 133: "Error-message-not-found", 134: "Error-network-problem",
    135: "Error-content-not-accepted", 136: "Error-unsupported-message", 192: "Error-transient-failure",
    193: "Error-transient-sending-address-unresolved", 194: "Error-transient-message-not-found",
    195: "Error-transient-network-problem", 196: "Error-transient-partial-success", 224: "Error-permanent-failure",
    225: "Error-permanent-service-denied", 226: "Error-permanent-message-format-corrupt",
    227: "Error-permanent-sending-address-unresolved", 228: "Error-permanent-message-not-found",
    229: "Error-permanent-content-not-accepted", 230: "Error-permanent-reply-charging-limitations-not-met",
    231: "Error-permanent-reply-charging-request-not-accepted", 232: "Error-permanent-reply-charging-forwarding-denied",
    233: "Error-permanent-reply-charging-not-supported", 234: "Error-permanent-address-hiding-not-supported",
    235: "Error-permanent-lack-of-prepaid",
}  # fmt: skip
_RETRIEVALS = {
    128: "Ok", 192: "Error-transient-failure", 193: "Error-transient-message-not-found",
    194: "Error-transient-network-problem", 224: "Error-permanent-failure", 225: "Error-permanent-service-denied",
    226: "Error-permanent-message-not-found", 227: "Error-permanent-content-unsupported",
}  # fmt: skip


def _coded(table: dict[int, str]) -> Callable[[Reader], str]:
    def read(value: Reader) -> str:
        found = value.octet()
        return table.get(found, str(found))

    return read


_FIELDS: dict[int, tuple[str, Callable[[Reader], str]]] = {
    0x01: ("Bcc", _encoded),
    0x02: ("Cc", _encoded),
    0x03: ("X-Mms-Content-Location", Reader.text),
    _DATE: ("Date", _date),
    _DELIVERY_REPORT: ("X-Mms-Delivery-Report", _yes_no),
    0x07: ("X-Mms-Delivery-Time", _when),
    0x08: ("X-Mms-Expiry", _when),
    _FROM: ("From", _sender),
    _CLASS: ("X-Mms-Message-Class", _words("Personal", "Advertisement", "Informational", "Auto")),
    _MESSAGE_ID: ("Message-ID", Reader.text),
    _VERSION: ("X-Mms-MMS-Version", _version),
    0x0E: ("X-Mms-Message-Size", _number),
    0x0F: ("X-Mms-Priority", _words("Low", "Normal", "High")),
    _READ_REPORT: ("X-Mms-Read-Report", _yes_no),
    0x11: ("X-Mms-Report-Allowed", _yes_no),
    0x12: ("X-Mms-Response-Status", _coded(_RESPONSES)),
    0x13: ("X-Mms-Response-Text", _encoded),
    0x14: ("X-Mms-Sender-Visibility", _words("Hide", "Show")),
    0x15: (
        "X-Mms-Status",
        _words(
            "Expired", "Retrieved", "Rejected", "Deferred", "Unrecognised", "Indeterminate", "Forwarded", "Unreachable"
        ),
    ),
    _SUBJECT: ("Subject", _encoded),
    _TO: ("To", _encoded),
    _TRANSACTION_ID: ("X-Mms-Transaction-Id", Reader.text),
    0x19: ("X-Mms-Retrieve-Status", _coded(_RETRIEVALS)),
    0x1A: ("X-Mms-Retrieve-Text", _encoded),
    0x1B: ("X-Mms-Read-Status", _words("Read", "Deleted without being read")),
}
"""Number of a field to its name and how its value is read; others are told by their number, in hexadecimal."""


def _decoded(reader: Reader, code: int, name: str) -> tuple[str, str]:
    raw = reader.value()
    if code not in _FIELDS:
        return f"X-Mms-{code:#04x}", raw.hex()
    called, read = _FIELDS[code]
    return called, read(Reader(raw, name, called))
