"""EVRC as files: frames like AMR's (RFC 4788).

Comes in: nothing. Goes out: a row. Never: the walk, which ``amr.py`` has.
"""

from __future__ import annotations

from mmsprep.formats.amr import voice_info
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

register(
    Format(
        slug="evrc",
        title="EVRC",
        kind=Kind.AUDIO,
        content_type="audio/evrc",
        extension="evc",
        also_named="evrc",
        magics=(
            ((0, b"#!EVRC\n"),),
            ((0, b"#!EVRC-B\n"),),
            ((0, b"#!EVRCWB\n"),),
            ((0, b"#!EVRCNW\n"),),
        ),
        read=lambda content: voice_info(content, "evrc"),
    )
)
