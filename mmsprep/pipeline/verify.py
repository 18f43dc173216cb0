"""Every output is read back before anyone may send it.

Comes in: a rendition (encoded by us, or an original that goes as it is) and the profile. Goes out: nothing,
or an error. Never: a repair.

The readers are not the writers: Pillow and pymediainfo say what the file is, ffmpeg decodes it to the end
(it exits 0 on damaged files, so what it printed and how far it came count).
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mmsprep.errors import Damaged, InputError, MmsprepError, ToolError, VerifyError
from mmsprep.formats import FORMATS
from mmsprep.formats.codec_levels import level_allowed, profile_allowed, split_codec_profile
from mmsprep.formats.emelody import parse_emelody
from mmsprep.formats.imelody import parse_imelody
from mmsprep.formats.isobmff import Movie, read_movie
from mmsprep.formats.melody import MelodyError
from mmsprep.formats.pictures import STRUCTURED, read_structure
from mmsprep.formats.sounds import SOUNDS, Sound, read_sound
from mmsprep.formats.text import clean
from mmsprep.model import Action, Attachment, Kind, Rendition
from mmsprep.profile import Profile, VideoRules
from mmsprep.tools import ffmpeg
from mmsprep.tools.isolation import isolated
from mmsprep.tools.mediainfo import Track, read_tracks
from mmsprep.tools.untrusted import content_of
from mmsprep.tools.workspace import Workspace, read_bytes

_DURATION_TOLERANCE = 0.1
_DURATION_TOLERANCE_S = 0.3
_PILLOW_NAMES = {"jpeg": "JPEG", "gif": "GIF", "bmp": "BMP"}
_CONTAINERS = {"mp3": "MPEG Audio", "amr": "AMR", "wav": "Wave", "3gp": "MPEG-4", "mp4": "MPEG-4"}
_METADATA = ("comment", "recorded_date", "encoded_date", "tagged_date", "title", "performer")
_SOUND_TRACKS = {"aac": "AAC", "amr": "AMR", "mp3": "MPEG Audio"}
_RATE_TOLERANCE = 1.02
_CODECS = {
    "h264": ("AVC",),
    "h263": ("H.263",),
    "mpeg4": ("MPEG-4 Visual",),
}


def verify(name: str, rendition: Rendition, profile: Profile, workspace: Workspace) -> Rendition:
    """Check that ``rendition`` is what it says, decodes to its end and is of a type the profile allows.

    Args:
        name: what the caller called the attachment, for messages.
        rendition: what is to be sent.
        profile: the rules it was made by.
        workspace: room for a temporary file and ffmpeg.

    Returns:
        The rendition, with how long it really plays.

    Raises:
        VerifyError: an output of ours is not what it should be.
        Damaged: an original that would have gone as it is does not decode to its end.
    """
    try:
        duration_s = _check(name, rendition, profile, workspace)
    except _Fault as fault:
        raise _error(name, rendition, str(fault)) from fault
    except ToolError as error:
        raise _error(name, rendition, f"does not decode ({error})") from error
    return rendition if duration_s is None else replace(rendition, duration_s=round(duration_s, 3))


class _Fault(Exception):
    """What is wrong, in words that follow the file's name."""


def _error(name: str, rendition: Rendition, problem: str) -> MmsprepError:
    if rendition.action is Action.TRANSCODE:
        return VerifyError(f"{name}: the {FORMATS[rendition.format].title} made from it {problem}; nothing was written")
    return Damaged(name, f"{problem}; it cannot be sent as it is")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What strict readers make of an output; ``fault`` says what is wrong with it (empty: nothing).

    ``sound`` is a recording's, ``tracks`` are MediaInfo's, ``movie`` are the boxes of a clip of ours.
    """

    fault: str = ""
    width_px: int | None = None
    height_px: int | None = None
    sound: Sound | None = None
    tracks: tuple[Track, ...] = ()
    movie: Movie | None = None


def _check(name: str, rendition: Rendition, profile: Profile, workspace: Workspace) -> float | None:
    """Check; how long sound and clips play."""
    if not rendition.data:
        raise _Fault("is empty")
    attachment = Attachment(0, name, rendition.size_bytes, data=rendition.data)
    try:
        found = isolated(workspace, read_back, attachment, rendition.format, rendition.action, profile.text.line_ends)
    except InputError as error:
        raise _Fault(error.problem) from error
    if found.fault:
        raise _Fault(found.fault)
    if FORMATS[rendition.format].kind is Kind.IMAGE:
        size_px = (found.width_px, found.height_px)
        if size_px != (rendition.width_px, rendition.height_px):
            wanted = f"{rendition.width_px}x{rendition.height_px}"
            raise _Fault(f"is {size_px[0]}x{size_px[1]} px, expected {wanted}")
    elif found.tracks:
        return _check_stream(rendition, profile, workspace, found)
    return None


def read_back(attachment: Attachment, format_slug: str, action: Action, line_ends: Literal["crlf", "lf"]) -> ReadBack:
    """Read an output to its last byte, in this process: for a worker.

    Raises:
        Damaged: a frame of a picture does not decode, or MediaInfo cannot read it.
    """
    data = read_bytes(attachment)
    try:
        match format_slug:
            case "jpeg" | "gif" | "bmp":
                found = _read_picture(attachment, data, format_slug)
                if format_slug in STRUCTURED:
                    _check_structure(attachment, format_slug)
                return found
            case "wbmp":
                return _read_wbmp(data)
            case "midi":
                _check_midi(data)
            case "imelody" | "emelody":
                _check_melody(data, format_slug)
            case "text" | "vcard" | "icalendar":
                _check_text(data)
                if action is Action.TRANSCODE:
                    _check_clean(data.decode(), line_ends)
            case _:
                return _read_stream(attachment, data, format_slug, action)
    except _Fault as fault:
        return ReadBack(fault=str(fault))
    return ReadBack()


def _read_picture(attachment: Attachment, data: bytes, format_slug: str) -> ReadBack:
    """Every frame decoded, nothing beside them."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=[_PILLOW_NAMES[format_slug]]) as image:
            for frame in range(getattr(image, "n_frames", 1)):
                image.seek(frame)
                image.load()
            left = [key for key in ("exif", "comment", "xmp", "icc_profile", "photoshop") if image.info.get(key)]
            if image.getexif() and "exif" not in left:
                left.append("exif")
            if left:
                raise _Fault(f"still has metadata ({', '.join(left)})")
            return ReadBack(width_px=image.width, height_px=image.height)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Damaged(attachment.name, f"does not decode ({error})") from error


def _check_structure(attachment: Attachment, format_slug: str) -> None:
    """Baseline JPEG of 8 bits in YCbCr or grey, nothing in a JPEG or GIF beside the picture."""
    with content_of(attachment) as content:
        found = read_structure(content, format_slug, max_frames=sys.maxsize)
    if found.metadata or found.missing:
        raise _Fault(f"is not a picture and nothing else ({found.missing or ', '.join(found.metadata)})")
    if format_slug == "jpeg" and (
        found.encoding != "baseline" or found.colour not in ("ycbcr", "grey") or found.bit_depth != 8
    ):
        kind = f"{found.encoding} JPEG in {found.colour} of {found.bit_depth} bits"
        raise _Fault(f"is a {kind}, expected baseline in ycbcr or grey of 8 bits")


def _read_wbmp(data: bytes) -> ReadBack:
    """WAP-237, 4.5: type 0, fixed header 0, width and height as multi-byte integers, rows of whole bytes."""
    values, position = [], 2
    for _ in range(2):
        value = 0
        while True:
            byte = data[position]
            position += 1
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        values.append(value)
    width_px, height_px = values
    if data[:2] != b"\0\0" or len(data) != position + (width_px + 7) // 8 * height_px:
        raise _Fault("is not a whole WBMP of type 0")
    return ReadBack(width_px=width_px, height_px=height_px)


def _check_midi(data: bytes) -> None:
    """Format 0 or 1, every event sound, a note in it."""
    from mmsprep.formats.midi import read_song

    try:
        song = read_song(data)
    except ValueError as error:
        raise _Fault(f"does not parse ({error})") from error
    if song.form not in (0, 1) or not song.note_count:
        raise _Fault(f"is MIDI of format {song.form} with {song.note_count} notes, expected format 0 or 1 and a note")


def _check_melody(data: bytes, format_slug: str) -> None:
    _check_text(data)
    try:
        (parse_imelody if format_slug == "imelody" else parse_emelody)(data.decode())
    except MelodyError as error:
        raise _Fault(f"does not parse ({error})") from error


def _check_text(data: bytes) -> None:
    if data.startswith(b"\xef\xbb\xbf"):
        raise _Fault("starts with a byte order mark")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise _Fault(f"is not UTF-8 ({error})") from error


def _check_clean(text: str, line_ends: Literal["crlf", "lf"]) -> None:
    """The profile's line ends, composed accents, no control characters: cleaning it again changes nothing."""
    if text != clean(text, line_ends):
        raise _Fault(f"has control characters or line ends other than {line_ends}")


def _read_stream(attachment: Attachment, data: bytes, format_slug: str, action: Action) -> ReadBack:
    """Sound and clips: every byte of a recording, the boxes of a clip of ours, MediaInfo's tracks."""
    sound = movie = None
    if format_slug in SOUNDS and action is not Action.KEEP:
        try:
            sound = read_sound(data, format_slug)
        except ValueError as error:
            raise _Fault(str(error)) from error
    if FORMATS[format_slug].kind is Kind.VIDEO and action is Action.TRANSCODE:
        with content_of(attachment) as content:
            movie = read_movie(content)
    return ReadBack(sound=sound, movie=movie, tracks=tuple(read_tracks(attachment)))


def _check_stream(rendition: Rendition, profile: Profile, workspace: Workspace, found: ReadBack) -> float:
    """Sound and clips: container, codecs, size, duration, and a decode to the end; how long it plays.

    What an original's header says is no evidence against it: only where its decoder complains is it damaged.
    """
    general = found.tracks[0] if found.tracks else {}
    expected = _CONTAINERS.get(rendition.format)
    if expected and general.get("format") != expected:
        raise _Fault(f"reads as {general.get('format')}, expected {expected}")
    if rendition.action is Action.TRANSCODE:
        _check_ours(rendition, profile, found)
    path = workspace.put(rendition.data, f".{FORMATS[rendition.format].extension}")
    decoded_s, complaints = _decode(rendition, workspace, path)
    path.unlink()
    wanted_s = rendition.duration_s or 0
    is_short = decoded_s < wanted_s * (1 - _DURATION_TOLERANCE) - _DURATION_TOLERANCE_S
    if not decoded_s or (is_short and (complaints or rendition.action is Action.TRANSCODE)):
        raise _Fault(f"decodes for {decoded_s:.1f} s, expected {wanted_s:.1f} s")
    if complaints and rendition.action is Action.TRANSCODE:
        raise _Fault(f"does not decode cleanly ({complaints})")
    return decoded_s


def _check_ours(rendition: Rendition, profile: Profile, found: ReadBack) -> None:
    left = [key for key in _METADATA for track in found.tracks if track.get(key)]
    if left:
        raise _Fault(f"still has metadata ({', '.join(left)})")
    if found.sound is not None:
        _check_sound(found.sound, profile)
    if found.movie is not None:
        _check_boxes(found.movie, profile)
        _check_clip(rendition, profile, found.tracks)


def _check_sound(sound: Sound, profile: Profile) -> None:
    """What we encoded is a rung of the ladder."""
    rungs = [
        step
        for step in profile.audio.ladder
        if (step.format, step.sample_rate_hz, step.channels) == (sound.format, sound.sample_rate_hz, sound.channels)
    ]
    rates = {step.rate_kbps for step in rungs}
    if not rungs or (sound.format == "amr" and not sound.rates_kbps <= rates):
        found = f"{sound.format}, {sound.sample_rate_hz} Hz, {sound.channels} channels"
        raise _Fault(f"is {found} at {min(sound.rates_kbps):g} kbit/s, which is no rung of the profile's ladder")


def _check_boxes(movie: Movie, profile: Profile) -> None:
    """The container: the profile's brand, the index first, one picture and at most one sound track, no tags."""
    if profile.video is None or movie.brand != profile.video.brand:
        raise _Fault(f"has the brand {movie.brand}, expected {profile.video.brand if profile.video else 'no clip'}")
    if not movie.moov_first:
        raise _Fault("has its index behind the media; a phone could not start at once")
    handlers = sorted(track.handler for track in movie.tracks)
    if handlers not in (["vide"], ["soun", "vide"]) or movie.fragmented or movie.trailing_bytes:
        raise _Fault(f"has the tracks {', '.join(handlers)}, expected one of pictures and at most one of sound")


def _check_clip(rendition: Rendition, profile: Profile, tracks: Sequence[Track]) -> None:
    """The streams: codec, profile, level, size, frame rate and sound as the profile says."""
    rules = profile.video
    assert rules is not None
    video: Track = next((track for track in tracks if track.get("track_type") == "Video"), {})
    if video.get("format") not in _CODECS[rules.codec]:
        raise _Fault(f"has {video.get('format')} video, expected {rules.codec}")
    size_px = (video.get("width"), video.get("height"))
    if size_px != (rendition.width_px, rendition.height_px):
        raise _Fault(f"is {size_px[0]}x{size_px[1]} px, expected {rendition.width_px}x{rendition.height_px}")
    if rules.fixed_sizes and f"{size_px[0]}x{size_px[1]}" not in rules.fixed_sizes:
        raise _Fault(f"is {size_px[0]}x{size_px[1]} px, expected one of {', '.join(rules.fixed_sizes)}")
    found, level = split_codec_profile(str(video.get("format_profile") or ""))
    if rules.codec_profile and not profile_allowed(found, rules.codec_profile):
        raise _Fault(f"is {rules.codec} {found}, expected {rules.codec_profile}")
    if rules.codec_level and not level_allowed(rules.codec, level, rules.codec_level):
        raise _Fault(f"is {rules.codec} of level {level or 'unknown'}, expected up to {rules.codec_level}")
    fps = float(video.get("frame_rate") or 0)
    if fps > rules.max_fps * _RATE_TOLERANCE:
        raise _Fault(f"has {fps:g} frames a second, expected up to {rules.max_fps:g}")
    for track in tracks:
        if track.get("track_type") == "Audio":
            _check_sound_track(track, rules)


def _check_sound_track(track: Track, rules: VideoRules) -> None:
    name, rate_hz, channels = str(track.get("format")), track.get("sampling_rate"), track.get("channel_s")
    rungs = [(_SOUND_TRACKS.get(step.format), step.sample_rate_hz, step.channels) for step in rules.audio_ladder]
    if (name, rate_hz, channels) not in rungs:
        raise _Fault(f"has sound in {name}, {rate_hz} Hz, {channels} channels, no rung of the profile's ladder")


def _decode(rendition: Rendition, workspace: Workspace, path: Path) -> tuple[float, str]:
    """Seconds decoded, and the last complaint of the decoder ("" for none)."""
    source = ffmpeg.safe_input(path, rendition.format)
    done = ffmpeg.run(workspace, source.output("pipe:1", f="null", progress="pipe:1"))
    times = re.findall(rb"out_time_us=(\d+)", done.stdout)
    complaints = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return (int(times[-1]) / 1e6 if times else 0.0), complaints[-1] if complaints else ""
