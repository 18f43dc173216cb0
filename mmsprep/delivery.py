"""One message, or several in order, to several recipients: prepared once, one request each, prepared again where the
gateway refuses it.

Comes in: prepared messages and, for a refit, the job that one was made of. Goes out: one :class:`Delivery` a recipient
and message, as it happens. Never: a request that was not asked for once for each recipient, or the same refused
bytes a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike

from mmsprep import pipeline
from mmsprep.errors import (
    AccountRefused,
    ContentRefused,
    EarlierOutcomeUnknown,
    GatewayBusy,
    GatewayUnreachable,
    MmsprepError,
    NotSent,
    SendError,
    SendInProgress,
    Unreadable,
    UsageError,
    reason_of,
)
from mmsprep.message import Message
from mmsprep.model import Attachment
from mmsprep.pipeline.intake import take_in
from mmsprep.pipeline.job import Job, check_type
from mmsprep.profile import Profile, load_profile
from mmsprep.sender import (
    Account,
    Connections,
    Journal,
    Patience,
    Receipt,
    Recipients,
    SubmitOptions,
    Via,
    as_recipients,
    load_account,
    msisdn,
    opened_journal,
    origin,
    send,
    sent_before,
)
from mmsprep.settings import Settings, load_settings
from mmsprep.tools.untrusted import open_attachment

MOST_REFITS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one recipient: a receipt or an error, and the message as it was sent in the end.

    ``steps`` tells the refits that led there. Where several messages go to each recipient, it is about the one with
    ``number`` (from 1) of ``count``.
    """

    recipient: str
    message: Message
    receipt: Receipt | None = None
    error: SendError | None = None
    steps: tuple[str, ...] = ()
    number: int = 1
    count: int = 1

    @property
    def which(self) -> str:
        """Which of several messages it is about, for people; empty where there is one."""
        return f"message {self.number} of {self.count}" if self.count > 1 else ""


def deliver(
    message: Message | Sequence[Message],
    *,
    to: Recipients,
    account: Account | None = None,
    via: Via | str = Via.HTTP,
    sender: str = "",
    text_at_end: bool = False,
    options: SubmitOptions | None = None,
    country: str = "",
    journal: Journal | str | PathLike[str] | None = None,
    key: str = "",
    resend_unknown: bool | Callable[[EarlierOutcomeUnknown], bool] = False,
    refit: Job | None = None,
    patience: Patience | None = None,
    settings: Settings | None = None,
) -> Iterator[Delivery]:
    """Send ``message`` to each of ``to``, one after the other, and yield what became of each.

    Of several messages (:func:`mmsprep.split` makes them) each recipient gets all, in order, before the next one does.
    Where one does not reach a recipient, those behind it are not sent there: they come as ``NotSent``.

    A refused account, a gateway that cannot be reached and one that answers with HTTP status 429 or 5xx end it: the
    others come as ``NotSent``. A refused content is not sent to the others either, unless ``refit`` makes another one
    of it.

    Args:
        message: as :func:`mmsprep.send` takes it, or several; so are the other arguments that have the same names.
            The journal knows each of several messages by ``key`` and its number.
        to: one recipient or several; one that is given twice is sent to once.
        resend_unknown: whether to send what the journal calls unknown, or who decides about each.
        refit: the job that ``message`` was made of: it is prepared again under the next stricter profile, at most
            twice, when the gateway refuses the content. Its attachments must be readable again: paths or bytes.

    Raises:
        UsageError: there is no message, or ``refit`` is given with several, which it would make one of.
        AddressError: a number is none; nothing was sent to anyone.
        SettingsError: there is no account.
        JournalError: the journal cannot be used; nothing more was sent.
    """
    recipients = list(dict.fromkeys(msisdn(number, country).digits for number in as_recipients(to)))
    messages = list(message) if isinstance(message, Sequence) and not isinstance(message, str) else [message]
    for one in messages:
        check_type(one, "message", Message, "a Message, or several")
    if not messages:
        raise UsageError("message: there is none; give a Message, or several")
    if refit is not None and len(messages) > 1:
        raise UsageError("refit: makes one message of the job again; of several there is none to make again")
    check_type(refit, "refit", (Job, type(None)), "a Job")
    sender_digits = origin(sender, country).digits if sender else ""
    account = account or load_account()
    with opened_journal(journal) as book, Connections() as connections:

        def try_once(current: Message, recipient: str, key: str, again: bool) -> Receipt:
            return send(
                current,
                to=recipient,
                account=account,
                via=via,
                sender=sender_digits,
                text_at_end=text_at_end,
                options=options or SubmitOptions(),
                journal=book,
                key=key,
                resend_unknown=again,
                patience=patience or Patience(),
                connections=connections,
            )

        def attempt(current: Message, recipient: str, key: str) -> Receipt:
            try:
                return try_once(current, recipient, key, resend_unknown is True)
            except EarlierOutcomeUnknown as error:
                if isinstance(error, SendInProgress) or not callable(resend_unknown) or not resend_unknown(error):
                    raise
                return try_once(current, recipient, key, again=True)

        count = len(messages)
        each = [
            (number, _key_of_one(key, one, number, count), _Refits(one, refit, settings))
            for number, one in enumerate(messages, start=1)
        ]
        ended: SendError | None = None
        for recipient in recipients:
            broken: Delivery | None = None
            for number, of_one, refits in each:
                if ended is None and broken is None:
                    delivery = replace(
                        _one(recipient, refits, partial(attempt, key=of_one)), number=number, count=count
                    )
                    ended = delivery.error if ends_it(delivery.error) else None
                    broken = delivery if delivery.error else None
                    yield delivery
                    continue
                before = sent_before(refits.message, recipient, account, book, of_one) if book else None
                delivery = Delivery(
                    recipient=recipient, message=refits.message, receipt=before, number=number, count=count
                )
                yield delivery if before else replace(delivery, error=_not_sent(delivery, broken, ended))


def _key_of_one(key: str, message: Message, number: int, count: int) -> str:
    """What the journal knows a message by: one of several by its place among them."""
    if not key:
        return message.sha256
    return f"{key} {number}/{count}" if count > 1 else key


def _not_sent(delivery: Delivery, broken: Delivery | None, ended: SendError | None) -> NotSent:
    """Why a message was not tried: the one before it did not reach this recipient, or nobody can be reached."""
    which = f"{delivery.which} " if delivery.which else ""
    if broken is None:
        return NotSent(f"{delivery.recipient}: {which}not sent, because it went wrong before: {ended}")
    before = f"; of {broken.count} messages {broken.number - 1} went out" if broken.number > 1 else ""
    return NotSent(f"{delivery.recipient}: {which}not sent, because {broken.which} went wrong{before}")


def ends_it(error: SendError | None) -> bool:
    """Whether every other recipient would meet the same, so that it is not tried on them.

    An overloaded or broken server would leave everybody's outcome unknown, one after the other.
    """
    if isinstance(error, (AccountRefused, GatewayUnreachable, GatewayBusy)):
        return True
    return (
        error is not None and error.http_status is not None and (error.http_status == 429 or error.http_status >= 500)
    )


def key_of(job: Job, settings: Settings | None = None) -> str:
    """What makes two sends the same although they were prepared apart: the originals, which seconds of them, the text,
    the subject.

    Raises:
        MmsprepError: an original cannot be read.
    """
    attachments, _ = take_in(job.attachments, settings or load_settings())
    whole = hashlib.sha256()
    for part in (job.text.encode("utf-8", "surrogatepass"), job.subject.encode("utf-8", "surrogatepass")):
        whole.update(hashlib.sha256(part).digest())
    for attachment in attachments:
        whole.update(_sha256(attachment))
        if span := attachment.span or job.span:
            whole.update(f"{span.from_s}-{span.to_s}".encode())
    return whole.hexdigest()


def _sha256(attachment: Attachment) -> bytes:
    if attachment.path is None:
        return hashlib.sha256(attachment.data or b"").digest()
    try:
        with open_attachment(attachment) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise Unreadable(attachment.name, f"cannot be read ({reason_of(error)})") from None


def _one(recipient: str, refits: _Refits, attempt: Callable[[Message, str], Receipt]) -> Delivery:
    """Send to one recipient, prepared again where the content is refused and a job is there to do it with."""
    while True:
        refusal = refits.refusal_of(refits.message)
        if refusal is None:
            try:
                receipt = attempt(refits.message, recipient)
                return Delivery(recipient=recipient, message=refits.message, receipt=receipt, steps=refits.steps)
            except ContentRefused as error:
                refits.refused(error)
                refusal = error
            except SendError as error:
                return Delivery(recipient=recipient, message=refits.message, error=error, steps=refits.steps)
        if not refits.prepare_again():
            problem = refusal.problem
            if not problem.startswith(recipient):
                problem = f"{recipient}: not sent, the gateway refuses this content: {problem}"
            if refits.failure:
                problem += f" ({refits.failure})"
            final = ContentRefused(problem, *refusal.args[1:])
            return Delivery(recipient=recipient, message=refits.message, error=final, steps=refits.steps)


@dataclass
class _Refits:
    """The message as it stands, what was refused of it, and how it was made smaller."""

    message: Message
    job: Job | None
    settings: Settings | None
    steps: tuple[str, ...] = ()
    failure: str = ""
    _refusals: dict[str, ContentRefused] = field(default_factory=dict)
    _left: int = MOST_REFITS

    def refusal_of(self, message: Message) -> ContentRefused | None:
        return self._refusals.get(message.sha256)

    def refused(self, error: ContentRefused) -> None:
        self._refusals[self.message.sha256] = error

    def prepare_again(self) -> bool:
        """Make the message anew under the next stricter profile; false where that cannot be done."""
        if self.job is None or self.failure:
            return False
        if not self._left:
            self.failure = f"refitted {MOST_REFITS} times already"
            return False
        before = self.message
        stricter = _stricter(self.job)
        if stricter is None:
            self.failure = f"no profile is stricter than {before.profile!r}"
            return False
        self._left -= 1
        self.job = stricter
        try:
            self.message = pipeline.run(stricter, settings=self.settings)
        except MmsprepError as error:
            self.failure = f"prepared again under the profile {_name(stricter)!r}: {error}"
            return False
        self.steps += (
            f"the gateway refused {before.total_bytes:,} bytes of profile {before.profile!r}; prepared again under"
            f" {self.message.profile!r}: {self.message.total_bytes:,} bytes",
        )
        return True


def _stricter(job: Job) -> Job | None:
    """The job under the next stricter profile, its own limit kept where that is the smaller one."""
    profile = job.profile if isinstance(job.profile, Profile) else load_profile(job.profile)
    if not profile.stricter:
        return None
    stricter = load_profile(profile.stricter)
    asked_bytes = job.limit_bytes
    smaller = asked_bytes is not None and asked_bytes < stricter.message.limit_bytes
    return replace(job, profile=stricter, limit_bytes=asked_bytes if smaller else None)


def _name(job: Job) -> str:
    return job.profile.name if isinstance(job.profile, Profile) else str(job.profile)
