"""What is to be done with an attachment: keep, rewrap, transcode or refuse, and every reason why.

Comes in: the facts about one attachment and a profile. Goes out: a :class:`Plan`. Never: a look at the
content itself, or at sizes in bytes (``fit.py`` decides whether an original fits the message).

The reasons are :class:`mmsprep.model.ReasonCode`; later stages add their own (``over_limit_bytes``, ``poster``,
``slides``, ``channels_cancel``, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from mmsprep.errors import TypeNotAllowed
from mmsprep.formats import FORMATS
from mmsprep.formats.codec_levels import level_allowed, profile_allowed, split_codec_profile
from mmsprep.model import Action, Kind, MediaInfo, Plan, Reason, ReasonCode, Span, Support
from mmsprep.profile import Profile, Row, Use, VideoRules

_BRANDS = {
    "3gp": ("3gp4", "3gp5", "3gp6"),
    "3g2": ("3g2a", "3g2b", "3g2c"),
    "mp4": ("isom", "iso2", "mp41", "mp42", "avc1"),
}
"""What handsets of MMS days play: 3GPP TS 26.244 releases 4 to 6, MP4 versions 1 and 2."""
_MP3_HZ = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000)
_WAV_MAX_HZ = 48_000
LADDER_CODECS = {"amr": "amr_nb", "aac": "aac", "mp3": "mp3", "wav-ima": "adpcm_ima_wav"}
"""What ffmpeg calls the codec of a rung's format; a plain WAV may hold several."""
_CARDS = {"vcard": "the name and number", "icalendar": "what it says"}
_TOLERANCE = 1.02
"""Frame rates and bit rates are averages: 30.01 frames a second are 30."""
_SUPPORT_WORDS = {
    Support.GOOD: "good support",
    Support.PARTIAL: "partial support",
    Support.VARIES: "support varies",
    Support.NONE: "no support",
}


@dataclass(frozen=True, slots=True)
class _Finding:
    """One reason against keeping a file, and whether renewing its packaging alone removes it."""

    reason: Reason
    lossless: bool = False


_Findings = Iterator[_Finding]


def classify(name: str, info: MediaInfo, profile: Profile, span: Span | None = None, *, drawn: bool = False) -> Plan:
    """Decide what is done with the attachment called ``name``, of which ``span`` is wanted (``None``: all).

    ``drawn`` is true of a picture whose pixels, somebody has seen, are those of a drawing.

    Raises:
        TypeNotAllowed: it cannot become anything that the profile's handsets take.
    """
    row = profile.row_of(info.format)
    _check_allowed(name, info, profile, row)
    findings = list(_findings(info, profile, row, drawn))
    if span is not None:
        wanted = f"{span.from_s:g} s to {span.to_s:g} s, as asked"
        findings.insert(0, _Finding(Reason(ReasonCode.EXCERPT, f"{info.duration_s or 0:.1f} s", wanted)))
    if not findings:
        action = Action.KEEP
    elif all(finding.lossless for finding in findings):
        action = Action.REWRAP
    else:
        action = Action.TRANSCODE
    target, *others = _targets(info, profile, row) if action is Action.TRANSCODE else [info.format]
    return Plan(
        action=action,
        target=target,
        support=row.support if row else Support.NONE,
        row=row.row if row else None,
        reasons=tuple(finding.reason for finding in findings),
        others=tuple(others),
    )


def _check_allowed(name: str, info: MediaInfo, profile: Profile, row: Row | None) -> None:
    title = FORMATS[info.format].title
    if row is not None and row.use is Use.REFUSE:
        remark = f" ({row.remark})" if row.remark else ""
        raise TypeNotAllowed(
            name, f"is {title}, which profile {profile.name!r} refuses{remark}; send it in another form"
        )
    if info.format in _CARDS and row is None:
        raise TypeNotAllowed(
            name,
            f"is a {title}, which is not in the compatibility table of profile {profile.name!r}; send"
            f" {_CARDS[info.format]} as text, or use a profile whose table has a row for {info.format}",
        )
    if info.kind is Kind.VIDEO and profile.video is None and not info.is_single_frame:
        raise TypeNotAllowed(
            name,
            f"is a clip ({title}), and profile {profile.name!r} takes none; send a picture of it (--poster)"
            " or choose a profile with video",
        )
    if _is_melody(info) and profile.row_of("midi") is None and (row is None or row.use is not Use.KEEP):
        raise TypeNotAllowed(
            name, f"is a melody ({title}), and profile {profile.name!r} takes none; send a recording of it"
        )


def _is_melody(info: MediaInfo) -> bool:
    return FORMATS[info.format].melody


def _targets(info: MediaInfo, profile: Profile, row: Row | None) -> list[str]:
    """The format that is made first, and those that may turn out to fit better."""
    if row is not None and row.target:
        return [row.target]
    if _is_melody(info) and (row is None or row.use is not Use.KEEP):
        return ["midi"]
    if _is_melody(info) or info.kind is Kind.TEXT:
        return [info.format]
    if info.kind is Kind.AUDIO:
        return list(dict.fromkeys(step.format.partition("-")[0] for step in profile.audio.ladder))
    clip: list[str] = [profile.video.format] if profile.video is not None else []
    if info.kind is Kind.VIDEO and clip and not info.is_still_picture:
        return clip
    targets = profile.image.targets
    animated = FORMATS[info.format].animated and (info.frame_count or 1) > 1
    plays = animated and profile.image.animations == "play" and "gif" in targets
    # A photograph or a drawing: only the pixels tell.
    still: list[str] = [slug for slug in ("jpeg", "gif") if slug in targets] or ["wbmp"]
    return ["gif", *clip] if plays else still


def _findings(info: MediaInfo, profile: Profile, row: Row | None, drawn: bool) -> _Findings:
    """Everything that speaks against sending the file as it is."""
    title = FORMATS[info.format].title
    if row is None:
        kept = chain.from_iterable(entry.formats for entry in profile.table if entry.use is Use.KEEP)
        listed = [slug for slug in dict.fromkeys(kept) if FORMATS[slug].kind is info.kind]
        yield _Finding(Reason(ReasonCode.TYPE_NOT_IN_TABLE, title, ", ".join(listed) or "none of this kind"))
    elif row.use is not Use.KEEP:
        yield _Finding(
            Reason(ReasonCode.TYPE_CONVERTED, f"{title}: {_SUPPORT_WORDS[row.support]}", "converted by the table")
        )
    if info.kind is Kind.AUDIO and FORMATS[info.format].kind is Kind.VIDEO:
        yield _Finding(Reason(ReasonCode.SOUND_ONLY, f"{title} without pictures", "a sound format"))
    if info.kind is Kind.IMAGE:
        yield from _size_findings(info, profile, drawn)
    yield from _KINDS[info.kind](info, profile)


def sized_as_drawn(info: MediaInfo, *, drawn: bool) -> bool:
    """Whether a picture may be as large as drawings: it is ``drawn``, or a GIF that stands still."""
    return drawn or (info.format == "gif" and (info.frame_count or 1) == 1)


def _size_findings(info: MediaInfo, profile: Profile, drawn: bool) -> _Findings:
    rules, drawn = profile.image, sized_as_drawn(info, drawn=drawn)
    if info.width_px and info.height_px and rules.scale_for(info.width_px, info.height_px, drawn=drawn) < 1.0:
        allowed = f"{rules.max_long_px} x {rules.max_short_px} px"
        yield _Finding(Reason(ReasonCode.SIZE_PX, f"{info.width_px} x {info.height_px} px", allowed))


def _image_findings(info: MediaInfo, profile: Profile) -> _Findings:
    if profile.image.animations != "play" and info.format == "gif" and (info.frame_count or 1) > 1:
        yield _Finding(Reason(ReasonCode.ANIMATION, f"{info.frame_count} frames", "a picture that stands still"))
    if info.orientation != 1:
        yield _Finding(Reason(ReasonCode.ORIENTATION, f"EXIF orientation {info.orientation}", "upright pixels"))
    if info.icc_profile is not None:
        lossless = info.icc_profile == "srgb" and FORMATS[info.format].rewraps
        yield _Finding(Reason(ReasonCode.ICC_PROFILE, info.icc_profile, "none (sRGB is understood)"), lossless)
    if info.format == "jpeg":
        yield from _jpeg_findings(info)
    elif info.format == "bmp" and info.encoding != "uncompressed":
        yield _Finding(Reason(ReasonCode.CODING, info.encoding or "unknown", "uncompressed"))
    if "unterminated" in info.metadata:
        yield _Finding(Reason(ReasonCode.UNTERMINATED, "no end mark", "a complete file"))
    yield from _metadata_findings(info)


def _jpeg_findings(info: MediaInfo) -> _Findings:
    """OMA MMS Conformance 1.3 and 3GPP TS 26.140: baseline sequential DCT, YCbCr or grey, 8 bits."""
    if info.encoding != "baseline":
        yield _Finding(Reason(ReasonCode.CODING, info.encoding or "unknown", "baseline"))
    if info.colour not in ("ycbcr", "grey"):
        yield _Finding(Reason(ReasonCode.COLOUR, info.colour or "unknown", "ycbcr 4:2:0, 4:2:2 or 4:4:4, grey"))
    if info.bit_depth != 8:
        yield _Finding(Reason(ReasonCode.BIT_DEPTH, f"{info.bit_depth} bits", "8 bits"))


def _metadata_findings(info: MediaInfo) -> _Findings:
    left_out = [name for name in info.metadata if name != "unterminated"]
    if left_out:
        yield _Finding(Reason(ReasonCode.METADATA, ", ".join(left_out), "none"), FORMATS[info.format].rewraps)


def _audio_findings(info: MediaInfo, profile: Profile) -> _Findings:
    if _is_melody(info) and info.encoding is not None:
        yield from _melody_findings(info)
        return
    check = {"mp3": _mp3_findings, "wav": _wav_findings, "amr": _amr_findings, "midi": _midi_findings}
    if info.format in check:
        yield from check[info.format](info, profile)
    yield from _metadata_findings(info)


def _melody_findings(info: MediaInfo) -> _Findings:
    """A melody's text is ASCII in lines that end with CR LF; both can be made so without touching a note."""
    if info.encoding not in ("ascii", "utf-8"):
        yield _Finding(
            Reason(ReasonCode.ENCODING, info.encoding or "unknown", "ascii, utf-8 without BOM"), lossless=True
        )
    for name in info.metadata:
        if name in ("lf", "cr", "mixed_line_ends"):
            yield _Finding(Reason(ReasonCode.LINE_ENDS, name, "crlf"), lossless=True)
        elif name == "control_characters":
            yield _Finding(Reason(ReasonCode(name), "present", "none"), lossless=True)


def _mp3_findings(info: MediaInfo, profile: Profile) -> _Findings:  # noqa: ARG001
    """MPEG-1 and MPEG-2 layer III; MPEG-2.5 is nobody's standard."""
    yield from _codec_finding(info.audio_codec, ("mp3",))
    if info.sample_rate_hz not in _MP3_HZ:
        yield _Finding(Reason(ReasonCode.SAMPLE_RATE, f"{info.sample_rate_hz} Hz", "16000 to 48000 Hz (MPEG-1 or 2)"))
    if "mixed_rates" in info.metadata:
        yield _Finding(Reason(ReasonCode.SAMPLE_RATE, "several sampling rates", "one from end to end"))
    yield from _channel_finding(info, 2)


def _wav_findings(info: MediaInfo, profile: Profile) -> _Findings:
    codecs = ["pcm_u8", "pcm_s16le"]
    if any(step.format == "wav-ima" for step in profile.audio.ladder):
        codecs.append("adpcm_ima_wav")
    yield from _codec_finding(info.audio_codec, tuple(codecs))
    if info.brand != "RIFF":
        yield _Finding(Reason(ReasonCode.BRAND, info.brand or "unknown", "RIFF with all lengths"))
    if (info.sample_rate_hz or 0) > _WAV_MAX_HZ:
        yield _Finding(Reason(ReasonCode.SAMPLE_RATE, f"{info.sample_rate_hz} Hz", f"up to {_WAV_MAX_HZ} Hz"))
    yield from _channel_finding(info, 2)


def _amr_findings(info: MediaInfo, profile: Profile) -> _Findings:  # noqa: ARG001
    yield from _codec_finding(info.audio_codec, ("amr_nb",))
    yield from _channel_finding(info, 1)


def _midi_findings(info: MediaInfo, profile: Profile) -> _Findings:  # noqa: ARG001
    if info.brand not in ("smf0", "smf1"):
        yield _Finding(Reason(ReasonCode.BRAND, info.brand or "unknown", "smf0, smf1"))


def _codec_finding(found: str | None, allowed: tuple[str, ...]) -> _Findings:
    if found not in allowed:
        yield _Finding(Reason(ReasonCode.CODEC, found or "unknown", ", ".join(allowed)))


def _channel_finding(info: MediaInfo, most: int) -> _Findings:
    if (info.channels or 1) > most:
        yield _Finding(Reason(ReasonCode.CHANNELS, f"{info.channels} channels", f"up to {most}"))


def _video_findings(info: MediaInfo, profile: Profile) -> _Findings:
    rules = profile.video
    if info.is_still_picture or (info.is_single_frame and rules is None):
        yield _Finding(Reason(ReasonCode.SINGLE_FRAME, "a clip of one frame", "a picture"))
    if rules is None:
        return
    brands = (*_BRANDS.get(info.format, ()), rules.brand)
    if info.format in _BRANDS and info.brand not in brands:
        yield _Finding(Reason(ReasonCode.BRAND, info.brand or "none", ", ".join(dict.fromkeys(brands))))
    yield from _codec_finding(info.video_codec, (rules.codec,))
    if info.video_codec == rules.codec:
        yield from _codec_limit_findings(info, rules)
    yield from _frame_findings(info, rules)
    if info.audio_codec is not None:
        allowed = dict.fromkeys(LADDER_CODECS[step.format] for step in rules.audio_ladder if step.format != "wav")
        if info.audio_codec not in allowed:
            yield _Finding(Reason(ReasonCode.AUDIO_CODEC, info.audio_codec, ", ".join(allowed) or "no sound"))
        yield from _channel_finding(info, 2)
    if info.moov_first is False:
        yield _Finding(Reason(ReasonCode.MOOV_POSITION, "index behind the media", "index first"), lossless=True)
    yield from _metadata_findings(info)


def _codec_limit_findings(info: MediaInfo, rules: VideoRules) -> _Findings:
    """Profile and level, where the codec has them and the rules limit them."""
    profile, level = split_codec_profile(info.video_profile or "")
    if rules.codec_profile and not profile_allowed(profile, rules.codec_profile):
        yield _Finding(Reason(ReasonCode.CODEC_PROFILE, profile or "unknown", rules.codec_profile))
    if rules.codec_level and not level_allowed(rules.codec, level, rules.codec_level):
        yield _Finding(Reason(ReasonCode.CODEC_LEVEL, level or "unknown", f"up to {rules.codec_level}"))


def _frame_findings(info: MediaInfo, rules: VideoRules) -> _Findings:
    width_px, height_px = info.width_px or 0, info.height_px or 0
    size = f"{width_px} x {height_px} px"
    if max(width_px, height_px) > rules.max_long_px or min(width_px, height_px) > rules.max_short_px:
        yield _Finding(Reason(ReasonCode.SIZE_PX, size, f"{rules.max_long_px} x {rules.max_short_px} px"))
    elif rules.fixed_sizes and f"{width_px}x{height_px}" not in rules.fixed_sizes:
        yield _Finding(Reason(ReasonCode.FRAME_SIZE, size, ", ".join(rules.fixed_sizes)))
    if info.rotation_deg or info.mirrored:
        turned = f"{info.rotation_deg} degrees" + (", mirrored" if info.mirrored else "")
        yield _Finding(Reason(ReasonCode.ROTATION, turned, "upright pixels"))
    if info.pixel_aspect != 1.0:
        yield _Finding(Reason(ReasonCode.PIXEL_ASPECT, f"{info.pixel_aspect:.3f}", "square pixels"))
    if info.interlaced:
        yield _Finding(Reason(ReasonCode.INTERLACED, "interlaced", "progressive"))
    if info.colour is not None and info.colour.startswith("hdr"):
        yield _Finding(Reason(ReasonCode.HDR, info.colour, "standard dynamic range"))
    if (info.frame_rate_fps or 0) > rules.max_fps * _TOLERANCE:
        yield _Finding(Reason(ReasonCode.FRAME_RATE, f"{info.frame_rate_fps:.3g} fps", f"up to {rules.max_fps:g} fps"))
    rate_kbps = _video_rate_kbps(info)
    if rate_kbps > rules.max_rate_kbps * _TOLERANCE:
        yield _Finding(Reason(ReasonCode.RATE, f"{rate_kbps:.0f} kbit/s", f"up to {rules.max_rate_kbps:g} kbit/s"))


def _video_rate_kbps(info: MediaInfo) -> float:
    """The rate of the pictures; of the whole file less the sound where the file does not say."""
    if info.video_rate_kbps is not None or not info.duration_s:
        return info.video_rate_kbps or 0.0
    return info.size_bytes * 8 / 1000 / info.duration_s - (info.audio_rate_kbps or 0.0)


def _text_findings(info: MediaInfo, profile: Profile) -> _Findings:
    if info.encoding not in ("ascii", "utf-8"):
        yield _Finding(Reason(ReasonCode.ENCODING, info.encoding or "unknown", "utf-8 without BOM, ascii"))
    wanted = profile.text.line_ends
    ends = [name for name in info.metadata if name in ("crlf", "lf", "cr", "mixed_line_ends") and name != wanted]
    if ends:
        yield _Finding(Reason(ReasonCode.LINE_ENDS, ends[0], wanted))
    for code in ("control_characters", "decomposed"):
        if code in info.metadata:
            yield _Finding(Reason(ReasonCode(code), "present", "none"))


_KINDS: dict[Kind, Callable[[MediaInfo, Profile], _Findings]] = {
    Kind.IMAGE: _image_findings,
    Kind.AUDIO: _audio_findings,
    Kind.VIDEO: _video_findings,
    Kind.TEXT: _text_findings,
}
