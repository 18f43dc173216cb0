"""What the gateway's status codes mean and what to do about each, as data.

Comes in: a code. Goes out: its :class:`Status`. Never: a reply (the sender reads those) or a decision about one
message.

Text and meaning are SMSGlobal's own table, word for word; the codes are those of MM7 (3GPP TS 23.140, 8.7.8.3).
What to do and the next step are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType


class StatusClass(StrEnum):
    """Whose matter a status is; but for success and partial success the first digit of a code says it."""

    SUCCESS = "success"
    PARTIAL = "partial"
    CLIENT = "client"
    SERVER = "server"
    SERVICE = "service"


class Advice(StrEnum):
    """What to do: nothing, the same again later, something about the message or account, or no more."""

    NOTHING = "nothing"
    RESEND = "resend"
    FIX = "fix"
    GIVE_UP = "give-up"


@dataclass(frozen=True, slots=True)
class Status:
    """One status code. ``next_step`` says in a sentence what to do.

    ``known`` is false for a code that the table does not have and that stands for its class alone.
    """

    code: int
    text: str
    meaning: str
    status_class: StatusClass
    advice: Advice
    next_step: str
    known: bool = True

    @property
    def repeated(self) -> bool:
        """Whether a sender may repeat the request by itself: only where the gateway says that it is busy."""
        return self.code == _BUSY


_BUSY = 4006
_SUCCESS, _PARTIAL, _CLIENT, _SERVER, _SERVICE = StatusClass
_NOTHING, _RESEND, _FIX, _GIVE_UP = Advice

_TABLE = (
    Status(
        0,
        "Connection error",
        "Indicates a connection error with the MMS Relay/Server",
        _SERVER,
        _RESEND,
        "Nobody can say whether the relay got the message: ask the recipient or SMSGlobal first, then send it again.",
    ),
    Status(
        1000,
        "Success",
        "Indicates the request completed successfully",
        _SUCCESS,
        _NOTHING,
        "The message was accepted, which is not yet delivered.",
    ),
    Status(
        1100,
        "Partial success",
        "Indicates only some parts of the request were completed successfully. (e.g. some for a multi-recipient"
        " message some destinations could not be resolved). Please note, multiple recipients are not currently"
        " supported.",
        _PARTIAL,
        _GIVE_UP,
        "Ask SMSGlobal what became of the message before anything is sent again; send one request a recipient.",
    ),
    Status(
        2000,
        "Client error",
        "MM7 Client made an invalid request.",
        _CLIENT,
        _FIX,
        "Compare the request with SMSGlobal's document; --via takes the other door.",
    ),
    Status(
        2001,
        "Operation restricted",
        "Your Account does not have permission to use this feature.",
        _CLIENT,
        _FIX,
        "Ask SMSGlobal to enable MMS, or this door, for the account.",
    ),
    Status(
        2002,
        "Address Error",
        "The formatting of one or more of the addresses was not valid (should be MSISDN or email address).",
        _CLIENT,
        _FIX,
        "Write the number with its country code and without a plus, like 61409317436.",
    ),
    Status(
        2003,
        "Address Not Found",
        "The address supplied in the request could not be located by Access Manager. This code is returned when an"
        " operation is requested on a previously submitted message and Access Manager cannot find the message for the"
        " address specified.",
        _CLIENT,
        _FIX,
        "Check the number; the network does not know it.",
    ),
    Status(
        2004,
        "Multimedia",
        "The server could not parse the MIME content that was attached to the SOAP message and indicated by the Content"
        " element or the content size or media type was unacceptable. Additionally it may be a content type not allowed"
        " by Access Manager",
        _CLIENT,
        _FIX,
        "Prepare a smaller or plainer message: --refit does it, or choose a stricter profile with -p.",
    ),
    Status(
        2005,
        "Message ID Not found",
        "Returned when an operation is requested on a previously submitted message which cannot be found.",
        _CLIENT,
        _GIVE_UP,
        "Check the message id; the gateway has no such message.",
    ),
    Status(
        2006,
        "LinkedID not found",
        "This code is returned when a LinkedID was supplied and Access Manager could not find the related message.",
        _CLIENT,
        _FIX,
        "Leave the LinkedID out, or give that of a message which the gateway knows.",
    ),
    Status(
        2007,
        "Message format corrupt",
        "An element value format is inappropriate or incorrect.",
        _CLIENT,
        _FIX,
        "Look for unusual characters in subject, text and numbers; the details name the element.",
    ),
    Status(
        2008,
        "Application ID not found",
        "Your MM7 credentials are not valid.",
        _CLIENT,
        _FIX,
        "Check the username and password of the account.",
    ),
    Status(
        2009,
        "Reply Application ID not found",
        "This code is returned when a Reply Application ID was supplied and Access Manager could not find the"
        " originating application.",
        _CLIENT,
        _FIX,
        "Leave the ReplyApplicID out.",
    ),
    Status(
        3000,
        "Server Error",
        "Access Manager failed to fulfill an apparently valid request.",
        _SERVER,
        _RESEND,
        "Send it again later; if it stays so, give SMSGlobal the transaction id.",
    ),
    Status(
        3001,
        "Not Possible",
        "The request could not be carried out because it is not possible. This code is normally used as a result of a"
        " cancel or status query on a message that is no longer available for cancel or status query. Access Manager"
        " has recognized the message in question, but it cannot fulfill the request because the message is already"
        " complete or status is no longer available.",
        _SERVER,
        _GIVE_UP,
        "The message is complete already: nothing is left to do.",
    ),
    Status(
        3002,
        "Message Rejected",
        "Server could not complete the service requested.",
        _SERVER,
        _GIVE_UP,
        "The same message would be rejected again: change it, or ask SMSGlobal with the transaction id.",
    ),
    Status(
        3003,
        "Multiple addresses not supported",
        "Access Manager does not support this operation on multiple recipients. The operation MAY be resubmitted as"
        " multiple single recipient operations.",
        _SERVER,
        _FIX,
        "Send one request a recipient, as mmsprep does.",
    ),
    Status(
        3004,
        "Application Addressing not supported",
        "Recipient MMS User Agent does not support the transport of application data.",
        _SERVER,
        _FIX,
        "Leave the application addressing out (ApplicID, ReplyApplicID).",
    ),
    Status(
        4000,
        "General service error",
        "The requested service cannot be fulfilled.",
        _SERVICE,
        _RESEND,
        "Send it again later; if it stays so, give SMSGlobal the transaction id.",
    ),
    Status(
        4001,
        "Improper identification",
        "Identification header of the request does not uniquely identify the client (either the VASP or MMS"
        " Relay/Server).",
        _SERVICE,
        _FIX,
        "Check the username of the account.",
    ),
    Status(
        4002,
        "Unsupported version",
        "The version indicated by the MM7 Version element is not supported.",
        _SERVICE,
        _FIX,
        "Use the other door (--via http), or another MM7 version.",
    ),
    Status(
        4003,
        "Unsupported version",
        "The server does not support the request indicated by the MessageType element in the header of the message.",
        _SERVICE,
        _FIX,
        "Use the other door (--via http).",
    ),
    Status(
        4004,
        "Validation error",
        "The SOAP and XML structures could not be parsed,mandatory fields are missing, or the message-format is not"
        " compatible to the format specified. Details field may specify the parsing error that caused this status.",
        _SERVICE,
        _FIX,
        "Read the details of the reply; --via http takes the other door.",
    ),
    Status(
        4005,
        "Service error",
        "The operation caused a failure within Access Manager and should not be resent.",
        _SERVICE,
        _GIVE_UP,
        "Do not send it again; give SMSGlobal the transaction id.",
    ),
    Status(
        _BUSY,
        "Service unavailable",
        "This indication may be sent by the server when service is temporarily unavailable, e.g. when server is busy",
        _SERVICE,
        _RESEND,
        "Send it again later; mmsprep repeats it by itself a few times before it says so.",
    ),
    Status(
        4007,
        "Service denied",
        "The client does not have permission or funds to perform the requested operation.",
        _SERVICE,
        _FIX,
        "Top the account up, or ask SMSGlobal for the permission.",
    ),
    Status(
        4008,
        "Application denied",
        "The application does not have permission or funds to perform the requested operation.",
        _SERVICE,
        _FIX,
        "Top the account up, or ask SMSGlobal for the permission.",
    ),
)

STATUSES = MappingProxyType({status.code: status for status in _TABLE})
"""Every code of SMSGlobal's table."""

_CLASSES = {
    1: Status(
        0,
        "Success",
        "A success that the table does not list.",
        _SUCCESS,
        _NOTHING,
        "The message was accepted, which is not yet delivered.",
        known=False,
    ),
    2: Status(
        0,
        "Client error",
        "An error of the request that the table does not list.",
        _CLIENT,
        _FIX,
        "Read the text and details of the reply.",
        known=False,
    ),
    3: Status(
        0,
        "Server error",
        "An error of the server that the table does not list.",
        _SERVER,
        _GIVE_UP,
        "Give SMSGlobal the transaction id.",
        known=False,
    ),
    4: Status(
        0,
        "Service error",
        "An error of the service that the table does not list.",
        _SERVICE,
        _GIVE_UP,
        "Give SMSGlobal the transaction id.",
        known=False,
    ),
}


def status_of(code: int) -> Status | None:
    """The status of ``code``; one that the table lacks stands for its class by the first of its four digits.

    Returns:
        ``None`` where even the class is unknown.
    """
    if code in STATUSES:
        return STATUSES[code]
    family = _CLASSES.get(code // 1000)
    if family is None:
        return None
    return replace(family, code=code)
