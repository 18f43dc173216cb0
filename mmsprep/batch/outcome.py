"""What became of each job: values, and the line of JSON that tells it to programs.

Comes in: what a worker sends back. Goes out: outcomes. Never: work. The JSON is a contract, described in
``docs/batch.md``: keys are only ever added.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mmsprep.errors import MmsprepError

if TYPE_CHECKING:
    from mmsprep.message import Message
    from mmsprep.pipeline.job import Job

SCHEMA = 1
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The job at place ``index`` was done."""

    index: int
    job: Job
    message: Message


@dataclass(frozen=True, slots=True)
class Failed:
    """The job at place ``index`` failed; the others went on."""

    index: int
    job: Job
    error: MmsprepError


Outcome = Prepared | Failed


class Status(StrEnum):
    """What was done about one item of a batch."""

    PREPARED = "prepared"
    COPIED = "copied"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One written file; ``version`` tells whether it was changed since (empty: only its size does)."""

    name: str
    size_bytes: int
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a worker says of one finished item.

    ``stem`` is what the outputs' names begin with. ``parts`` are compact reports ready for JSON; ``total_bytes``
    is the size of the message, of which the written files are the parts, or of all of them where it was split;
    ``messages`` is that of each; ``work_s`` the seconds it took, ``worker`` who did it.
    """

    stem: str
    outputs: tuple[OutputFile, ...]
    parts: tuple[Json, ...]
    total_bytes: int
    limit_bytes: int
    rejected: tuple[Json, ...] = ()
    warnings: tuple[str, ...] = ()
    work_s: float = 0.0
    worker: str = ""
    messages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome:
    """What became of one file, folder or row of a batch; exactly one of ``made`` and ``error`` is set."""

    index: int
    id: str
    status: Status
    to: str = ""
    input_bytes: int = 0
    made: Made | None = None
    error: MmsprepError | None = None


def outcome_document(outcome: ItemOutcome) -> Json:
    """One line of ``--json`` and of ``--report``."""
    made, error = outcome.made, outcome.error
    return {
        "schema": SCHEMA,
        "index": outcome.index,
        "id": outcome.id,
        "status": outcome.status,
        "to": outcome.to or None,
        "input_bytes": outcome.input_bytes,
        "outputs": [
            {"path": file.name, "size_bytes": file.size_bytes, "sha256": file.sha256}
            for file in (made.outputs if made else ())
        ],
        "total_bytes": made.total_bytes if made else None,
        "limit_bytes": made.limit_bytes if made else None,
        "messages": [
            {"folder": str(number) if len(made.messages) > 1 else "", "total_bytes": size_bytes}
            for number, size_bytes in enumerate(made.messages, start=1)
        ]
        if made
        else [],
        "parts": list(made.parts) if made else [],
        "rejected": list(made.rejected) if made else [],
        "warnings": list(made.warnings) if made else [],
        "work_s": round(made.work_s, 3) if made else None,
        "worker": (made.worker or None) if made else None,
        "error": {"code": error.code, "message": str(error), "exit_status": error.exit_status} if error else None,
    }
