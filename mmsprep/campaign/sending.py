"""The sending of a campaign: several people at once, in a pace, until everybody was reached or too much went wrong.

Comes in: a checked campaign, its messages, an account, a journal. Goes out: an :class:`Outcome` a person as it happens.
Never: more people in memory than are about to be sent to, or a second request to one whom the journal knows.

Places in the journal are reserved for the next people together; each begins right before their bytes leave, in one
commit with the outcome of the one before (:mod:`mmsprep.sender.reservations`). So a kill leaves as many unknown as were
sent to at once, at most.
"""

from __future__ import annotations

import hashlib
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

from mmsprep.campaign.checked import Campaign, Checked, Decided, Verdict, decisions
from mmsprep.campaign.media import Rendered
from mmsprep.delivery import ends_it, key_of
from mmsprep.errors import (
    ContentRefused,
    EarlierOutcomeUnknown,
    JournalError,
    MmsprepError,
    SendError,
    TooManyFailures,
    UsageError,
)
from mmsprep.message import Message
from mmsprep.sender import Account, Connections, Journal, Patience, Receipt, SubmitOptions, Via, send
from mmsprep.sender.reservations import Reservations
from mmsprep.settings import Settings

MOST_AT_ONCE = 64
_SHARE_FROM = 50
"""From so many outcomes on a share of failures says something."""
_MOST_AHEAD = 64
"""So many people, or four for each that is sent to at once, have a place in the journal before their turn."""
_MOST_REFUSED = 2
"""So often the same files are tried in other words when the gateway has refused them and taken them from nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """``at_once`` requests under way together, ``per_second`` begun each second at most (0: as many as there can be).

    Raises:
        UsageError: a number that makes no sense.
    """

    at_once: int = 8
    per_second: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.at_once <= MOST_AT_ONCE:
            raise UsageError(f"at once: {self.at_once}; expected 1 to {MOST_AT_ONCE}")
        if not 0 <= self.per_second <= 10_000:
            raise UsageError(f"per second: {self.per_second:g}; expected 0 (no limit) to 10000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How many failures end a campaign: so many ``in_a_row``, or a ``share`` of all (0..1, from 50 on); 0: never."""

    in_a_row: int = 10
    share: float = 0.0

    @classmethod
    def of(cls, text: str) -> Failures:
        """Read ``10`` (in a row) or ``5%``.

        Raises:
            UsageError: it is neither.
        """
        number = text.strip().removesuffix("%").strip()
        try:
            value = float(number) if text.strip().endswith("%") else int(number)
        except ValueError:
            value = -1
        if value < 0 or (text.strip().endswith("%") and value > 100):
            raise UsageError(f"failures {text!r}: expected a number in a row, like 10, or a share, like 5%; 0: never")
        return cls(in_a_row=0, share=value / 100) if text.strip().endswith("%") else cls(in_a_row=int(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one person: a receipt, or an error of sending or of preparing."""

    decided: Decided
    receipt: Receipt | None = None
    error: MmsprepError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How messages go out; arguments as :func:`mmsprep.send` takes them."""

    account: Account
    via: Via | str = Via.HTTP
    sender: str = ""
    text_at_end: bool = False
    options: SubmitOptions = field(default_factory=SubmitOptions)
    resend_unknown: bool = False
    patience: Patience = field(default_factory=Patience)


def campaign_key(campaign: Campaign, settings: Settings | None = None) -> str:
    """What makes two runs the same campaign: the texts with their fields, the files that all get, names of the others.

    A person's corrected name or a longer list changes nothing, so that a run goes on where another one ended.

    Raises:
        MmsprepError: a file cannot be read.
    """
    fixed = tuple(template.filled({}, "a file") for template in campaign.files if not template.fields)
    job = replace(campaign.job, attachments=fixed, text=campaign.text.text, subject=campaign.subject.text)
    named = "\0".join(template.text for template in campaign.files if template.fields)
    return hashlib.sha256(f"campaign\0{key_of(job, settings)}\0{named}".encode("utf-8", "surrogatepass")).hexdigest()


def run(
    checked: Checked,
    rendered: Rendered,
    sending: Sending,
    *,
    journal: Journal,
    key: str = "",
    pace: Pace | None = None,
    failures: Failures | None = None,
    stop: threading.Event | None = None,
) -> Generator[Outcome, None, None]:
    """Send to everybody and yield what became of each, in the order in which it happens.

    Args:
        checked: of :func:`mmsprep.campaign.check`.
        rendered: the messages.
        sending: account, door and the like.
        journal: an open one; whoever it knows is not sent to again.
        key: what makes two runs the same; empty: :func:`campaign_key`.
        pace: how many at once and a second.
        failures: when to give up.
        stop: ends it after what is under way. A ``KeyboardInterrupt`` after it was set ends it at once: what is under
            way is unknown then.

    Raises:
        TooManyFailures: it was given up; what was under way has ended.
        JournalError: the journal cannot be used; nothing more was sent.
    """
    judge = _Judge(failures or Failures(), checked)
    key = key or campaign_key(checked.campaign)
    line = _Line(checked, rendered, sending, journal, key, pace or Pace(), stop or threading.Event(), judge)
    try:
        yield from line.outcomes()
    except KeyboardInterrupt:
        if line.stop.is_set():
            line.abandon()
        raise
    finally:
        line.close()
    if judge.problem:
        raise TooManyFailures(judge.problem)


class _Judge:
    """Decides when too much went wrong; asked by the workers, before they take the next one.

    A content that the gateway refuses is refused to all who get the same. Where people get words or files of their own,
    it may be those: their files are tried with others' words as well, and only files that were refused twice and taken
    from nobody are not sent to the others either (``refused``).
    """

    def __init__(self, failures: Failures, checked: Checked) -> None:
        self.problem = ""
        """Why it is to end; empty: it goes on."""
        self.refused: set[tuple[str, ...]] = set()
        campaign = checked.campaign
        self._failures = failures
        self._sets = len(checked.groups)
        self._is_personal = any(one.fields for one in (campaign.text, campaign.subject, *campaign.files))
        self._taken: set[tuple[str, ...]] = set()
        self._refusals: Counter[tuple[str, ...]] = Counter()
        self._row = 0
        self._failed = 0
        self._done = 0
        self._lock = threading.Lock()

    def hear(self, outcome: Outcome) -> None:
        """One more."""
        with self._lock:
            self.problem = self.problem or self._problem(outcome)

    def _problem(self, outcome: Outcome) -> str:
        error = outcome.error
        files = outcome.decided.words.files if outcome.decided.words else ()
        if outcome.receipt:
            self._taken.add(files)
        if isinstance(error, EarlierOutcomeUnknown) or (outcome.receipt and outcome.receipt.earlier):
            return ""
        self._done += 1
        self._row = self._row + 1 if error else 0
        self._failed += error is not None
        if isinstance(error, SendError) and (ends_it(error) or self._is_everybodys(error, files)):
            return f"everybody would meet the same: {error}"
        if self._failures.in_a_row and self._row >= self._failures.in_a_row:
            return f"{self._row} failures in a row, the last one: {error}"
        share = self._failures.share
        if share and self._done >= _SHARE_FROM and self._failed > share * self._done:
            return f"{self._failed} of {self._done} failed, more than {share:.1%}, the last one: {error}"
        return ""

    def _is_everybodys(self, error: SendError, files: tuple[str, ...]) -> bool:
        """Whether a content that was refused is refused whoever it is for."""
        if not isinstance(error, ContentRefused) or files in self._taken:
            return False
        self._refusals[files] += 1
        if not self._is_personal or self._refusals[files] >= _MOST_REFUSED:
            self.refused.add(files)
        return len(self.refused) == self._sets


class _Line:
    """People go in, outcomes come out; as many are in between as are sent to at once, and as many wait for those."""

    def __init__(
        self,
        checked: Checked,
        rendered: Rendered,
        sending: Sending,
        journal: Journal,
        key: str,
        pace: Pace,
        stop: threading.Event,
        judge: _Judge,
    ) -> None:
        self.stop = stop
        self._judge = judge
        self._rendered = rendered
        self._sending = sending
        self._key = key
        self._pace = pace
        self._people = (one for one in decisions(checked.campaign) if one.verdict is Verdict.SEND)
        self._todo: queue.SimpleQueue[Decided | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        self._under_way = 0
        self._ahead = max(_MOST_AHEAD, 4 * pace.at_once)
        if pace.per_second:
            # No more than will have their turn soon.
            self._ahead = min(self._ahead, max(pace.at_once, math.ceil(pace.per_second)))
        self._due_s = time.monotonic()
        self._connections = Connections()
        self._book = Reservations(
            journal, key=key, gateway=sending.account.url, lasts_s=sending.patience.timeouts.total_s
        )
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(pace.at_once)]
        for thread in self._threads:
            thread.start()

    def outcomes(self) -> Iterator[Outcome]:
        """Everybody's, until there is nobody left or it is stopped."""
        while people := self._reserved():
            for person in people:
                self._wait_for_turn()
                if self.stop.is_set():
                    break
                self._todo.put(person)
                self._under_way += 1
                yield from self._ended()
            # The next ones have their places before the last of these are begun, so that no worker waits for them.
            while self._under_way > self._pace.at_once + self._ahead // 2:
                yield from self._ended(block=True)
        # Those that are under way come to their end.
        while self._under_way:
            yield from self._ended(block=True)

    def abandon(self) -> None:
        """Wait for nobody who is under way; the journal calls them unknown when this process has ended."""
        self._threads = []

    def close(self) -> None:
        """Let the threads end, after what they are at."""
        self.stop.set()
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()
        with self._connections:
            self._book.close()

    def _reserved(self) -> list[Decided]:
        """The next people, with their places in the journal."""
        people = [] if self.stop.is_set() else list(islice(self._people, self._ahead))
        self._book.reserve([person.recipient for person in people])
        return people

    def _ended(self, block: bool = False) -> Iterator[Outcome]:
        """What became of those who have come to an end, and of one at least where it may ``block``."""
        with suppress(queue.Empty):
            while True:
                found = self._done.get(block=block)
                block = False
                self._under_way -= 1
                if isinstance(found, BaseException):
                    raise found
                if found is not None:
                    yield found

    def _wait_for_turn(self) -> None:
        if not self._pace.per_second:
            return
        now_s = time.monotonic()
        self._due_s = max(self._due_s, now_s - 1 / self._pace.per_second) + 1 / self._pace.per_second
        if self._due_s > now_s:
            self.stop.wait(self._due_s - now_s)

    def _work(self) -> None:
        while (person := self._next_person()) is not None:
            try:
                outcome = self._one(person)
                if outcome is not None:
                    self._judge.hear(outcome)
                if self._judge.problem:
                    self.stop.set()
                self._done.put(outcome)
            except BaseException as error:
                self.stop.set()
                self._done.put(error)

    def _next_person(self) -> Decided | None:
        """Whoever waits; where nobody does, what was done is recorded first."""
        try:
            return self._todo.get_nowait()
        except queue.Empty:
            try:
                self._book.flush()
            except JournalError as error:
                self._done.put(error)
            return self._todo.get()

    def _one(self, person: Decided) -> Outcome | None:
        """``None``: it was stopped before this one's turn came."""
        assert person.words is not None
        if self.stop.is_set():
            return None
        if person.words.files in self._judge.refused:
            problem = f"{person.recipient}: not sent, the gateway refuses these files whoever they are for"
            return Outcome(decided=person, error=ContentRefused(problem))
        try:
            message = self._rendered.message(person.words)
        except MmsprepError as error:
            return Outcome(decided=person, error=error)
        try:
            return Outcome(decided=person, receipt=self._send(message, person.recipient))
        except SendError as error:
            return Outcome(decided=person, error=error)

    def _send(self, message: Message, recipient: str) -> Receipt:
        how = self._sending
        return send(
            message,
            to=recipient,
            account=how.account,
            via=how.via,
            sender=how.sender,
            text_at_end=how.text_at_end,
            options=how.options,
            journal=self._book,
            key=self._key,
            resend_unknown=how.resend_unknown,
            patience=how.patience,
            connections=self._connections,
        )
