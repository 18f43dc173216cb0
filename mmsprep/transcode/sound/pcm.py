"""A recording, or the sound of a clip, decoded once to 16-bit PCM.

Comes in: an attachment with sound in it. Goes out: :class:`Pcm`, samples in memory. Never: a second decode of
a whole recording at full rate, samples without a bound, or pydub's own search for ffmpeg.
"""

from __future__ import annotations

import math
import os
import warnings
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsprep.errors import (
    Damaged,
    OverInputLimit,
    ToolError,
    ToolMissing,
    ToolOverLimit,
    ToolTimeout,
    TypeNotAllowed,
)
from mmsprep.formats import FORMATS
from mmsprep.model import Attachment, Kind, MediaInfo
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.evrc import as_qcp

with warnings.catch_warnings():
    # pydub looks for an ffmpeg on the PATH when it is imported and warns when there is none; ours is found in
    # tools/ffmpeg.py. An import runs once, under the interpreter's lock, so the filter reaches nothing else.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

SAMPLE_WIDTH_BYTES = 2
_RATES_HZ = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
_MAX_PCM_BYTES = 160_000_000
_HEADER_BYTES = 4096
_LARGEST_SHORTFALL = 0.1
_SHORTFALL_S = 0.25

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Pcm:
    """Decoded sound; ``notes`` tell of slight damage. ``samples`` has a row a moment, a column a channel."""

    segment: AudioSegment = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def rate_hz(self) -> int:
        """Samples a second and channel."""
        return int(self.segment.frame_rate)

    @property
    def channels(self) -> int:
        """1 or 2."""
        return int(self.segment.channels)

    @property
    def samples(self) -> Samples:
        """A view, not a copy."""
        return np.frombuffer(self.segment.raw_data, np.dtype("<i2")).reshape(-1, self.channels)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.segment.frame_count()) / self.rate_hz


@dataclass(frozen=True, slots=True)
class _Input:
    """What is decoded: ``in_step`` fills gaps, so that sound stays in step with pictures."""

    name: str
    path: Path
    slug: str
    longest_s: float | None
    in_step: bool


def decode_pcm(
    attachment: Attachment,
    info: MediaInfo,
    workspace: Workspace,
    *,
    max_channels: int = 2,
    longest_s: float | None = None,
) -> Pcm:
    """Decode the first audio stream to 16-bit PCM at the source's rate, at most 48 kHz.

    What is so long that it would not fit ``160 MB`` of PCM is decoded to one channel and a lower rate: such
    a recording can never become more than a voice-grade part. Attached pictures are not decoded.

    Args:
        attachment: the recording or clip.
        info: what it is; its ``duration_s`` is what the container declares.
        workspace: room for the PCM, and the ffmpeg.
        max_channels: 1 mixes down while decoding.
        longest_s: decode no more than this; for a clip whose rest cannot be part of a message.

    Returns:
        The samples, with a note when the stream is slightly damaged. A clip's begin where its pictures do.

    Raises:
        Damaged: nothing decodes, or more than 10 % of a recording's declared duration is missing.
        OverInputLimit: longer than ``settings.max_duration_s``.
        TypeNotAllowed: a codec that no ffmpeg decodes.
        ToolMissing: this ffmpeg lacks the decoder.
    """
    settings = workspace.settings
    path, slug = workspace.path_of(attachment), info.format
    if slug == "evrc":
        path, slug = as_qcp(attachment, workspace), "qcp"
    if FORMATS[slug].demuxer is None:
        raise TypeNotAllowed(
            attachment.name, f"is {FORMATS[slug].title}, which ffmpeg does not read; send it as WAV or M4A"
        )
    is_clip = info.kind is Kind.VIDEO
    source = _Input(attachment.name, path, slug, longest_s, in_step=is_clip)
    declared_s = min(info.duration_s or 0.0, longest_s or math.inf)
    rate_hz, channels = _bounded(declared_s, min(info.channels or 2, max_channels, 2))
    target = workspace.new_path(".wav")
    complaint = _run(workspace, source, target, rate_hz, channels, _MAX_PCM_BYTES)
    if _size_bytes(target, attachment.name, workspace) >= _MAX_PCM_BYTES:
        # The container declared no duration or less than there is.
        longest_bytes = math.ceil(settings.max_duration_s + 1) * _RATES_HZ[-1] * SAMPLE_WIDTH_BYTES
        limit_bytes = min(settings.max_temp_bytes, longest_bytes)
        complaint = _run(workspace, source, target, _RATES_HZ[-1], 1, limit_bytes)
    segment = _read(target, attachment.name, complaint, workspace)
    pcm = Pcm(segment, (f"slightly damaged, what decodes is sent ({complaint})",) if complaint else ())
    if pcm.duration_s > settings.max_duration_s:
        raise OverInputLimit(
            attachment.name,
            f"is longer than {settings.max_duration_s:,.0f} s; cut it first, or raise MMSPREP_MAX_DURATION_S",
        )
    if not is_clip:
        _check_length(attachment.name, pcm.duration_s, info, complaint)
    return pcm


def _bounded(duration_s: float, channels: int) -> tuple[int, int]:
    """The highest rate and most channels whose PCM stays inside the bound."""
    for count in range(channels, 0, -1):
        lowest_hz = 44_100 if count == 2 else _RATES_HZ[-1]
        for rate_hz in _RATES_HZ:
            if rate_hz >= lowest_hz and duration_s * rate_hz * count * SAMPLE_WIDTH_BYTES < _MAX_PCM_BYTES:
                return rate_hz, count
    return _RATES_HZ[-1], 1


def _run(workspace: Workspace, source: _Input, target: Path, rate_hz: int, channels: int, limit_bytes: int) -> str:
    """Decode into ``target``; returns what ffmpeg complained about, in its words."""
    rates = "|".join(str(rate) for rate in _RATES_HZ if rate <= rate_hz)
    layouts = "mono|stereo" if channels == 2 else "mono"
    options = {} if source.longest_s is None else {"t": source.longest_s}
    sound = ffmpeg.safe_input(source.path, source.slug, **options)["a:0"]
    if source.in_step:
        sound = sound.filter("aresample", **{"async": 1, "first_pts": 0})
    sound = sound.filter("aformat", sample_fmts="s16", sample_rates=rates, channel_layouts=layouts)
    output = sound.output(
        f"file:{target}",
        f="wav",
        acodec="pcm_s16le",
        fs=limit_bytes + _HEADER_BYTES,
        fflags="+bitexact",
        map_metadata=-1,
    )
    with ffmpeg.decoding(source.name):
        try:
            complaint = ffmpeg.run(workspace, output).stderr.decode("utf-8", "replace").strip()
        except (ToolMissing, ToolOverLimit, ToolTimeout):
            raise
        except ToolError as error:
            complaint = str(error)
    if "Decoder" in complaint and "not found" in complaint:
        raise ToolMissing(
            f"ffmpeg ({ffmpeg.executable(workspace.settings)}) was built without the decoder this file needs:"
            f" {complaint}; unset MMSPREP_FFMPEG to use the one of imageio-ffmpeg"
        )
    lines = complaint.replace(str(source.path), "the file").replace(str(target), "the samples").splitlines()
    return lines[-1].strip() if lines else ""


def _size_bytes(path: Path, name: str, workspace: Workspace) -> int:
    with ffmpeg.decoding(name):
        return workspace.size_bytes(path)


def _read(path: Path, name: str, complaint: str, workspace: Workspace) -> AudioSegment:
    try:
        with workspace.open(path) as file, wave.open(file, "rb") as reader:
            # The header may promise what is not there.
            data = reader.readframes(min(reader.getnframes(), os.fstat(file.fileno()).st_size))
            rate_hz, channels = reader.getframerate(), reader.getnchannels()
    except (OSError, EOFError, wave.Error, ToolError):
        data, rate_hz, channels = b"", 0, 1
    path.unlink(missing_ok=True)
    if not data:
        raise Damaged(name, f"no sound in it decodes{f' ({complaint})' if complaint else ''}; export it anew")
    data = data[: len(data) - len(data) % (SAMPLE_WIDTH_BYTES * channels)]
    return AudioSegment(data=data, sample_width=SAMPLE_WIDTH_BYTES, frame_rate=rate_hz, channels=channels)


def _check_length(name: str, decoded_s: float, info: MediaInfo, complaint: str) -> None:
    """A stream that ends far short of its declared end, and whose decoder complains, is damaged: the part that matters
    may be missing. What a header says is no evidence by itself: recorders, joins and cuts leave it wrong."""
    declared_s = info.duration_s or 0.0
    if not complaint or decoded_s >= declared_s * (1 - _LARGEST_SHORTFALL) - _SHORTFALL_S:
        return
    raise Damaged(
        name,
        f"decodes for {decoded_s:.1f} s, its header says {declared_s:.1f} s ({complaint}); it is probably cut short:"
        " copy or download it again",
    )
