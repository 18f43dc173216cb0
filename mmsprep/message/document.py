"""``message.json``: what happened to each file, for programs.

Comes in: a message or a forecast. Goes out: a dictionary ready for JSON. Never: a file.

The document is a contract, described in ``docs/message-json.md``: keys are only ever added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from mmsprep.model import MediaInfo, Part, PartReport, Rejection

SCHEMA = 1
Json = dict[str, Any]


class Reported(Protocol):
    """What a report tells of: a message, or a forecast of one.

    ``predicted`` is true for a forecast, which has no ``sha256`` and no ``picture_limit_px``.
    """

    @property
    def profile(self) -> str: ...
    @property
    def limit_bytes(self) -> int: ...
    @property
    def total_bytes(self) -> int: ...
    @property
    def overhead_bytes(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def predicted(self) -> bool: ...
    @property
    def sha256(self) -> str | None: ...
    @property
    def picture_limit_px(self) -> int | None: ...
    @property
    def parts(self) -> Sequence[PartReport]: ...
    @property
    def rejected(self) -> Sequence[Rejection]: ...
    @property
    def warnings(self) -> Sequence[str]: ...


def document(message: Reported) -> Json:
    """The report of a message (or of a forecast, with ``predicted`` true) as ``message.json`` holds it."""
    return {
        "schema": SCHEMA,
        "profile": message.profile,
        "limit_bytes": message.limit_bytes,
        "total_bytes": message.total_bytes,
        "overhead_bytes": message.overhead_bytes,
        "subject": message.subject,
        "text": message.text,
        "predicted": message.predicted,
        "sha256": message.sha256,
        "picture_limit_px": message.picture_limit_px,
        "parts": [_part(part) for part in message.parts],
        "rejected": [
            {
                "index": rejection.index,
                "path": rejection.name,
                "code": rejection.code,
                "message": rejection.message,
            }
            for rejection in message.rejected
        ],
        "warnings": list(message.warnings),
    }


def _part(part: PartReport) -> Json:
    return {
        "name": part.name,
        "format": part.format,
        "content_type": part.content_type,
        "kind": part.kind,
        "size_bytes": part.size_bytes,
        "action": part.action,
        "support": part.support,
        "width_px": part.width_px,
        "height_px": part.height_px,
        "duration_s": part.duration_s,
        "quality": part.quality,
        "sha256": hashlib.sha256(part.data).hexdigest() if isinstance(part, Part) and part.data else None,
        "source": {
            "index": part.indexes[0] if part.indexes else None,
            "path": part.source_name,
            **info_document(part.source),
        },
        "reasons": [asdict(reason) for reason in part.reasons],
        "notes": list(part.notes),
        "span": asdict(part.span) if part.span else None,
        "shown_s": part.shown_s,
        "page": asdict(part.page) if part.page else None,
        "shown_at": list(part.shown_at),
        "indexes": list(part.indexes),
    }


def info_document(info: MediaInfo) -> Json:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(info).items()}
