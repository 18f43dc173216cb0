"""What walkers find in a picture's structure, and strict readers in a recording.

Comes in: nothing. Goes out: two plain values. Never: a byte of a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmsprep.model import ColourCoding


@dataclass(slots=True, kw_only=True)
class Structure:
    """What a picture's own headers say; ``width_px`` and ``height_px`` are as stored.

    ``missing`` says what is not there of a file that ends too early (empty: it is complete).
    """

    width_px: int = 0
    height_px: int = 0
    colour: str = "rgb"
    bit_depth: int = 8
    encoding: str | None = None
    has_alpha: bool = False
    frame_count: int = 1
    duration_s: float | None = None
    exif: bytes = b""
    icc_profile: bytes = b""
    coding: ColourCoding | None = None
    metadata: list[str] = field(default_factory=list)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Sound:
    """What a recording's headers say; ``format`` is a rung's (``mp3``, ``amr``, ``wav``, ``wav-ima``).

    ``rates_kbps`` are the rates of its frames, or, of a WAV, the one of the whole.
    """

    format: str
    sample_rate_hz: int
    channels: int
    rates_kbps: frozenset[float]
    duration_s: float
