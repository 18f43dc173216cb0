"""Every error that mmsprep raises on purpose.

Each class has a stable ``code`` (a slug for programs) and an ``exit_status`` (for shells); both are only
ever added to. The message is for people: which file, what was found, what was expected, what to do next.

::

    MmsprepError
    ├── UsageError                 2   usage
    │   ├── TooManyAttachments     2   too_many_attachments
    │   └── AddressError           2   address
    ├── InputError                 3   (an attachment, by its index and name)
    │   ├── NotFound               3   not_found
    │   ├── Unreadable             3   unreadable
    │   ├── Empty                  3   empty
    │   ├── EmptyFolder            3   empty_folder
    │   ├── Damaged                3   damaged
    │   ├── Altered                3   altered
    │   ├── OutsideDuration        3   outside_duration       asked for seconds that it does not have
    │   └── OverInputLimit         3   over_input_limit
    ├── Rejected                   4   (the content is not something an MMS can carry)
    │   ├── UnknownType            4   unknown_type
    │   ├── TypeNotAllowed         4   type_not_allowed
    │   ├── ProtectedMedia         4   protected_media
    │   ├── Inaudible              4   inaudible
    │   └── UnsafeReference        4   unsafe_reference
    ├── OverBudget                 5   over_budget
    │   ├── TextOverBudget         5   text_over_budget
    │   └── BelowFloor             5   below_floor
    ├── ProfileError               6   profile
    ├── SettingsError              6   settings
    ├── SeveralErrors              (the first one's)  several
    ├── ToolError                  7   tool_failed
    │   ├── ToolMissing            7   tool_missing
    │   │   └── DecoderMissing     7   decoder_missing        ... for one attachment, which may be left out
    │   ├── ToolTimeout            7   tool_timeout
    │   ├── ToolOverLimit          7   tool_over_limit
    │   └── WorkerLost             7   worker_lost
    ├── OutputError                8   output
    ├── VerifyError                8   verify
    ├── JournalError               8   journal
    ├── StoreError                 8   store
    ├── PushError                  9   push                   (somebody pushed what cannot be taken in)
    │   ├── MalformedPush          9   malformed_push
    │   └── PushTooLarge           9   push_too_large
    ├── ForwardError              11   forward
    │   ├── ForwardRefused        11   forward_refused        the target does not want this message
    │   └── TargetUnavailable     11   target_unavailable     the target takes nothing now
    ├── TooManyFailures           10   too_many_failures      a campaign was given up; the next run goes on
    ├── LedgerError                8   ledger
    ├── MalformedEnvelope          9   malformed_envelope
    │   └── EnvelopeTooLarge       9   envelope_too_large
    ├── Unexpected                 1   bug
    └── SendError                      (a request to a gateway)
        ├── SendRejected           9   send_rejected          the gateway said no: nothing was accepted
        │   ├── ContentRefused     9   content_refused
        │   └── AccountRefused     9   account_refused
        ├── NotSent               11   not_sent               nothing was sent: trying again is safe
        │   ├── GatewayUnreachable 11  gateway_unreachable
        │   └── GatewayBusy        11  gateway_busy
        └── SendOutcomeUnknown    12   send_outcome_unknown   it may have been accepted: never repeated
            └── EarlierOutcomeUnknown 12  earlier_outcome_unknown   the journal's word on an earlier run
                └── SendInProgress 12  send_in_progress         ... or on one that is under way

Exit statuses: 0 ok, 1 a bug in mmsprep, 2 wrong usage, 3 unusable input file, 4 content that cannot be sent,
5 over the size limit, 6 profile or settings, 7 ffmpeg or another tool, 8 writing or verifying the result,
9 rejected by the gateway, 10 some of a batch failed, 11 not sent, 12 sent with an unknown outcome,
128 + N ended by signal N: 130 Ctrl-C, 143 SIGTERM.

All constructors take positional arguments only, so that errors survive pickling between processes.
"""

from __future__ import annotations

from typing import ClassVar


def reason_of(error: Exception) -> str:
    """Why something was refused, in words; of a folder that cannot be made the system says that a file exists."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "there is a file where a folder has to be"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def a_kind_of(value: object) -> str:
    """What a value is that should be another, with its article: ``an int``, ``a str``."""
    name = type(value).__name__
    return f"{'an' if name.startswith(tuple('aeiouAEIO')) else 'a'} {name}"


class MmsprepError(Exception):
    """Base of the tree; ``str(error)`` is the message for people."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The message as the lines that it is meant to have; a line end within one came with somebody's text."""
        return (str(self),)


class UsageError(MmsprepError):
    """The call itself makes no sense."""

    code = "usage"
    exit_status = 2


class RowsRefused(UsageError):
    """Rows of a list cannot be sent to; ``rows`` says which and why, ``advice`` what to do."""

    def __init__(self, problem: str, rows: tuple[str, ...], advice: str) -> None:
        super().__init__(problem, rows, advice)
        self.problem = problem
        self.rows = rows
        self.advice = advice

    @property
    def lines(self) -> tuple[str, ...]:
        """The problem, then a line for each row and the advice, indented."""
        return (self.problem, *(f"  {line}" for line in (*self.rows, self.advice)))

    def __str__(self) -> str:
        return "\n".join(self.lines)


class TooManyAttachments(UsageError):
    """More attachments than the profile's gateway takes."""

    code = "too_many_attachments"


class AddressError(UsageError):
    """A number that is no MSISDN in international form."""

    code = "address"


class AttachmentError(MmsprepError):
    """An error about one attachment: ``name`` is what the caller called it, ``problem`` the sentence.

    ``index`` is its place among what was given, from 0, which tells it from others of the same name; ``None`` for an
    error about a file that was not given to be prepared. ``is_namesake`` says that another one has the same name.
    """

    def __init__(self, name: str, problem: str, index: int | None = None, is_namesake: bool = False, /) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem
        self.index = index
        self.is_namesake = is_namesake

    def __str__(self) -> str:
        which = f" (attachment {self.index + 1})" if self.is_namesake and self.index is not None else ""
        return f"{self.name}{which}: {self.problem}"


class InputError(AttachmentError):
    """The attachment cannot be used as a file."""

    code = "input"
    exit_status = 3


class NotFound(InputError):
    """No such file."""

    code = "not_found"


class Unreadable(InputError):
    """The file is there, but reading it fails."""

    code = "unreadable"


class Empty(InputError):
    """No bytes in it."""

    code = "empty"


class EmptyFolder(InputError):
    """A folder without files."""

    code = "empty_folder"


class Damaged(InputError):
    """The content begins as a known type but does not decode."""

    code = "damaged"


class Altered(InputError):
    """A prepared message whose parts are not what its ``message.json`` says."""

    code = "altered"


class OutsideDuration(InputError):
    """Seconds were asked for that the recording or clip does not have, or it has none at all."""

    code = "outside_duration"


class OverInputLimit(InputError):
    """More pixels, seconds, frames, bytes, memory or time than the settings let in."""

    code = "over_input_limit"


class Rejected(AttachmentError):
    """The content is intact, but no MMS can carry it."""

    code = "rejected"
    exit_status = 4


class UnknownType(Rejected):
    """The content is of no type that is known."""

    code = "unknown_type"


class TypeNotAllowed(Rejected):
    """A known type that is never sent: documents, archives, programs, web pages, playlists."""

    code = "type_not_allowed"


class ProtectedMedia(Rejected):
    """DRM or encryption."""

    code = "protected_media"


class Inaudible(Rejected):
    """What is heard in it lies outside of what the profile's sound formats carry."""

    code = "inaudible"


class UnsafeReference(Rejected):
    """The file refers to other files or addresses; following them is refused."""

    code = "unsafe_reference"


class OverBudget(MmsprepError):
    """The set does not fit: ``smallest_bytes`` is the smallest total reached, ``limit_bytes`` the limit.

    ``advice`` says line by line what each attachment needs and what would help.
    """

    code = "over_budget"
    exit_status = 5

    def __init__(self, problem: str, smallest_bytes: int, limit_bytes: int, advice: tuple[str, ...] = ()) -> None:
        super().__init__(problem, smallest_bytes, limit_bytes, advice)
        self.problem = problem
        self.smallest_bytes = smallest_bytes
        self.limit_bytes = limit_bytes
        self.advice = advice

    @property
    def lines(self) -> tuple[str, ...]:
        """The problem, then the advice, indented."""
        return (self.problem, *(f"  {line}" for line in self.advice))

    def __str__(self) -> str:
        return "\n".join(self.lines)


class TextOverBudget(OverBudget):
    """Text and subject alone are over the limit."""

    code = "text_over_budget"


class BelowFloor(OverBudget):
    """It would fit, but so poor that nobody would want it."""

    code = "below_floor"


class ProfileError(MmsprepError):
    """A profile that cannot be found or read, or says something unknown."""

    code = "profile"
    exit_status = 6


class SettingsError(MmsprepError):
    """A setting (environment or settings file) that cannot be used."""

    code = "settings"
    exit_status = 6


class ToolError(MmsprepError):
    """A program that mmsprep needs failed."""

    code = "tool_failed"
    exit_status = 7


class ToolMissing(ToolError):
    """A program, or an encoder in it, is not there."""

    code = "tool_missing"


class DecoderMissing(AttachmentError, ToolMissing):
    """What decodes the attachment is an extra of mmsprep that is not installed."""

    code = "decoder_missing"


class ToolTimeout(ToolError):
    """A program took longer than the settings allow."""

    code = "tool_timeout"


class ToolOverLimit(ToolError):
    """A program needed more memory, processor time, disk or output than the settings allow."""

    code = "tool_over_limit"


class WorkerLost(ToolError):
    """The process that worked on a job ended in the middle of it, more than once."""

    code = "worker_lost"


class SeveralErrors(MmsprepError):
    """More than one attachment cannot be used; ``errors`` has each, the exit status is the first one's."""

    code = "several"

    def __init__(self, errors: tuple[MmsprepError, ...]) -> None:
        super().__init__(errors)
        self.errors = errors

    @property
    def exit_status(self) -> int:  # type: ignore[override]
        """The first error's."""
        return self.errors[0].exit_status

    @property
    def lines(self) -> tuple[str, ...]:
        """Those of all errors."""
        return tuple(line for error in self.errors for line in error.lines)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class OutputError(MmsprepError):
    """The result cannot be written."""

    code = "output"
    exit_status = 8


class VerifyError(MmsprepError):
    """An output did not read back as what it should be; nothing was written."""

    code = "verify"
    exit_status = 8


class JournalError(MmsprepError):
    """The journal of a send cannot be read or written; without it nothing is sent."""

    code = "journal"
    exit_status = 8


class TooManyFailures(MmsprepError):
    """A campaign was given up because too much went wrong; running it again goes on with those who are left."""

    code = "too_many_failures"
    exit_status = 10


class StoreError(MmsprepError):
    """The store of incoming messages cannot be opened, read or written."""

    code = "store"
    exit_status = 8


class PushError(MmsprepError):
    """An incoming push cannot be taken in; the other side is not told that it was."""

    code = "push"
    exit_status = 9


class MalformedPush(PushError):
    """A push that cannot be read as a form or as MM7."""

    code = "malformed_push"


class PushTooLarge(PushError):
    """A push with more bytes, fields or attachments than the limits let in."""

    code = "push_too_large"


class ForwardError(MmsprepError):
    """A received message could not be handed on; it stays in the store."""

    code = "forward"
    exit_status = 11


class ForwardRefused(ForwardError):
    """The target does not want this message; asking again changes nothing."""

    code = "forward_refused"


class TargetUnavailable(ForwardError):
    """The target cannot be reached or is busy; that says nothing about the message."""

    code = "target_unavailable"


class LedgerError(MmsprepError):
    """What a batch remembers of earlier runs cannot be read or written, or another run holds it."""

    code = "ledger"
    exit_status = 8


class Unexpected(MmsprepError):
    """A bug in mmsprep met one job of a batch; the others went on."""

    code = "bug"
    exit_status = 1


class MalformedEnvelope(MmsprepError):
    """A SOAP envelope or its MIME body that cannot be understood."""

    code = "malformed_envelope"
    exit_status = 9


class EnvelopeTooLarge(MalformedEnvelope):
    """More parts, headers, elements or depth than any honest envelope has; it was not built."""

    code = "envelope_too_large"


class SendError(MmsprepError):
    """A message was not accepted, or nobody knows whether it was.

    ``transaction_id`` is the request's, ``status_code`` the gateway's (``None``: it gave none), ``raw_reply``
    what it answered, with the account's secrets blotted out; ``retry_after_s`` is set where it said so. ``reason`` says
    why in our own words alone, which is what the journal keeps; ``http_status`` is set where nothing of the answer
    but its HTTP status was understood.
    """

    code = "send"
    exit_status = 9

    def __init__(
        self,
        problem: str,
        transaction_id: str = "",
        status_code: int | None = None,
        raw_reply: str = "",
        retry_after_s: float | None = None,
        reason: str = "",
        http_status: int | None = None,
    ) -> None:
        super().__init__(problem, transaction_id, status_code, raw_reply, retry_after_s, reason, http_status)
        self.problem = problem
        self.transaction_id = transaction_id
        self.status_code = status_code
        self.raw_reply = raw_reply
        self.retry_after_s = retry_after_s
        self.reason = reason
        self.http_status = http_status

    def __str__(self) -> str:
        return self.problem


class SendRejected(SendError):
    """The gateway refused the message: it was not accepted and the same request would be refused again."""

    code = "send_rejected"


class ContentRefused(SendRejected):
    """The gateway refused the content: its size or a media type."""

    code = "content_refused"


class AccountRefused(SendRejected):
    """The gateway refused the account: credentials, permission or funds."""

    code = "account_refused"


class NotSent(SendError):
    """Nothing was accepted and nothing can be on its way: trying again later is safe."""

    code = "not_sent"
    exit_status = 11


class GatewayUnreachable(NotSent):
    """No connection to the gateway came about."""

    code = "gateway_unreachable"


class GatewayBusy(NotSent):
    """The gateway asks to try again later (status 4006; HTTP 503 or 429 where nothing had begun to go out)."""

    code = "gateway_busy"


class SendOutcomeUnknown(SendError):
    """The request may have reached the gateway, and no answer says what became of it."""

    code = "send_outcome_unknown"
    exit_status = 12


class EarlierOutcomeUnknown(SendOutcomeUnknown):
    """The journal does not know what became of an earlier attempt, so nothing was sent now."""

    code = "earlier_outcome_unknown"


class SendInProgress(EarlierOutcomeUnknown):
    """Another thread, process or machine is sending this very message to this recipient; nothing was sent now."""

    code = "send_in_progress"
