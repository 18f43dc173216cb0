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
from dataclasses import dataclass
from pathlib import Path

from mmsprep.codec_levels import level_allowed, profile_allowed, split_codec_profile
from mmsprep.errors import Damaged, InputError, MmsprepError, ToolError, VerifyError
from mmsprep.formats import FORMATS
from mmsprep.model import Action, Attachment, Kind, Rendition
from mmsprep.profile import Profile, VideoRules
from mmsprep.tools import ffmpeg
from mmsprep.tools.boxes import read_movie
from mmsprep.tools.content import Content
from mmsprep.tools.emelody import parse_emelody
from mmsprep.tools.exact import SOUNDS, read_sound
from mmsprep.tools.imelody import parse_imelody
from mmsprep.tools.isolation import isolated
from mmsprep.tools.mediainfo import Track
from mmsprep.tools.melody import MelodyError
from mmsprep.tools.plaintext import clean
from mmsprep.tools.structure import STRUCTURED, read_structure
from mmsprep.tools.workspace import Workspace

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


def verify(name: str, rendition: Rendition, profile: Profile, workspace: Workspace) -> None:
    """Check that ``rendition`` is what it says, decodes to its end and is of a type the profile allows.

    Args:
        name: what the caller called the attachment, for messages.
        rendition: what is to be sent.
        profile: the rules it was made by.
        workspace: room for a temporary file and ffmpeg.

    Raises:
        VerifyError: an output of ours is not what it should be.
        Damaged: an original that would have gone as it is does not decode to its end.
    """
    try:
        _check(name, rendition, profile, workspace)
    except _Fault as fault:
        raise _error(name, rendition, str(fault)) from fault
    except ToolError as error:
        raise _error(name, rendition, f"does not decode ({error})") from error


class _Fault(Exception):
    """What is wrong, in words that follow the file's name."""


def _error(name: str, rendition: Rendition, problem: str) -> MmsprepError:
    if rendition.action is Action.TRANSCODE:
        return VerifyError(f"{name}: the {FORMATS[rendition.format].title} made from it {problem}; nothing was written")
    return Damaged(name, f"{problem}; it cannot be sent as it is")


def _check(name: str, rendition: Rendition, profile: Profile, workspace: Workspace) -> None:
    if not rendition.data:
        raise _Fault("is empty")
    match rendition.format:
        case "jpeg" | "gif" | "bmp":
            _check_picture(name, rendition, workspace)
        case "wbmp":
            _check_wbmp(rendition)
        case "midi":
            _check_midi(rendition.data)
        case "imelody" | "emelody":
            _check_melody(rendition)
        case "text" | "vcard":
            _check_text(rendition.data)
            if rendition.action is Action.TRANSCODE:
                _check_clean(rendition.data.decode(), profile)
        case _:
            _check_stream(name, rendition, profile, workspace)


def _check_picture(name: str, rendition: Rendition, workspace: Workspace) -> None:
    picture = Attachment(0, name, rendition.size_bytes, data=rendition.data)
    try:
        found = isolated(workspace, read_back, picture, rendition.format)
    except InputError as error:
        raise _Fault(error.problem) from error
    if (found.width_px, found.height_px) != (rendition.width_px, rendition.height_px):
        raise _Fault(f"is {found.width_px}x{found.height_px} px, expected {rendition.width_px}x{rendition.height_px}")
    if found.metadata:
        raise _Fault(f"still has metadata ({', '.join(found.metadata)})")
    if rendition.format in STRUCTURED:
        _check_structure(rendition)


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What a picture turned out to be once every frame of it was decoded."""

    width_px: int
    height_px: int
    metadata: tuple[str, ...]


def read_back(attachment: Attachment, format_slug: str) -> ReadBack:
    """Decode every frame of a picture that is to be sent.

    Raises:
        Damaged: one does not decode.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(attachment.data or b""), formats=[_PILLOW_NAMES[format_slug]]) as image:
            for frame in range(getattr(image, "n_frames", 1)):
                image.seek(frame)
                image.load()
            left = [key for key in ("exif", "comment", "xmp", "icc_profile", "photoshop") if image.info.get(key)]
            if image.getexif() and "exif" not in left:
                left.append("exif")
            return ReadBack(*image.size, tuple(left))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Damaged(attachment.name, f"does not decode ({error})") from error


def _check_structure(rendition: Rendition) -> None:
    """Baseline JPEG of 8 bits in YCbCr or grey, nothing in a JPEG or GIF beside the picture."""
    attachment = Attachment(0, "picture", rendition.size_bytes, data=rendition.data)
    with Content(attachment) as content:
        found = read_structure(content, rendition.format, max_frames=sys.maxsize)
    if found.metadata or found.missing:
        raise _Fault(f"is not a picture and nothing else ({found.missing or ', '.join(found.metadata)})")
    if rendition.format == "jpeg" and (
        found.encoding != "baseline" or found.colour not in ("ycbcr", "grey") or found.bit_depth != 8
    ):
        kind = f"{found.encoding} JPEG in {found.colour} of {found.bit_depth} bits"
        raise _Fault(f"is a {kind}, expected baseline in ycbcr or grey of 8 bits")


def _check_wbmp(rendition: Rendition) -> None:
    """WAP-237, 4.5: type 0, fixed header 0, width and height as multi-byte integers, rows of whole bytes."""
    values, position = [], 2
    for _ in range(2):
        value = 0
        while True:
            byte = rendition.data[position]
            position += 1
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        values.append(value)
    width_px, height_px = values
    if rendition.data[:2] != b"\0\0" or len(rendition.data) != position + (width_px + 7) // 8 * height_px:
        raise _Fault("is not a whole WBMP of type 0")
    if (width_px, height_px) != (rendition.width_px, rendition.height_px):
        raise _Fault(f"is {width_px}x{height_px} px, expected {rendition.width_px}x{rendition.height_px}")


def _check_midi(data: bytes) -> None:
    """Format 0 or 1, every event sound, a note in it."""
    from mmsprep.tools.midi import read_song

    try:
        song = read_song(data)
    except ValueError as error:
        raise _Fault(f"does not parse ({error})") from error
    if song.form not in (0, 1) or not song.note_count:
        raise _Fault(f"is MIDI of format {song.form} with {song.note_count} notes, expected format 0 or 1 and a note")


def _check_melody(rendition: Rendition) -> None:
    _check_text(rendition.data)
    try:
        (parse_imelody if rendition.format == "imelody" else parse_emelody)(rendition.data.decode())
    except MelodyError as error:
        raise _Fault(f"does not parse ({error})") from error


def _check_text(data: bytes) -> None:
    if data.startswith(b"\xef\xbb\xbf"):
        raise _Fault("starts with a byte order mark")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise _Fault(f"is not UTF-8 ({error})") from error


def _check_clean(text: str, profile: Profile) -> None:
    """The profile's line ends, composed accents, no control characters: cleaning it again changes nothing."""
    if text != clean(text, profile.text.line_ends):
        raise _Fault(f"has control characters or line ends other than {profile.text.line_ends}")


def _check_stream(name: str, rendition: Rendition, profile: Profile, workspace: Workspace) -> None:
    """Sound and clips: container, codecs, size, duration, and a decode to the end."""
    path = workspace.put(rendition.data, f".{FORMATS[rendition.format].extension}")
    tracks = workspace.tracks(name, path)
    general = tracks[0] if tracks else {}
    expected = _CONTAINERS.get(rendition.format)
    if expected and general.get("format") != expected:
        raise _Fault(f"reads as {general.get('format')}, expected {expected}")
    if rendition.format in SOUNDS and rendition.action is not Action.KEEP:
        _check_sound(rendition, profile)
    if rendition.action is Action.TRANSCODE:
        _check_ours(rendition, profile, tracks)
    decoded_s, complaints = _decode(rendition, workspace, path)
    path.unlink()
    wanted_s = rendition.duration_s or 0
    if decoded_s < wanted_s * (1 - _DURATION_TOLERANCE) - _DURATION_TOLERANCE_S:
        raise _Fault(f"decodes for {decoded_s:.1f} s, expected {wanted_s:.1f} s")
    if complaints and rendition.action is Action.TRANSCODE:
        raise _Fault(f"does not decode cleanly ({complaints})")


def _check_ours(rendition: Rendition, profile: Profile, tracks: list[Track]) -> None:
    left = [key for key in _METADATA for track in tracks if track.get(key)]
    if left:
        raise _Fault(f"still has metadata ({', '.join(left)})")
    if FORMATS[rendition.format].kind is Kind.VIDEO:
        _check_boxes(rendition, profile)
        _check_clip(rendition, profile, tracks)


def _check_sound(rendition: Rendition, profile: Profile) -> None:
    """Every byte is a frame or a sample; what we encoded is a rung of the ladder."""
    try:
        sound = read_sound(rendition.data, rendition.format)
    except ValueError as error:
        raise _Fault(str(error)) from error
    if rendition.action is not Action.TRANSCODE:
        return
    rungs = [
        step
        for step in profile.audio.ladder
        if (step.format, step.sample_rate_hz, step.channels) == (sound.format, sound.sample_rate_hz, sound.channels)
    ]
    rates = {step.rate_kbps for step in rungs}
    if not rungs or (sound.format == "amr" and not sound.rates_kbps <= rates):
        found = f"{sound.format}, {sound.sample_rate_hz} Hz, {sound.channels} channels"
        raise _Fault(f"is {found} at {min(sound.rates_kbps):g} kbit/s, which is no rung of the profile's ladder")


def _check_boxes(rendition: Rendition, profile: Profile) -> None:
    """The container: the profile's brand, the index first, one picture and at most one sound track, no tags."""
    attachment = Attachment(0, "clip", rendition.size_bytes, data=rendition.data)
    with Content(attachment) as content:
        movie = read_movie(content)
    if profile.video is None or movie.brand != profile.video.brand:
        raise _Fault(f"has the brand {movie.brand}, expected {profile.video.brand if profile.video else 'no clip'}")
    if not movie.moov_first:
        raise _Fault("has its index behind the media; a phone could not start at once")
    handlers = sorted(track.handler for track in movie.tracks)
    if handlers not in (["vide"], ["soun", "vide"]) or movie.fragmented or movie.trailing_bytes:
        raise _Fault(f"has the tracks {', '.join(handlers)}, expected one of pictures and at most one of sound")


def _check_clip(rendition: Rendition, profile: Profile, tracks: list[Track]) -> None:
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
