"""TIFF, and the raw files of cameras, most of which are made like it.

Comes in: nothing. Goes out: rows. Never: a decision which TIFF is a raw file; its directory
says so (``sniff/pictures.py``).
"""

from __future__ import annotations

from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

register(
    Format(
        slug="tiff",
        title="TIFF",
        kind=Kind.IMAGE,
        content_type="image/tiff",
        extension="tif",
        also_named="tiff",
        magics=(
            ((0, b"II*\x00"),),
            ((0, b"MM\x00*"),),
            ((0, b"II+\x00"),),
            ((0, b"MM\x00+"),),
        ),
        decoder="mmsprep.tools.tiff:open_tiff",
    )
)


register(
    Format(
        slug="dng",
        title="camera raw",
        kind=Kind.IMAGE,
        content_type="image/x-adobe-dng",
        extension="dng",
        also_named="nef arw cr2 cr3 crw mrw orf rw2 pef raf srw tif x3f",
        magics=(
            (
                (0, b"II*\x00"),
                (8, b"CR\x02"),
            ),
            ((0, b"IIRO"),),
            ((0, b"IIRS"),),
            ((0, b"MMOR"),),
            ((0, b"IIU\x00"),),
            ((0, b"FUJIFILMCCD-RAW"),),
            (
                (0, b"II"),
                (6, b"HEAPCCDR"),
            ),
            ((0, b"\0MRM"),),
            ((0, b"FOVb"),),
        ),
    )
)
