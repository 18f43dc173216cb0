"""What MM7 can be asked for beside the message: reports, when it is to go, how long it stays, how urgent it is.

Comes in: what a caller wants, as people write it. Goes out: :class:`SubmitOptions` in the words of MM7 (TS 23.140,
8.7.1). Never: a wish that is dropped; the HTTP form has none of these, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mmsprep.errors import UsageError, a_kind_of

_FROM_NOW = re.compile(r"([0-9]{1,6})\s*(s|m|min|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(
    r"P(?=[0-9T])(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)D)?(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?",
    re.ASCII,
)
_DURATION_S = (31_536_000, 2_592_000, 86_400, 3600, 60, 1)
_EXPECTED = "expected a time like 36h or 2d, or a date like 2026-12-01T10:00+11:00"

When = str | timedelta | datetime
"""A time from now on (``2d``, ``36h``, ``90m``, ``P2D``, a ``timedelta``) or a date (ISO 8601, a ``datetime``)."""


class Report(StrEnum):
    """What the relay can tell later: that it was delivered, that it was read."""

    DELIVERY = "delivery"
    READ = "read"


class PriorityClass(StrEnum):
    """How urgent a message is; phones show it, networks may act on it."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """What the relay is asked for. What is empty is left to the relay.

    Args:
        report: what it is to tell: any of :class:`Report`, also as ``"delivery,read"``.
        expiry: when an undelivered message is given up.
        earliest: when it may be delivered at the earliest.
        priority: one of :class:`PriorityClass`.

    Raises:
        UsageError: something is none of that, lies in the past, or expires before it may be delivered.
    """

    report: str | Iterable[str] = ()
    expiry: When = ""
    earliest: When = ""
    priority: str = ""

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        words = self.report.split(",") if isinstance(self.report, str) else list(self.report)
        reports = [_one_of(Report, word, "report") for word in words if not isinstance(word, str) or word.strip()]
        expiry, expires_s = _when(self.expiry, "expiry", now)
        earliest, begins_s = _when(self.earliest, "earliest", now)
        if expiry and earliest and expires_s <= begins_s:
            raise UsageError("expiry: the message would expire before it may be delivered (earliest)")
        object.__setattr__(self, "report", tuple(dict.fromkeys(reports)))
        object.__setattr__(self, "expiry", expiry)
        object.__setattr__(self, "earliest", earliest)
        object.__setattr__(
            self, "priority", str(_one_of(PriorityClass, self.priority, "priority class")) if self.priority else ""
        )

    @property
    def named(self) -> tuple[str, ...]:
        """The names of what is asked for."""
        return tuple(name for name in ("report", "expiry", "earliest", "priority") if getattr(self, name))

    def asks_for(self, report: Report) -> bool:
        """Whether this report is asked for."""
        return report in tuple(self.report)


def _one_of(words: type[StrEnum], word: object, called: str) -> StrEnum:
    try:
        return words(str(word).strip().lower())
    except ValueError:
        raise UsageError(f"{called} {str(word)[:40]!r}: expected {' or '.join(words)}") from None


def _when(value: When, called: str, now: datetime) -> tuple[str, float]:
    """A date or a duration as XML Schema writes it, and how many seconds from now that is."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return "", 0.0
        if lasts := _DURATION.fullmatch(text):
            lasts_s = sum(int(count or 0) * unit_s for count, unit_s in zip(lasts.groups(), _DURATION_S, strict=True))
            return _later(text, lasts_s, called)
        value = _read(text, called)
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return _later(moment.strftime("%Y-%m-%dT%H:%M:%SZ"), (moment - now).total_seconds(), called)
    if isinstance(value, timedelta):
        lasts_s = int(value.total_seconds())
        days, rest_s = divmod(lasts_s, 86_400)
        return _later(f"P{days}D" if not rest_s else f"PT{lasts_s}S", lasts_s, called)
    raise UsageError(f"{called}: is {a_kind_of(value)}; {_EXPECTED}")


def _read(text: str, called: str) -> timedelta | datetime:
    if found := _FROM_NOW.fullmatch(text):
        return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{called} {text[:40]!r}: {_EXPECTED}") from None


def _later(text: str, lasts_s: float, called: str) -> tuple[str, float]:
    if lasts_s <= 0:
        raise UsageError(f"{called} {text}: is not in the future")
    return text, lasts_s
