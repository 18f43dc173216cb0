"""Facts about sound and moving pictures, read by MediaInfo.

Comes in: content, and the container that *our* sniffing found in it. Goes out: a :class:`MediaInfo`. Never: a
playlist or a file with references to others, which sniffing has refused before; MediaInfo is given bytes and
no path, so it has no folder to look for other files in.

Codecs and pixel sizes are translated to ffmpeg's names and to what is displayed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mmsprep.errors import (
    Damaged,
    OverInputLimit,
    ProtectedMedia,
    ToolError,
    ToolOverLimit,
    ToolTimeout,
    TypeNotAllowed,
)
from mmsprep.formats import FORMATS, Format
from mmsprep.formats.cicp import coding, hdr_name, hdr_note
from mmsprep.formats.content import Content
from mmsprep.formats.isobmff import Movie, read_movie
from mmsprep.formats.matroska import Matroska, read_matroska
from mmsprep.formats.orientation import UPRIGHT, Orientation, coded_orientation
from mmsprep.formats.registry import by_its_streams, described, lacking
from mmsprep.model import Attachment, ColourCoding, Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.mediainfo import Track, read_tracks
from mmsprep.tools.workspace import Workspace

_VIDEO_CODECS = {
    "AVC": "h264",
    "HEVC": "hevc",
    "VVC": "vvc",
    "AV1": "av1",
    "VP8": "vp8",
    "VP9": "vp9",
    "H.263": "h263",
    "Sorenson Spark": "flv1",
    "MPEG-4 Visual": "mpeg4",
    "ProRes": "prores",
    "Theora": "theora",
    "JPEG": "mjpeg",
    "WMV1": "wmv1",
    "WMV2": "wmv2",
    "VC-1": "vc1",
    "DV": "dvvideo",
    "xvid": "mpeg4",
    "XVID": "mpeg4",
    "DIVX": "mpeg4",
    "DX50": "mpeg4",
}
_AUDIO_CODECS = {
    "Opus": "opus",
    "Vorbis": "vorbis",
    "FLAC": "flac",
    "ALAC": "alac",
    "AC-3": "ac3",
    "E-AC-3": "eac3",
    "DTS": "dts",
    "QCELP": "qcelp",
    "EVRC": "evrc",
    "Speex": "speex",
    "GSM": "gsm",
}
_STILL = "is a clip of one frame; it is sent as a picture"
_NO_NUMBER = 1e15
"""What reaches this was read from garbage, whatever it counts."""
_WAVE_CODECS = {"2": "adpcm_ms", "6": "pcm_alaw", "7": "pcm_mulaw", "11": "adpcm_ima_wav", "49": "gsm_ms"}
_TRANSFERS = {"PQ": 16, "HLG": 18}
_PRIMARIES = {"": 2, "BT.2020": 9, "DCI P3": 11, "Display P3": 12}
"""MediaInfo's names as H.273's code points; all others are shown as BT.709 everywhere."""
_SEE_THROUGH = ("rle", "png", "v_ffv1", "ffv1", "ulra", "v_ms/vfw/fourcc / ulra", "v_quicktime / rle", "cfhd", "hap5")
"""Codecs, as MediaInfo names them, whose fourth number says what is transparent."""
_SQUARE = 0.002
_LIGHT = re.compile(r"(?:max: )?([\d.]+) cd/m2$")
_SLIPPED_BYTES, _SLIPPED_SHARE = 4_096, 500
_COUNTED_TWICE_BYTES = 16
"""What is missing of a file whose header counts itself as well."""
_SEQUENCE, _MPEG2, _PICTURE = b"\0\0\1\xb3", b"\0\0\1\xb5", b"\0\0\1\0"
_MPEG_RATES_FPS = {1: 23.976, 2: 24.0, 3: 25.0, 4: 29.97, 5: 30.0, 6: 50.0, 7: 59.94, 8: 60.0}
_FEW_BYTES = 1_000_000
_MATRICES = {
    "BT.709": "bt709",
    "BT.470 System B/G": "smpte170m",
    "BT.601": "smpte170m",
    "SMPTE 240M": "smpte240m",
    "FCC 73.682": "fcc",
    "BT.2020 non-constant": "bt2020",
    "Identity": "rgb",
}


def media_info(
    content: Content,
    format_slug: str,
    attachment: Attachment,
) -> MediaInfo:
    """Read the facts about the clip or recording in ``content``, which is ``attachment``'s.

    ``format_slug`` is the container's; the result's ``format`` and ``kind`` follow from what is in it.

    Raises:
        Damaged: it is cut short, or there is neither sound nor picture in it.
        ProtectedMedia: it is encrypted.
        TypeNotAllowed: its colours are Dolby Vision's own.
        ToolMissing: there is no MediaInfo library.
    """
    entry = FORMATS[format_slug]
    if entry.codec:
        # MediaInfo reads these wrongly or not at all; how long they play is counted.
        return described(content, format_slug, audio_codec=entry.codec)
    short = _missing_bytes(content, entry)
    movie = content.once(read_movie) if entry.demuxer == "mov" else None
    tracks = read_tracks(attachment)
    general = next((track for track in tracks if track.get("track_type") == "General"), {})
    # A header may announce what does not come.
    streams = [track for track in tracks if track.get("format") or track.get("codec_id")]
    sounds = [track for track in streams if track.get("track_type") == "Audio"]
    pictures = [track for track in streams if track.get("track_type") == "Video"]
    if movie is not None and not movie.has_track("vide"):
        pictures = []
    if format_slug == "mpeg-ps" and not pictures:
        pictures = _mpeg_pictures(content)
    if any(track.get("encryption") for track in tracks):
        raise ProtectedMedia(content.name, "is encrypted, so it cannot be sent; use an unprotected copy")
    if not sounds and not pictures:
        if entry.read_alone and (alone := entry.read_alone(content)):
            return alone
        raise Damaged(
            content.name,
            f"is {entry.title} with neither sound nor picture; get the file again",
        )
    if pictures and _is_dolby_alone(pictures[0]):
        raise TypeNotAllowed(
            content.name,
            "is Dolby Vision that has no colours for other players, which nothing here reads; save it as HDR10, HLG or"
            " in standard dynamic range",
        )
    durations = [_seconds(track) or 0.0 for track in (general, *pictures[:1], *sounds[:1])]
    info = replace(
        described(content, (entry.with_pictures if pictures else entry.sound_only) or format_slug),
        kind=Kind.VIDEO if pictures else Kind.AUDIO,
        duration_s=round(max(durations), 3) or None,
        metadata=_metadata(general, sounds, pictures, movie),
    )
    if movie is not None:
        short = movie.missing_bytes
        info = replace(info, brand=movie.brand.strip() or None, moov_first=movie.moov_first)
    elif entry.amend:
        info = entry.amend(content, info)
    info = replace(info, notes=(*lacking(short), *info.notes, *_left_out(tracks, sounds, pictures)))
    if pictures:
        # MediaInfo passes over Matroska's projection and what is transparent, over what is mirrored, and over what
        # pictures say of themselves.
        told = content.once(read_matroska) if entry.demuxer == "matroska" else None
        codec = _video_codec(pictures[0])
        packets = entry.demuxer == "mpegts"
        coded = coded_orientation(content, codec, movie.media_at if movie else 0, packets=packets)
        info = _with_picture(info, pictures[0], _orientation(pictures[0], movie, told), coded)
        info = replace(info, has_alpha=info.has_alpha or (told is not None and told.has_alpha))
    info = _with_sound(info, sounds[0]) if sounds else info
    if entry.counted:
        return replace(info, duration_s=None, frame_count=None)
    return _told_if_still(info)


def with_count(info: MediaInfo, duration_s: float | None, frame_count: int | None) -> MediaInfo:
    """The facts with what was :func:`counted`; of how long it plays the header's word stays."""
    frames = frame_count or info.frame_count if info.kind is Kind.VIDEO else None
    return _told_if_still(replace(info, duration_s=info.duration_s or duration_s, frame_count=frames))


def _told_if_still(info: MediaInfo) -> MediaInfo:
    others = tuple(note for note in info.notes if note != _STILL)
    return replace(info, notes=(*others, _STILL) if info.is_still_picture else others)


def _left_out(tracks: Sequence[Track], sounds: Sequence[Track], pictures: Sequence[Track]) -> tuple[str, ...]:
    """What is in the container beside the first picture and the first sound, none of which is sent."""
    notes = [
        f"has {len(some)} {kind} tracks; the first is sent"
        for some, kind in ((pictures, "picture"), (sounds, "sound"))
        if len(some) > 1
    ]
    words = sum(track.get("track_type") == "Text" for track in tracks)
    if words:
        notes.append("its subtitles are left out" if words == 1 else f"its {words} tracks of subtitles are left out")
    attached = [name for track in tracks for name in str(track.get("attachments") or "").split(" / ") if name]
    if attached:
        notes.append(
            f"{len(attached)} files inside it are left out" if len(attached) > 1 else "a file inside it is left out"
        )
    return tuple(notes)


def _mpeg_pictures(content: Content) -> list[Track]:
    """The pictures of a programme stream too short for MediaInfo to see them.

    By its sequence header (ISO/IEC 11172-2, 2.4.2.3): width and height of 12 bits, then aspect and rate.
    """
    place = content.head.find(_SEQUENCE)
    if place < 0 or place + 8 > len(content.head):
        return []
    sizes = int.from_bytes(content.head[place + 4 : place + 7], "big")
    rate = _MPEG_RATES_FPS.get(content.head[place + 7] & 15)
    whole = content.read(0, _FEW_BYTES) if content.size_bytes <= _FEW_BYTES else b""
    found: Track = {"track_type": "Video", "format": "MPEG Video", "width": sizes >> 12, "height": sizes & 0xFFF}
    version = "Version 2" if _MPEG2 in content.head[place:] else "Version 1"
    return [found | {"format_version": version, "frame_rate": rate, "frame_count": whole.count(_PICTURE) or None}]


def counted_s(attachment: Attachment, format_slug: str, settings: Settings, workspace: Workspace) -> float | None:
    """How long a file plays, as :func:`counted` has it, and raises."""
    return counted(attachment, format_slug, settings, workspace)[0]


def counted(
    attachment: Attachment, format_slug: str, settings: Settings, workspace: Workspace
) -> tuple[float | None, int | None]:
    """How long a file plays whose headers do not say it, and how many frames it shows, counted from its packets by
    ffmpeg; nothing is decoded.

    Raises:
        OverInputLimit: longer than ``settings.max_duration_s``, or counting takes too long.
    """
    most_s = settings.max_duration_s + 1
    source = ffmpeg.safe_input(workspace.path_of(attachment), format_slug, t=most_s)
    output = source.output("pipe:1", f="null", c="copy", progress="pipe:1")
    try:
        done = ffmpeg.run(workspace, output)
    except (ToolTimeout, ToolOverLimit) as error:
        raise OverInputLimit(attachment.name, f"is more than this machine may spend on one file ({error})") from error
    except ToolError:
        return None, None
    times = re.findall(rb"out_time_us=(\d+)", done.stdout)
    seconds = int(times[-1]) / 1e6 if times else 0.0
    if seconds > settings.max_duration_s:
        raise OverInputLimit(
            attachment.name,
            f"plays too long; the setting max_duration_s allows {settings.max_duration_s:,.10g} s. Cut it, or set"
            " MMSPREP_MAX_DURATION_S higher",
        )
    frames = re.findall(rb"frame=\s*(\d+)", done.stdout)
    return round(seconds, 3) or None, int(frames[-1]) or None if frames else None


def _missing_bytes(content: Content, entry: Format) -> int:
    """How much sooner a file ends than its container knows; what it does not know is no evidence.

    Raises:
        Damaged: well before.
    """
    end = entry.known_end(content) if entry.known_end else None
    missing = 0 if end is None else end - content.size_bytes
    if missing > max(_SLIPPED_BYTES, content.size_bytes // _SLIPPED_SHARE):
        raise Damaged(content.name, f"is {by_its_streams(content, entry).title} that was cut short; get the file again")
    return missing if missing > _COUNTED_TWICE_BYTES else 0


def _number(value: object) -> float | None:
    """MediaInfo gives numbers, texts of numbers, or several in one text ("44100 / 22050")."""
    try:
        number = float(str(value).partition("/")[0])
    except ValueError:
        return None
    return number if abs(number) < _NO_NUMBER else None


def _whole_number(value: object) -> int | None:
    number = _number(value)
    return None if number is None else round(number)


def _seconds(track: Track) -> float | None:
    milliseconds = _number(track.get("duration"))
    return None if milliseconds is None else milliseconds / 1000


def _kbps(track: Track) -> float | None:
    rate_bps = _number(track.get("bit_rate"))
    return None if rate_bps is None else round(rate_bps / 1000, 3)


def _metadata(general: Track, sounds: list[Track], pictures: list[Track], movie: Movie | None) -> tuple[str, ...]:
    found = list(movie.metadata) if movie else []
    if movie:
        found += ["short"] if movie.missing_bytes else []
        found += ["fragmented"] if movie.fragmented else []
        found += ["trailing"] if movie.trailing_bytes else []
        found += ["extra_tracks"] if len(movie.tracks) > 2 else []
    elif general.get("cover"):
        found.append("cover")
    if len(sounds) > 1 or len(pictures) > 1:
        found.append("extra_tracks")
    return tuple(dict.fromkeys(found))


def _orientation(track: Track, movie: Movie | None, matroska: Matroska | None) -> Orientation:
    """How the container says that the pictures are to be turned."""
    if movie is not None:
        return movie.orientation
    return matroska.orientation if matroska else Orientation.of(_number(track.get("rotation")) or 0.0)


def _with_picture(info: MediaInfo, track: Track, turned: Orientation, coded: Orientation | None) -> MediaInfo:
    """The facts of the first video track; sizes as displayed, with square pixels and turned upright.

    What the container says goes before what the pictures themselves do, as it does with players.
    """
    # Of a mirrored picture MediaInfo says that its pixels are less than nothing wide.
    aspect = abs(_number(track.get("pixel_aspect_ratio")) or 1.0)
    # It counts in thousandths, and is off by one of them where it divides.
    aspect = 1.0 if abs(aspect - 1) < _SQUARE else aspect
    turned = (coded or turned) if turned == UPRIGHT else turned
    width_px, height_px = _whole_number(track.get("width")), _whole_number(track.get("height"))
    size = (round(width_px * aspect), height_px) if width_px and height_px else (None, None)
    if turned.rotation_deg in (90, 270):
        size = size[::-1]
    found = _coding(track)
    colour = hdr_name(found)
    notes = list(info.notes)
    frame_count = _whole_number(track.get("frame_count"))
    if colour:
        notes.append(hdr_note(colour))
    return replace(
        info,
        width_px=size[0],
        height_px=size[1],
        frame_count=frame_count,
        frame_rate_fps=_number(track.get("frame_rate")),
        video_codec=_video_codec(track),
        video_profile=str(track.get("format_profile") or "") or None,
        video_rate_kbps=_kbps(track),
        pixel_aspect=aspect,
        interlaced=str(track.get("scan_type") or "").startswith(("Interlaced", "MBAFF")),
        rotation_deg=turned.rotation_deg,
        mirrored=turned.mirrored,
        coded_orientation=coded is not None,
        colour=colour,
        bit_depth=_whole_number(track.get("bit_depth")),
        matrix=_matrix(track),
        coding=found,
        has_alpha=_has_alpha(track),
        notes=tuple(notes),
    )


def _has_alpha(track: Track) -> bool:
    """Whether something may be transparent; of uncompressed pictures the fourth number mostly means nothing."""
    if str(track.get("format")) == "ProRes":
        return str(track.get("format_profile") or "").startswith("4444")
    return (
        "A" in str(track.get("color_space") or "") and str(track.get("codec_id") or "").lower().strip() in _SEE_THROUGH
    )


def _is_dolby_alone(track: Track) -> bool:
    """Whether its numbers stand for colours in no way but Dolby Vision's: profiles 5 and 10.0 (Dolby Vision Profiles
    and Levels, 1.3.3), which look green and purple to whoever reads them as anything else."""
    profile = str(track.get("hdr_format_profile") or "").partition(" / ")[0]
    return profile.endswith((".05", ".10")) and not track.get("hdr_format_compatibility")


def _coding(track: Track) -> ColourCoding | None:
    """How the track's numbers stand for colours; the brightest light is what is in it, else what it was graded on."""
    said = (track.get("maximum_content_light_level"), track.get("mastering_display_luminance"))
    lights = [float(light[1]) for light in (_LIGHT.search(str(one or "")) for one in said) if light]
    primaries = _PRIMARIES.get(str(track.get("color_primaries") or ""), 1)
    transfer = _TRANSFERS.get(str(track.get("transfer_characteristics") or ""), 1)
    return coding(primaries, transfer, lights[0] if lights else 0.0)


def _matrix(track: Track) -> str | None:
    """ffmpeg's name of the matrix that the track says its samples need."""
    if str(track.get("color_space") or "").startswith("RGB"):
        return "rgb"
    return _MATRICES.get(str(track.get("matrix_coefficients") or ""))


def _video_codec(track: Track) -> str:
    name = str(track.get("format") or "unknown")
    if name == "MPEG Video":
        return "mpeg1video" if str(track.get("format_version")) == "Version 1" else "mpeg2video"
    if str(track.get("codec_id")) == "dav1":
        return "dav1"
    return _VIDEO_CODECS.get(name, name.lower().replace(" ", "_"))


def _with_sound(info: MediaInfo, track: Track) -> MediaInfo:
    rate_kbps = _kbps(track) if info.audio_rate_kbps is None else info.audio_rate_kbps
    if rate_kbps is None and info.duration_s and info.kind is Kind.AUDIO:
        rate_kbps = round(info.size_bytes * 8 / 1000 / info.duration_s, 3)
    # What the format itself was read to say goes before what MediaInfo took it for.
    return replace(
        info,
        audio_codec=info.audio_codec or _audio_codec(track),
        audio_rate_kbps=rate_kbps,
        sample_rate_hz=info.sample_rate_hz or _whole_number(track.get("sampling_rate")),
        channels=info.channels or _whole_number(track.get("channel_s")),
        bit_depth=info.bit_depth if info.kind is Kind.VIDEO else _whole_number(track.get("bit_depth")),
    )


def _audio_codec(track: Track) -> str:
    # Where a header stands twice, MediaInfo says its name twice.
    name, profile = str(track.get("format") or "unknown").partition(" / ")[0], str(track.get("format_profile") or "")
    version, codec_id = str(track.get("format_version") or ""), str(track.get("codec_id") or "").upper()
    codec = _AUDIO_CODECS.get(name)
    if name == "MPEG Audio":
        codec = {"Layer 1": "mp1", "Layer 2": "mp2"}.get(profile, "mp3")
    elif name == "AMR":
        codec = "amr_wb" if "Wide" in profile else "amr_nb"
    elif name == "PCM":
        codec = _pcm_codec(track)
    elif name == "ADPCM":
        codec = {"A-Law": "pcm_alaw", "U-Law": "pcm_mulaw"}.get(profile) or _WAVE_CODECS.get(codec_id, "adpcm")
    elif name == "WMA":
        codec = {"Version 1": "wmav1", "Version 2": "wmav2"}.get(version, "wma")
    elif name.startswith("AAC"):
        codec = "aac"
    return codec or name.lower().replace(" ", "_")


def _pcm_codec(track: Track) -> str:
    bits = _whole_number(track.get("bit_depth")) or 16
    settings = str(track.get("format_settings") or "")
    letter = (
        "f" if "Float" in str(track.get("format_profile") or "") + settings else "u" if "Unsigned" in settings else "s"
    )
    if bits == 8:
        return "pcm_s8" if letter == "s" else "pcm_u8"
    return f"pcm_{letter}{bits}{'be' if 'Big' in settings else 'le'}"
