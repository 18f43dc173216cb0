"""Decoding the sound of a file to samples, every channel of it.

Comes in: a path and what our sniffing found there. Goes out: :class:`Decoded`. Never: a mix, which would lose what the
channels do not share, a clipped peak, or samples without a bound.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmsprep.errors import ToolError, ToolMissing, ToolOverLimit, ToolTimeout
from mmsprep.hearing.filters import Levels
from mmsprep.model import Span
from mmsprep.tools import ffmpeg
from mmsprep.tools.complaints import in_words
from mmsprep.tools.workspace import Workspace

RATES_HZ = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
SAMPLE_BYTES = 4
_HEADER_BYTES = 4_096
_FLOAT, _EXTENSIBLE = 3, 0xFFFE
_SPEAKERS = ("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL")
"""By the bits of a channel mask (Microsoft, WAVEFORMATEXTENSIBLE)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Samples of every channel, ``speakers`` the channels' places (``FL``, ``FR``, ...; empty: unknown).

    ``complaint`` is what the decoder found wrong, in words ("": nothing).
    """

    samples: Levels = field(repr=False)
    rate_hz: int
    speakers: tuple[str, ...]
    complaint: str = ""

    @property
    def channels(self) -> int:
        """How many; at least 1."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


def decoded(
    path: Path,
    format_slug: str,
    workspace: Workspace,
    *,
    max_bytes: int,
    max_rate_hz: int = RATES_HZ[0],
    longest_s: float | None = None,
    span: Span | None = None,
    in_step: bool = False,
    with_padding: bool = False,
) -> Decoded:
    """Decode the first audio stream, at its own rate where ``max_rate_hz`` is not below it.

    Args:
        path, format_slug: what is decoded.
        workspace: room for the samples, and the ffmpeg.
        max_bytes: of samples; what follows is not decoded.
        max_rate_hz: at least 8000.
        longest_s: decode no more than this.
        span: which seconds (``None``: from the beginning).
        in_step: fill gaps, so that sound stays in step with pictures.
        with_padding: also what the encoder says it put in front and behind.

    Raises:
        ToolMissing: there is no ffmpeg, or it lacks the decoder.
        ToolOverLimit, ToolTimeout: more than this machine may spend.
    """
    target = workspace.new_path(".wav")
    options: dict[str, str | float] = {} if longest_s is None else {"t": longest_s}
    if with_padding:
        options["flags2"] = "+skip_manual"
    sound = ffmpeg.sound_of(path, format_slug, span, **options)
    if in_step:
        sound = sound.filter("aresample", **{"async": 1, "first_pts": 0})
    rates = "|".join(str(rate) for rate in RATES_HZ if rate <= max_rate_hz)
    sound = sound.filter("aformat", sample_fmts="flt", sample_rates=rates)
    output = sound.output(
        f"file:{target}",
        f="wav",
        acodec="pcm_f32le",
        fs=max_bytes + _HEADER_BYTES,
        fflags="+bitexact",
        map_metadata=-1,
    )
    try:
        words = ffmpeg.run(workspace, output).stderr.decode("utf-8", "replace").strip()
    except (ToolMissing, ToolOverLimit, ToolTimeout):
        raise
    except ToolError as error:
        words = str(error)
    if "Decoder" in words and "not found" in words:
        raise ToolMissing(
            f"ffmpeg ({ffmpeg.executable(workspace.settings)}) was built without the decoder this file needs:"
            f" {words}; unset MMSPREP_FFMPEG to use the one of imageio-ffmpeg"
        )
    lines = words.splitlines()
    return _read(target, workspace, max_bytes, in_words(lines[-1]) if lines else "")


def _read(path: Path, workspace: Workspace, max_bytes: int, complaint: str) -> Decoded:
    """What ffmpeg wrote, which may be anything."""
    try:
        with workspace.open(path) as file:
            rate_hz, channels, mask = _header(file)
            # Room is taken for what is asked, not for what is there: no more than there is, then.
            data = file.read(min(max_bytes, os.fstat(file.fileno()).st_size))
    except (OSError, ValueError, struct.error, ToolError):
        return Decoded(np.zeros((0, 1), np.float32), RATES_HZ[0], (), complaint)
    path.unlink(missing_ok=True)
    count = len(data) // (SAMPLE_BYTES * channels)
    samples = np.frombuffer(data, "<f4", count * channels).reshape(count, channels).astype(np.float32)
    np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    speakers = tuple(name for bit, name in enumerate(_SPEAKERS) if mask >> bit & 1)
    return Decoded(samples, rate_hz, speakers if len(speakers) == channels else (), complaint)


def _header(file: BinaryIO) -> tuple[int, int, int]:
    """Rate, channels and the mask of their places; what follows in ``file`` are samples."""
    if file.read(12)[8:] != b"WAVE":
        raise ValueError("is no WAV")
    found = (0, 0, 0)
    while True:
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            break
        body = file.read(min(size, _HEADER_BYTES))
        if name == b"fmt ":
            codec, channels, rate_hz = struct.unpack_from("<HHI", body)
            mask = struct.unpack_from("<I", body, 20)[0] if codec == _EXTENSIBLE else {1: 4, 2: 3}.get(channels, 0)
            if codec in (_FLOAT, _EXTENSIBLE):
                found = rate_hz, channels, mask
    if not found[0] or not found[1]:
        raise ValueError("has no samples")
    return found
