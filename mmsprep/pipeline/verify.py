"""Every output is read back before anyone may send it.

Comes in: a rendition (encoded by us, or an original that goes as it is) and the profile. Goes out: nothing,
or an error. Never: a repair, or an opinion of its own of what handsets take.

What a stranger's file must pass, an output must pass too: it is sniffed anew, and :func:`classify` must find nothing
to do with it. Beside that, one reader that is not the sniffer: Pillow decodes every frame of a picture, a strict
reader accounts for every byte of a recording, the boxes of a clip are counted, a text is cleaned once more; and ffmpeg
decodes sound and clips to the end (it exits 0 on damaged files, so what it printed and how far it came count). Who
looked at a clip has done that in the same run, and says so with the bytes: of no others is it believed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mmsprep.errors import (
    AttachmentError,
    Damaged,
    MmsprepError,
    ToolError,
    ToolMissing,
    ToolOverLimit,
    ToolTimeout,
    VerifyError,
)
from mmsprep.formats import FORMATS
from mmsprep.formats.findings import Sound
from mmsprep.formats.isobmff import Movie, read_movie
from mmsprep.formats.readers import picture_decoder, read_sound
from mmsprep.formats.text import clean
from mmsprep.model import Action, Attachment, Kind, MediaInfo, Played, ReasonCode, Rendition
from mmsprep.pipeline.classify import LADDER_CODECS, classify, sized_as_drawn
from mmsprep.pipeline.compare import not_heard, not_seen
from mmsprep.profile import AudioStep, Profile, VideoRules
from mmsprep.settings import Settings
from mmsprep.sniff.recognise import look
from mmsprep.tools.complaints import in_words
from mmsprep.tools.isolation import isolated
from mmsprep.tools.untrusted import content_of, read_bytes

if TYPE_CHECKING:
    from mmsprep.tools.workspace import Workspace

_DURATION_TOLERANCE = 0.1
_DURATION_TOLERANCE_S = 0.3
"""A share, and seconds: what an encode may play less than it was meant to. Codecs delay and round by whole frames."""
_ABOUT_ORIGINALS = frozenset((ReasonCode.TYPE_NOT_IN_TABLE, ReasonCode.TYPE_CONVERTED, ReasonCode.SINGLE_FRAME))
"""What decides whether a stranger's file is kept, and is no fault of one that was made: a profile may have a WBMP made
that it would convert, and a clip of three frames may have kept one."""
_PLENTY_OF_CONTRAST = 20.0
_ROUNDING_PX, _NEARLY = 2, 0.99
"""Pixels that even sides may add, and the scale that counts as 1 for them."""


def verify(source: Attachment, rendition: Rendition, profile: Profile, workspace: Workspace) -> Rendition:
    """Check that ``rendition`` is what it says, decodes to its end and is what the profile's handsets take.

    Args:
        source: the attachment that it was made of; errors name it.
        rendition: what is to be sent.
        profile: the rules it was made by.
        workspace: room for a temporary file and ffmpeg.

    Returns:
        The rendition, with how long it really plays, and what its decoder has against an original.

    Raises:
        VerifyError: an output of ours is not what it should be.
        Damaged: an original that would have gone as it is does not decode to its end.
    """
    name = source.name
    try:
        found = _read_again(name, rendition, profile, workspace)
        _check_promises(rendition, found.info)
        _check_rules(name, rendition, profile, found.info)
        if rendition.action is Action.TRANSCODE:
            _check_ours(profile, found)
        played = _played(rendition, workspace) if FORMATS[rendition.format].demuxer else None
        shown = found.contrast if played is None or played.contrast is None else played.contrast
        if fault := not_heard(rendition, workspace) or not_seen(rendition, shown):
            raise _Fault(fault)
        if played is None:
            return rendition
        # A format's own reader has walked the whole; ffmpeg complains of AMR's frames without data, which may be.
        is_new = played.complaint and FORMATS[rendition.format].read is None
        told = (f"slightly damaged, sent as it is ({played.complaint})",) if is_new else ()
        return replace(rendition, duration_s=round(played.duration_s, 3), notes=(*rendition.notes, *told))
    except _Fault as fault:
        raise _error(name, rendition, str(fault)) from fault
    except AttachmentError as error:
        raise _error(name, rendition, error.problem) from error
    except (ToolMissing, ToolOverLimit, ToolTimeout) as error:
        raise _error(name, rendition, f"does not decode ({error})") from error
    except ToolError as error:
        raise _error(name, rendition, f"does not decode: {in_words(str(error))}") from error


class _Fault(Exception):
    """What is wrong, in words that follow the file's name."""


def _error(name: str, rendition: Rendition, problem: str) -> MmsprepError:
    if rendition.action is Action.TRANSCODE:
        return VerifyError(f"{name}: the {FORMATS[rendition.format].title} made from it {problem}; nothing was written")
    return Damaged(name, f"{problem}; it cannot be sent as it is: save it anew, or get the file again")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What an output is to the sniffer, and to the strict readers: a recording of ours, the boxes of a clip of ours.

    ``contrast`` is a picture's (:func:`mmsprep.seeing.contrast.contrast`), an animation's best frame's.
    """

    info: MediaInfo
    sound: Sound | None = None
    movie: Movie | None = None
    contrast: float | None = None


def _read_again(name: str, rendition: Rendition, profile: Profile, workspace: Workspace) -> ReadBack:
    if not rendition.data:
        raise _Fault("is empty")
    made = Attachment(0, name, rendition.size_bytes, data=rendition.data)
    return isolated(
        workspace,
        read_back,
        made,
        workspace.settings,
        rendition.format,
        rendition.action,
        profile.text.line_ends,
    )


def read_back(
    attachment: Attachment,
    settings: Settings,
    format_slug: str,
    action: Action,
    line_ends: Literal["crlf", "lf"],
) -> ReadBack:
    """Read an output to its last byte, then sniff it anew, in this process: for a worker.

    Raises:
        Damaged: it does not decode, or something in it does not belong there.
        AttachmentError: the sniffer refuses it.
    """
    sound = movie = found_contrast = None
    data, kind = read_bytes(attachment), FORMATS[format_slug].kind
    if kind is Kind.IMAGE:
        found_contrast = _decode_picture(attachment.name, data, format_slug)
    elif kind is Kind.TEXT:
        _check_text(attachment.name, data, action, line_ends)
    elif kind is Kind.VIDEO and action is Action.TRANSCODE:
        with content_of(attachment) as content:
            movie = read_movie(content)
    elif FORMATS[format_slug].read_exactly and action is not Action.KEEP:
        try:
            sound = read_sound(data, format_slug)
        except ValueError as error:
            raise Damaged(attachment.name, str(error)) from error
    return ReadBack(info=look(attachment, settings), sound=sound, movie=movie, contrast=found_contrast)


def _decode_picture(name: str, data: bytes, format_slug: str) -> float:
    """Every frame decoded, nothing beside them that Pillow knows of; the contrast of the one that has most."""
    from mmsprep.seeing.contrast import contrast

    most = 0.0
    try:
        with picture_decoder(format_slug)(io.BytesIO(data)) as image:
            for frame in range(getattr(image, "n_frames", 1)):
                image.seek(frame)
                image.load()
                if most < _PLENTY_OF_CONTRAST:
                    most = max(most, contrast(image))
            left = [key for key in ("exif", "comment", "xmp", "icc_profile", "photoshop") if image.info.get(key)]
            if image.getexif() and "exif" not in left:
                left.append("exif")
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Damaged(name, f"does not decode ({error})") from error
    if left:
        raise Damaged(name, f"still has metadata ({', '.join(left)})")
    return most


def _check_text(name: str, data: bytes, action: Action, line_ends: Literal["crlf", "lf"]) -> None:
    """UTF-8; of ours, cleaning it again changes nothing."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Damaged(name, f"is not UTF-8 ({error})") from error
    if action is Action.TRANSCODE and text != clean(text, line_ends):
        raise Damaged(name, f"has control characters or line ends other than {line_ends}")


def _check_promises(rendition: Rendition, info: MediaInfo) -> None:
    """The type and the size in pixels that the rendition says."""
    if info.format != rendition.format:
        raise _Fault(f"reads as {FORMATS[info.format].title}, expected {FORMATS[rendition.format].title}")
    found, promised = (info.width_px, info.height_px), (rendition.width_px, rendition.height_px)
    if found != promised:
        raise _Fault(f"is {found[0]}x{found[1]} px, expected {promised[0]}x{promised[1]}")


def _check_rules(name: str, rendition: Rendition, profile: Profile, info: MediaInfo) -> None:
    """There is nothing to be done with it any more."""
    reasons = classify(name, info, profile, drawn=rendition.drawn).reasons
    if rendition.action is Action.TRANSCODE:
        reasons = tuple(reason for reason in reasons if reason.code not in _ABOUT_ORIGINALS)
        if info.kind is Kind.IMAGE and _is_within(info, profile, drawn=rendition.drawn):
            reasons = tuple(reason for reason in reasons if reason.code is not ReasonCode.SIZE_PX)
    if reasons:
        faults = (f"{one.code.replace('_', ' ')}: {one.found}, expected {one.allowed}" for one in reasons)
        raise _Fault(f"is not what profile {profile.name!r} takes ({'; '.join(faults)})")


def _is_within(info: MediaInfo, profile: Profile, *, drawn: bool) -> bool:
    """Whether a picture is inside the limits but for rounding, which may make one of 3:1 of one that was longer;
    ``drawn``: inside those of drawings."""
    width_px, height_px = info.width_px or 0, info.height_px or 0
    long_px, short_px = max(width_px, height_px) + _ROUNDING_PX, min(width_px, height_px)
    return profile.image.scale_for(long_px, short_px, drawn=sized_as_drawn(info, drawn=drawn)) > _NEARLY


def _check_ours(profile: Profile, found: ReadBack) -> None:
    """What we encoded is a rung of a ladder, and in the container that was asked for."""
    info, sound = found.info, found.sound
    if sound is not None:
        _check_rung(profile.audio.ladder, sound.format, sound.sample_rate_hz, sound.channels, sound.rates_kbps)
    if found.movie is None:
        return
    rules = profile.video
    if rules is None:
        raise _Fault("is a clip, which the profile takes none of")
    _check_boxes(found.movie, rules)
    if info.audio_codec is not None:
        formats = [name for name, codec in LADDER_CODECS.items() if codec == info.audio_codec]
        _check_rung(rules.audio_ladder, formats[0], info.sample_rate_hz, info.channels)


def _check_rung(
    ladder: Sequence[AudioStep],
    format_slug: str,
    sample_rate_hz: int | None,
    channels: int | None,
    rates_kbps: frozenset[float] = frozenset(),
) -> None:
    wanted = (format_slug, sample_rate_hz, channels)
    rates = {step.rate_kbps for step in ladder if (step.format, step.sample_rate_hz, step.channels) == wanted}
    if not rates or (format_slug == "amr" and not rates_kbps <= rates):
        at = f" at {min(rates_kbps):g} kbit/s" if rates_kbps else ""
        raise _Fault(
            f"has sound in {format_slug}, {sample_rate_hz} Hz, {channels} channels{at}, no rung of the profile's ladder"
        )


def _check_boxes(movie: Movie, rules: VideoRules) -> None:
    """The container: the profile's brand, the index first, one picture and at most one sound track, no tags."""
    if movie.brand != rules.brand:
        raise _Fault(f"has the brand {movie.brand}, expected {rules.brand}")
    if not movie.moov_first:
        raise _Fault("has its index behind the media; a phone could not start at once")
    handlers = sorted(track.handler for track in movie.tracks)
    if handlers not in (["vide"], ["soun", "vide"]) or movie.fragmented or movie.trailing_bytes:
        raise _Fault(f"has the tracks {', '.join(handlers)}, expected one of pictures and at most one of sound")


def _played(rendition: Rendition, workspace: Workspace) -> Played:
    """Sound or a clip, decoded to its end: these very bytes, by whoever did that already, or here.

    What an original's header says is no evidence against it: only where its decoder complains is it damaged.
    """
    found = rendition.played
    if found is None or found.data != rendition.data:
        found = _decoded(rendition, workspace)
    wanted_s = rendition.duration_s or 0.0
    is_short = found.duration_s < wanted_s * (1 - _DURATION_TOLERANCE) - _DURATION_TOLERANCE_S
    if not found.duration_s or (is_short and (found.complaint or rendition.action is Action.TRANSCODE)):
        raise _Fault(f"decodes for {found.duration_s:.1f} s, expected {wanted_s:.1f} s")
    if found.complaint and rendition.action is Action.TRANSCODE:
        raise _Fault(f"does not decode cleanly: {found.complaint}")
    return found


def _decoded(rendition: Rendition, workspace: Workspace) -> Played:
    # Not for pictures, which a worker reads back.
    import ffmpeg as graph

    from mmsprep.seeing.played import played, to_its_end
    from mmsprep.tools import ffmpeg

    path = workspace.put(rendition.data, f".{FORMATS[rendition.format].extension}")
    is_seen = FORMATS[rendition.format].kind is Kind.VIDEO and rendition.contrast is not None
    frames = workspace.new_path(".rgb") if is_seen else None
    outputs = to_its_end(ffmpeg.safe_input(path, rendition.format), frames)
    done = ffmpeg.run(workspace, graph.merge_outputs(*outputs))
    path.unlink()
    return played(rendition.data, done, frames, workspace)
