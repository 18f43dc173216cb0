"""A recording, or the sound of a clip, decoded once: every channel of it, as floating point.

Comes in: an attachment with sound in it. Goes out: :class:`Pcm`, samples in memory. Never: a mix (that is
:mod:`mmsprep.hearing.channels`), a second decode of a whole recording at full rate, or samples without a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mmsprep.errors import Damaged, OverInputLimit
from mmsprep.hearing.samples import RATES_HZ, SAMPLE_BYTES, Decoded, decoded
from mmsprep.model import Attachment, Kind, MediaInfo
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.voice import as_qcp, whole_frames

_MAX_SAMPLES = 24_000_000
"""Of all channels; more are decoded at a lower rate."""
_LARGEST_SHORTFALL = 0.1
_SHORTFALL_S = 0.25
_LONGEST_MARGIN_S = 1.0
"""A share and seconds that may be missing where a decoder complains before it is damage; seconds that are decoded
beyond the longest allowed, to see that there is more. Set by hand."""


@dataclass(frozen=True, slots=True)
class Pcm:
    """Decoded sound; ``notes`` tell of slight damage.

    ``duration_s`` is how long all of it plays: more than what was decoded where ``is_whole`` is false.
    """

    sound: Decoded
    duration_s: float
    is_whole: bool
    notes: tuple[str, ...] = ()


def decode_pcm(
    attachment: Attachment,
    info: MediaInfo,
    workspace: Workspace,
    *,
    longest_s: float | None = None,
) -> Pcm:
    """Decode the first audio stream, all its channels, at the source's rate, at most 48 kHz.

    What is so long that it would not fit 96 MB of samples is decoded at a lower rate: such a recording can never
    become more than a voice-grade part. Attached pictures are not decoded.

    Args:
        attachment: the recording or clip.
        info: what it is; its ``duration_s`` is what the container declares.
        workspace: room for the samples, and the ffmpeg.
        longest_s: decode no more than this; the rest cannot be part of a message.

    Returns:
        The samples, with a note when the stream is slightly damaged. A clip's begin where its pictures do.

    Raises:
        Damaged: nothing decodes, or more than 10 % of a recording's declared duration is missing.
        OverInputLimit: longer than ``settings.max_duration_s``.
        TypeNotAllowed: a codec that no ffmpeg decodes.
        ToolMissing: this ffmpeg lacks the decoder.
    """
    settings = workspace.settings
    slug = info.format
    if slug == "evrc":
        path, slug = as_qcp(attachment, workspace), "qcp"
    elif slug in ("amr", "amr-wb"):
        path = whole_frames(attachment, info, workspace)
    else:
        path = workspace.path_of(attachment)
    most_s = min(longest_s or math.inf, settings.max_duration_s + _LONGEST_MARGIN_S)
    channels = max(1, info.channels or 2)
    rate_hz = _bounded_hz(min(info.duration_s or most_s, most_s), channels)

    def run(rate_hz: int, most_samples: int, *, with_padding: bool = False) -> Decoded:
        with ffmpeg.decoding(attachment.name):
            return decoded(
                path,
                slug,
                workspace,
                max_bytes=most_samples * SAMPLE_BYTES,
                max_rate_hz=rate_hz,
                longest_s=most_s,
                span=attachment.span,
                in_step=info.kind is Kind.VIDEO,
                with_padding=with_padding,
            )

    sound = run(rate_hz, _MAX_SAMPLES)
    if sound.samples.size >= _MAX_SAMPLES - sound.channels and sound.rate_hz > RATES_HZ[-1]:
        # The container declared no duration, or less than there is.
        sound = run(_bounded_hz(most_s, sound.channels), math.ceil(most_s * RATES_HZ[-1] * sound.channels))
    if not len(sound.samples) and slug == "mp3":
        # A header may say that all of a very short recording is padding; players play it.
        sound = run(rate_hz, _MAX_SAMPLES, with_padding=True)
    if not len(sound.samples):
        ffmpeg.refuse_undecodable(attachment.name, "sound", info.audio_codec, settings)
        words = f" ({sound.complaint})" if sound.complaint else ""
        raise Damaged(attachment.name, f"no sound in it decodes{words}; export it anew")
    if sound.duration_s > settings.max_duration_s:
        raise OverInputLimit(
            attachment.name,
            f"is longer than {settings.max_duration_s:,.0f} s; cut it first, or raise MMSPREP_MAX_DURATION_S",
        )
    if sound.complaint:
        # What is broken decodes to any number, far above what was recorded; players clip it, too.
        sound = replace(sound, samples=sound.samples.clip(-1.0, 1.0))
    if info.kind is not Kind.VIDEO:
        _check_length(attachment.name, sound, info, most_s)
    is_whole = sound.duration_s < most_s - _LONGEST_MARGIN_S
    duration_s = sound.duration_s if is_whole else max(sound.duration_s, info.duration_s or 0.0)
    complaint = sound.complaint
    return Pcm(
        sound, duration_s, is_whole, (f"slightly damaged, what decodes is sent ({complaint})",) if complaint else ()
    )


def _bounded_hz(duration_s: float, channels: int) -> int:
    """The highest rate at which the samples stay inside the bound."""
    return next((hz for hz in RATES_HZ if duration_s * hz * channels < _MAX_SAMPLES), RATES_HZ[-1])


def _check_length(name: str, sound: Decoded, info: MediaInfo, longest_s: float) -> None:
    """A stream that ends far short of its declared end, and whose decoder complains, is damaged: the part that matters
    may be missing. What a header says is no evidence by itself: recorders, joins and cuts leave it wrong."""
    declared_s, decoded_s = min(info.duration_s or 0.0, longest_s), sound.duration_s
    if not sound.complaint or decoded_s >= declared_s * (1 - _LARGEST_SHORTFALL) - _SHORTFALL_S:
        return
    raise Damaged(
        name,
        f"decodes for {decoded_s:.1f} s, its header says {declared_s:.1f} s ({sound.complaint}); the rest is"
        " missing or damaged: copy or download it again",
    )
