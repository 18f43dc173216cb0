"""Everything that can be known before the first request: who gets a message, who does not and why, and of what.

Comes in: a list and a message with fields. Goes out: a :class:`Checked` with totals and the groups of people who get
the same media. Never: a request, or everybody in memory.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from os import PathLike
from pathlib import Path, PurePath

from mmsprep.campaign.merge import Template, check_fields
from mmsprep.campaign.people import People, Person, read_people
from mmsprep.errors import AddressError, MmsprepError, NotFound, RowsRefused, UsageError
from mmsprep.formats.text import is_seen
from mmsprep.pipeline.intake import Excerpt, indexes_called, names_of, with_suffix_read
from mmsprep.pipeline.job import Job
from mmsprep.receive.reports import Reports
from mmsprep.sender.address import msisdn

_MOST_PROBLEMS = 10
_SCIENTIFIC = re.compile(r"[0-9][.,]?[0-9]*[eE]\+?[0-9]+")
_STOP = frozenset(("stop", "stopall", "unsubscribe", "optout", "stopp", "remove", "cancel", "quit", "end"))
_START = frozenset(("start", "unstop", "subscribe", "optin", "yes"))


class Verdict(StrEnum):
    """What is done with a person: sent to, or why not."""

    SEND = "send"
    DUPLICATE = "duplicate"
    EXCLUDED = "excluded"
    STOPPED = "stopped"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A list of people and what each of them gets.

    ``job`` says how media are prepared; its attachments, text and subject are not used. ``excluded`` and ``stopped``
    are MSISDNs. ``skip_invalid``: leave out whoever cannot be sent to in place of refusing the whole list.
    """

    people: People
    text: Template = field(default_factory=lambda: Template(""))
    subject: Template = field(default_factory=lambda: Template(""))
    files: tuple[Template, ...] = ()
    job: Job = field(default_factory=lambda: Job(attachments=()))
    country: str = ""
    excluded: Collection[str] = ()
    stopped: Collection[str] = ()
    skip_invalid: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """What one person gets: text, subject and files."""

    text: str
    subject: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """A person, and what is done with them. ``reason`` is set for whoever is not sent to."""

    person: Person
    verdict: Verdict
    recipient: str = ""
    words: Words | None = None
    reason: str = ""


@dataclass(slots=True)
class Group:
    """People who get the same files: how many, and the longest text and subject among them."""

    people: int = 0
    text: str = ""
    subject: str = ""

    def add(self, words: Words) -> None:
        """Count one more."""
        self.people += 1
        self.text = max(self.text, words.text, key=_size_bytes)
        self.subject = max(self.subject, words.subject, key=_size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A campaign that can begin: how many people there are of each verdict, and the groups by their files."""

    campaign: Campaign
    counts: dict[Verdict, int]
    groups: dict[tuple[str, ...], Group]
    problems: tuple[str, ...] = ()

    @property
    def to_send(self) -> int:
        """How many people are sent to."""
        return self.counts[Verdict.SEND]


def check(campaign: Campaign) -> Checked:
    """Go through the whole list once.

    Raises:
        UsageError: a field has no column, a priority is for nobody's file; somebody has no value for a field, no number
            or one twice over, and ``skip_invalid`` is not asked for; or nobody is left. The message
            names the first ten lines.
        NotFound: a file is not there.
    """
    for template, called in _templates(campaign):
        check_fields(template, campaign.people.columns, called)
    if not (is_seen(campaign.text.text) or campaign.files):
        raise UsageError("nothing to send: give a text (-m) or files")
    counts = dict.fromkeys(Verdict, 0)
    groups: dict[tuple[str, ...], Group] = {}
    problems: list[str] = []
    for decided in decisions(campaign):
        counts[decided.verdict] += 1
        if decided.verdict is Verdict.INVALID and len(problems) < _MOST_PROBLEMS:
            problems.append(f"line {decided.person.line}: {decided.reason}")
        if decided.words is not None and decided.verdict is Verdict.SEND:
            groups.setdefault(decided.words.files, Group()).add(decided.words)
    invalid = counts[Verdict.INVALID]
    if invalid and not campaign.skip_invalid:
        more = (f"... and {invalid - len(problems)} more",) if invalid > len(problems) else ()
        problem = (
            f"{campaign.people.path}: {invalid} of {sum(counts.values())} rows cannot be sent to; nothing was sent"
        )
        raise RowsRefused(problem, (*problems, *more), "--on-error skip leaves them out")
    for files in groups:
        for name in files:
            if not _path_of(name).exists():
                raise NotFound(name, "there is no such file; nothing was sent")
    wished = {called for files in groups for called in priorities_of(campaign, files)}
    if strangers := ", ".join(repr(called) for called in campaign.job.priorities if called not in wished):
        raise UsageError(f"a priority is given for {strangers}, which is nobody's file; nothing was sent")
    return Checked(campaign=campaign, counts=counts, groups=groups, problems=tuple(problems))


def priorities_of(campaign: Campaign, files: Sequence[str]) -> dict[str | int, float]:
    """The campaign's priorities that are for one of ``files``: others may be for other people's."""
    given = campaign.job.priorities.items()
    if not given:
        return {}
    names = names_of(files)
    return {called: weight for called, weight in given if indexes_called(called, names)}


def decisions(campaign: Campaign) -> Iterator[Decided]:
    """Everybody in the order of the list; the same each time."""
    seen: dict[str, int] = {}
    for person in campaign.people:
        try:
            recipient = _number(person, campaign.country)
            first = seen.setdefault(recipient, person.line)
            if first != person.line:
                yield Decided(person, Verdict.DUPLICATE, recipient, reason=f"the same number as on line {first}")
            elif recipient in campaign.excluded:
                yield Decided(person, Verdict.EXCLUDED, recipient, reason="stands on the list of exceptions")
            elif recipient in campaign.stopped:
                yield Decided(person, Verdict.STOPPED, recipient, reason="replied STOP")
            else:
                yield Decided(person, Verdict.SEND, recipient, _words(campaign, person))
        except MmsprepError as error:
            yield Decided(person, Verdict.INVALID, reason=str(error))


def numbers_in(path: str | Path, country: str = "") -> frozenset[str]:
    """The numbers of a list of exceptions: one a line, or a list as :func:`read_people` takes it.

    Raises:
        MmsprepError: it cannot be read, or a number in it is none: nobody is to be sent to by mistake.
    """
    people = read_people(path, country=country)
    found = set()
    for person in people:
        try:
            found.add(_number(person, country))
        except AddressError as error:
            raise UsageError(f"{path}: line {person.line}: {error}; nothing was sent") from None
    return frozenset(found)


def stopped_in(reports: Reports, country: str = "") -> frozenset[str]:
    """The numbers whose last word on it was STOP, and not START.

    A reply counts that is one of these words alone, or begins with STOP or UNSUBSCRIBE.
    """
    stopped: set[str] = set()
    for sender, text in reports.texts():
        words = re.findall(r"\w+", text.casefold())
        if not words:
            continue
        alone = len(words) == 1 or "".join(words) in _STOP | _START
        word = "".join(words) if alone else words[0]
        try:
            number = msisdn(sender, country).digits
        except AddressError:
            continue
        if word in (_STOP if alone else ("stop", "unsubscribe")):
            stopped.add(number)
        elif alone and word in _START:
            stopped.discard(number)
    return frozenset(stopped)


def _templates(campaign: Campaign) -> Iterable[tuple[Template, str]]:
    yield campaign.text, "the text"
    yield campaign.subject, "the subject"
    yield from ((template, f"the file {template.text!r}") for template in campaign.files)


def _number(person: Person, country: str) -> str:
    if person.problem:
        raise UsageError(person.problem)
    if not person.number:
        raise AddressError("there is no number")
    if _SCIENTIFIC.fullmatch(person.number):
        raise AddressError(f"{person.number}: the spreadsheet has shortened the number; format its column as text")
    # A spreadsheet is told so that it is text.
    return msisdn(person.number.lstrip("'").strip(), country).digits


def _words(campaign: Campaign, person: Person) -> Words:
    text = campaign.text.filled(person.values, "the text")
    subject = " ".join(campaign.subject.filled(person.values, "the subject").split())
    return Words(text, subject, tuple(_file(template, person) for template in campaign.files))


def _file(template: Template, person: Person) -> str:
    """A file's name; what stands in the list cannot lead out of the folder that the template names."""
    if not template.fields:
        return template.filled(person.values, "a file")
    for given in template.fields:
        value = replace(template, text=f"{{{given.name}|}}").filled(person.values, "a file")
        path = PurePath(value.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or "\0" in value or re.match(r"[A-Za-z]:", value):
            raise UsageError(
                f"{given.name} is {value[:60]!r}, which leads out of its folder; write the folder before it"
            )
    name = template.filled(person.values, f"the file {template.text!r}")
    if not _path_of(name).is_file():
        raise NotFound(name, "there is no such file")
    return name


def _path_of(name: str) -> Path:
    """The file itself, where some seconds of it are meant."""
    given = with_suffix_read(name)
    whole = given.content if isinstance(given, Excerpt) else given
    return Path(whole) if isinstance(whole, (str, PathLike)) else Path(name)


def _size_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
