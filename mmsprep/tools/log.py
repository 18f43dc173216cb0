"""The log on its way to standard error: one line an event, for people or as JSON.

Comes in: the records of the loggers below ``mmsprep``, and words like ``debug,json``. Goes out: lines. Never: what a
message says, a secret, or what a program was called with; who logs leaves it out.

Nothing is written unless somebody asks for it: ``MMSPREP_LOG``, ``-v``, or a host program that sets up
:mod:`logging`, whose root handlers get every record. What a record tells as ``name: value`` is in its arguments, a
mapping, and in its extra attributes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from mmsprep.errors import MmsprepError, UsageError
from mmsprep.printable import printable

VARIABLE = "MMSPREP_LOG"
_ROOT = "mmsprep"
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 1,
}
_PLAIN_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and what the event carries."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= _extras(record)
        if isinstance(record.args, Mapping):
            line |= record.args
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class PlainLines(logging.Formatter):
    """One line for people: time, level, event, then what it carries as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        when = datetime.fromtimestamp(record.created, UTC)
        words = [f"{when:%Y-%m-%d %H:%M:%S}Z", record.levelname.lower(), record.getMessage()]
        words += [f"{name}={json.dumps(value, default=str)}" for name, value in _extras(record).items()]
        line = printable(" ".join(words))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _PLAIN_ATTRIBUTES}


FORMS: dict[str, type[logging.Formatter]] = {"json": JsonLines, "text": PlainLines}


class _StandardError(logging.StreamHandler[Any]):
    """Writes to what standard error is now: a live progress bar puts itself in its place for a while."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr


def log_to_stderr(
    words: str = "",
    *,
    level: str = "warning",
    form: str = "text",
    servers: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Send the log to standard error, as ``MMSPREP_LOG`` and ``words`` say; of two words for the same the last counts.

    Args:
        words: a level (``debug``, ``info``, ``warning``, ``error``, ``off``), a form (``json``, ``text``), or both with
            a comma.
        level: what counts where nobody says it.
        form: likewise.
        servers: names of other loggers whose warnings belong to it.
        environment: where ``MMSPREP_LOG`` is (default: this process's).

    Raises:
        UsageError: a word is none of these.
    """
    asked = (os.environ if environment is None else environment).get(VARIABLE, "")
    for word in f"{asked},{words}".lower().replace(",", " ").split():
        if word in FORMS:
            form = word
        elif word in _LEVELS:
            level = word
        else:
            raise UsageError(
                f"the log ({VARIABLE}, --log): found {word!r}, expected a level ({', '.join(_LEVELS)}), a form"
                f" ({' or '.join(FORMS)}), or both with a comma"
            )
    handler = _StandardError()
    handler.setFormatter(FORMS[form]())
    for name, lowest in ((_ROOT, _LEVELS[level]), *((name, logging.WARNING) for name in servers)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(lowest)
        logger.propagate = False


def log_as_asked(verbosity: int = 0) -> None:
    """Send the log where ``MMSPREP_LOG`` or a command's ``-v`` wants it; without either nothing changes.

    ``verbosity`` 1 is ``info``, more is ``debug``; the variable then says so too, to the processes of a batch.

    Raises:
        UsageError: the variable makes no sense.
    """
    if verbosity:
        asked = os.environ.get(VARIABLE, "")
        os.environ[VARIABLE] = f"{asked},{'info' if verbosity == 1 else 'debug'}".lstrip(",")
    if os.environ.get(VARIABLE, "").strip():
        log_to_stderr()


@contextmanager
def timed(logger: logging.Logger, level: int, sentence: str, **told: object) -> Iterator[None]:
    """Log how long the ``with`` block took, and what ended it where that was an error.

    ``sentence`` names its values in the style of ``%(name)s``, :mod:`logging`'s own for a mapping; it may use
    ``took_s`` and ``outcome`` besides ``told``. Text of strangers is made harmless.
    """
    if not logger.isEnabledFor(level):
        yield
        return
    started_s = time.monotonic()
    outcome = "done"
    try:
        yield
    except BaseException as error:
        outcome = error_name(error)
        raise
    finally:
        values = harmless(told) | {"took_s": round(time.monotonic() - started_s, 4), "outcome": outcome}
        logger.log(level, sentence, values)


@contextmanager
def unlogged(library: str) -> Iterator[None]:
    """Nothing that ``library`` logs for this thread or task goes anywhere meanwhile: httpx logs whole addresses."""
    logging.getLogger(library).addFilter(_is_heard)
    before = _UNLOGGED.set(True)
    try:
        yield
    finally:
        _UNLOGGED.reset(before)


_UNLOGGED: ContextVar[bool] = ContextVar("unlogged", default=False)


def _is_heard(_record: logging.LogRecord) -> bool:
    return not _UNLOGGED.get()


def error_name(error: BaseException) -> str:
    """What kind of error it is: the stable code of ours, else its class. What it says may be anybody's words."""
    return error.code if isinstance(error, MmsprepError) else type(error).__name__


def harmless(told: Mapping[str, object]) -> dict[str, object]:
    """What a record carries, with strangers' text made harmless."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in told.items()}
