"""What a caller asks for, and the answer of a look without work.

Comes in: nothing. Goes out: :class:`Job` and :class:`Inspection`. Never: work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mmsprep.errors import MmsprepError
from mmsprep.model import MediaInfo, Plan
from mmsprep.pipeline.intake import AttachmentInput
from mmsprep.profile import DEFAULT_PROFILE, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One message to prepare.

    ``profile`` is a name, a path or a read profile; ``limit_bytes`` replaces the profile's limit.
    ``on_error="skip"`` leaves out what cannot be sent and reports it. ``trim`` cuts clips and recordings
    that cannot reach the profile's quality floor, ``poster`` sends a clip's best frame instead.
    ``keep_names`` lets what is safe of the original names be seen by the recipient. ``priorities`` maps an
    attachment's name to its weight (2 asks for half the loss of the others).
    """

    attachments: tuple[AttachmentInput, ...]
    text: str = ""
    subject: str = ""
    profile: str | Path | Profile = DEFAULT_PROFILE
    limit_bytes: int | None = None
    on_error: Literal["fail", "skip"] = "fail"
    trim: bool = False
    poster: bool = False
    keep_names: bool = False
    priorities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one attachment is and what would be done with it; ``error`` is set when it cannot be sent."""

    name: str
    size_bytes: int
    info: MediaInfo | None = None
    plan: Plan | None = None
    error: MmsprepError | None = None
