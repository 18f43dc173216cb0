"""FLAC.

Comes in: nothing. Goes out: a row. Never: a look; MediaInfo and ffmpeg read it.
"""

from __future__ import annotations

from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

register(
    Format(
        slug="flac",
        title="FLAC",
        kind=Kind.AUDIO,
        content_type="audio/flac",
        extension="flac",
        demuxer="flac",
        indexed=True,
        magics=(((0, b"fLaC"),),),
    )
)
