"""The receiver's log for a server of its own: one line an event on standard error, as JSON or for people.

Comes in: log records. Goes out: lines. Never: what a message says; who logs leaves it out.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from mmsprep.errors import UsageError
from mmsprep.printable import printable

_PLAIN_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and what the event carries."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in _PLAIN_ATTRIBUTES}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class PlainLines(logging.Formatter):
    """One line for people: time, level, event, then what it carries as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        when = datetime.fromtimestamp(record.created, UTC)
        carried = {name: value for name, value in record.__dict__.items() if name not in _PLAIN_ATTRIBUTES}
        words = [f"{when:%Y-%m-%d %H:%M:%S}Z", record.levelname.lower(), record.getMessage()]
        words += [f"{name}={json.dumps(value, default=str)}" for name, value in carried.items()]
        line = printable(" ".join(words))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


FORMATS: dict[str, type[logging.Formatter]] = {"json": JsonLines, "text": PlainLines}


def log_to_stderr(form: str = "json") -> None:
    """Send the receiver's log and the HTTP server's to standard error, as JSON lines or as text.

    Raises:
        UsageError: ``form`` is neither.
    """
    if form not in FORMATS:
        raise UsageError(f"no log is written as {form!r}; expected {' or '.join(FORMATS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATS[form]())
    for name, level in (("mmsprep.receive", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
