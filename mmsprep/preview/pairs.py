"""A part and what it was made of, as a browser shows them.

Comes in: a part's report and bytes, its original. Goes out: a :class:`Pair`. Never: a tag of the original (its
picture is decoded and encoded anew), or an error for what cannot be shown: that is said in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mmsprep.errors import InputError, MmsprepError
from mmsprep.formats import FORMATS
from mmsprep.formats.text import decode
from mmsprep.message.wording import (
    media_words,
    part_words,
    percent_words,
    quality_band,
    quality_words,
    reason_words,
    short_name,
)
from mmsprep.model import Action, Attachment, Kind, MediaInfo, Page, PartReport
from mmsprep.sniff import sniff
from mmsprep.tools.untrusted import read_bytes
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode import browser
from mmsprep.transcode.browser import Rendering

_ORIGINAL_PX, _ORIGINAL_CLIP_PX = 1600, 640
"""The long side at which an original is shown; a picture's is never less than twice what is sent."""
_ORIGINAL_QUALITY, _ORIGINAL_CRF = 85, 26
_LONGEST_TEXT = 20_000
_AS_THEY_ARE = {"jpeg": "image/jpeg", "gif": "image/gif", "png": "image/png"}
"""What a browser shows bit for bit as a phone gets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one side of a pair is, and what of it can be shown: a rendering, a text, or why there is neither."""

    words: str
    size_bytes: int
    rendering: Rendering | None = None
    text: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A file before and after. ``band`` is the word for its quality; ``group`` the message or item it belongs to."""

    name: str
    group: str
    kind: Kind
    quality: float
    band: str
    told_quality: str
    share: str
    before: Side
    after: Side
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def embedded_bytes(self) -> int:
        """What it adds to a page, before base64."""
        return sum(len(side.rendering.data) for side in (self.before, self.after) if side.rendering)


def worst_first(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs, lowest quality first; equals as they came."""
    return sorted(pairs, key=lambda pair: pair.quality)


def pair_of(
    part: PartReport,
    data: bytes,
    original: Attachment | None,
    workspace: Workspace,
    *,
    limit_bytes: int,
    group: str = "",
) -> Pair:
    """Render a part and what it was made of.

    Args:
        part: what was done.
        data: its bytes.
        original: what it was made of; ``None`` where that is gone.
        workspace: room for ffmpeg; its settings bound what is decoded.
        limit_bytes: of the message.
        group: the message or item that it belongs to.

    Raises:
        ToolError: ffmpeg is missing or cannot be started.
    """
    sent = Attachment(0, part.name, len(data), data=data)
    after = _side(sent, part_words(part), workspace, is_original=False)
    sent_px = max(part.width_px or 0, part.height_px or 0)
    before = (
        _side(original, media_words(part.source), workspace, is_original=True, sent_px=sent_px, page=part.page)
        if original
        else Side(words=media_words(part.source), size_bytes=part.source.size_bytes, problem="is not there any more")
    )
    return _pair(part, before, after, limit_bytes, group)


def pair_unseen(part: PartReport, why: str, *, limit_bytes: int, group: str = "") -> Pair:
    """The same in words alone: ``why`` is said in place of what could be seen."""
    before = Side(words=media_words(part.source), size_bytes=part.source.size_bytes, problem=why)
    return _pair(
        part, before, Side(words=part_words(part), size_bytes=part.size_bytes, problem=why), limit_bytes, group
    )


def _pair(part: PartReport, before: Side, after: Side, limit_bytes: int, group: str) -> Pair:
    return Pair(
        name=short_name(part.source_name),
        group=group,
        kind=part.kind,
        quality=part.quality,
        band=quality_band(part.quality) if part.action is Action.TRANSCODE else "kept",
        told_quality=quality_words(part),
        share=percent_words(part.size_bytes, limit_bytes),
        before=before,
        after=after,
        reasons=tuple(reason_words(part.reasons)),
        notes=part.notes,
    )


def _side(
    attachment: Attachment,
    words: str,
    workspace: Workspace,
    *,
    is_original: bool,
    sent_px: int = 0,
    page: Page | None = None,
) -> Side:
    rendering: Rendering | None = None
    text = problem = ""
    try:
        # A report can be old, and a compact one tells little: what is decoded is what is there.
        info = sniff(attachment, workspace.settings, workspace)
        attachment = replace(attachment, extent=info.extent)
        if info.kind is Kind.TEXT:
            decoded = decode(read_bytes(attachment)[: 4 * _LONGEST_TEXT], whole=False)
            text = decoded[0][:_LONGEST_TEXT] if decoded else ""
        elif FORMATS[info.format].melody:
            problem = "is played by the phone itself"
        else:
            rendering = _rendering(attachment, info, workspace, is_original=is_original, sent_px=sent_px, page=page)
    except InputError as error:
        problem = getattr(error, "problem", str(error))
    except MmsprepError as error:
        problem = f"cannot be shown ({error})"
    return Side(words=words, size_bytes=attachment.size_bytes, rendering=rendering, text=text, problem=problem)


def _rendering(
    attachment: Attachment,
    info: MediaInfo,
    workspace: Workspace,
    *,
    is_original: bool,
    sent_px: int,
    page: Page | None,
) -> Rendering:
    if info.kind is Kind.AUDIO:
        return browser.sound(attachment, info, workspace, extension="mp3")
    moves = info.kind is Kind.VIDEO or ((info.frame_count or 1) > 1 and FORMATS[info.format].demuxer is not None)
    size_px = info.width_px or 0, info.height_px or 0
    if not is_original and info.format in _AS_THEY_ARE and attachment.data is not None:
        return Rendering(attachment.data, _AS_THEY_ARE[info.format], size_px)
    if moves:
        scale = min(1.0, _ORIGINAL_CLIP_PX / max(*size_px, 1)) if is_original else 1.0
        crf = _ORIGINAL_CRF if is_original else None
        return browser.clip(
            attachment, info, (round(size_px[0] * scale), round(size_px[1] * scale)), workspace, crf=crf
        )
    most_px = max(_ORIGINAL_PX, 2 * sent_px)
    return browser.picture(attachment, info, most_px, workspace, jpeg_quality=_ORIGINAL_QUALITY, page=page)
