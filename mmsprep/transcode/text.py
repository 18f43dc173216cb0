"""Texts: any encoding becomes UTF-8 that any phone can show.

Comes in: an attachment that sniffing found to be text. Goes out: a :class:`Source` of one fixed size. Never:
a word changed, or an emoji taken apart.

Made clean are: the encoding (UTF-8 without BOM), the line ends (as the profile says), control characters and
terminal escapes (taken out), accents (composed, NFC: old phones draw a separate accent beside its letter).
"""

from __future__ import annotations

from typing import Literal

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS
from mmsprep.formats.text import clean, decode_all
from mmsprep.model import Action, Attachment, MediaInfo, Plan, Rendition
from mmsprep.profile import Profile
from mmsprep.tools.isolation import isolated
from mmsprep.tools.untrusted import read_bytes
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.fixed import FixedSource

_WHOLE_QUALITY = 100.0


def open_source(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,
    profile: Profile,
    workspace: Workspace,
) -> FixedSource:
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
    return FixedSource(
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
    try:
        text, _ = decode_all(read_bytes(attachment))
    except ValueError as error:
        raise Damaged(attachment.name, f"{error}; get the file again") from error
    return clean(text, line_ends).encode()
