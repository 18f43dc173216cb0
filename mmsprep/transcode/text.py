"""Texts: any encoding becomes UTF-8 that any phone can show.

Comes in: an attachment that sniffing found to be text. Goes out: a :class:`Source` of one fixed size. Never:
a word changed, or an emoji taken apart.

Made clean are: the encoding (UTF-8 without BOM), the line ends (as the profile says), control characters and
terminal escapes (taken out), accents (composed, NFC: old phones draw a separate accent beside its letter).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mmsprep.errors import Damaged, UnknownType
from mmsprep.formats import FORMATS
from mmsprep.formats.text import clean as clean_text
from mmsprep.formats.text import decode
from mmsprep.model import Action, Attachment, Curve, CurvePoint, MediaInfo, Plan, Rendition, Source
from mmsprep.profile import Profile
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace, read_bytes

__all__ = ["clean_text", "decode_text", "open_source"]

_WHOLE_QUALITY = 100.0


@dataclass(frozen=True, slots=True)
class _FixedSource:
    """A text as it will be sent; there is nothing to trade for fewer bytes."""

    rendition: Rendition
    floor_quality: float = 0.0

    def curve(self) -> Curve:
        return Curve((CurvePoint(self.rendition.size_bytes, _WHOLE_QUALITY),), steps=True)

    def render(self, max_bytes: int) -> Rendition:  # noqa: ARG002
        return self.rendition


def open_source(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,
    profile: Profile,
    workspace: Workspace,
) -> Source:
    """The text of ``attachment``, as it is where ``plan`` keeps it, otherwise cleaned as ``profile`` says.

    Raises:
        Damaged: it is no text any more.
        Unreadable: the file went away.
    """
    if plan.action is Action.KEEP:
        data = read_bytes(attachment)
    else:
        data = isolated(workspace, cleaned, attachment, profile.text.line_ends)
    row = profile.row_of(plan.target)
    entry = FORMATS[plan.target]
    return _FixedSource(
        Rendition(
            data=data,
            format=entry.slug,
            content_type=(row.content_type if row else "") or entry.content_type,
            action=plan.action,
            quality=_WHOLE_QUALITY,
        )
    )


def cleaned(attachment: Attachment, line_ends: Literal["crlf", "lf"]) -> bytes:
    """A text in clean UTF-8, in this process: for a worker; raises as :func:`open_source`."""
    decoded = decode(read_bytes(attachment))
    if decoded is None:
        raise Damaged(attachment.name, "is no text any more; it changed while it was being read")
    return clean_text(decoded[0], line_ends).encode()


def decode_text(data: bytes, name: str = "text") -> tuple[str, str]:
    """The characters of a text in any encoding, cleaned and with LF line ends, and the encoding's name.

    Raises:
        UnknownType: ``data`` is no text; the message calls it ``name``.
    """
    decoded = decode(data)
    if decoded is None:
        raise UnknownType(name, "is no text; expected a text file, in UTF-8 or another common encoding")
    return clean_text(decoded[0], "lf"), decoded[1]
