"""Portable anymaps (PBM, PGM, PPM): a header in letters, then pixels.

Comes in: content. Goes out: whether it is one. Never: a decoded pixel.
"""

from __future__ import annotations

import re

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+\s")


def _is_pnm(content: Content) -> bool:
    return _PNM.match(content.head) is not None


register(
    Format(
        slug="pnm",
        title="PNM",
        kind=Kind.IMAGE,
        content_type="image/x-portable-anymap",
        extension="pnm",
        also_named="pbm pgm ppm",
        looks_like=_is_pnm,
        rank=30,
        decoder="PIL.PpmImagePlugin:PpmImageFile",
    )
)
