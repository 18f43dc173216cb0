"""HEIF files of any items, with coded pictures of pillow-heif's in them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pillow_heif
from PIL import Image

from mmsprep.formats.content import Content
from mmsprep.formats.heif.index import read_heif
from mmsprep.formats.heif.layout import coded_item, main_item


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def heic(image: Image.Image, **options: Any) -> bytes:
    """What pillow-heif makes of an image."""
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, **({"quality": 90} | options))
    return file.getvalue()


@dataclass(frozen=True)
class Part:
    """An item: its type, its data, its properties (name, body, whether it is essential), references from it."""

    kind: bytes
    data: bytes = b""
    properties: Sequence[tuple[bytes, bytes, bool]] = ()
    references: Sequence[tuple[bytes, Sequence[int]]] = ()
    hidden: bool = True
    where: int = 0
    outside: bool = False
    extents: Sequence[tuple[int, int]] = field(default=())


def coded(image: Image.Image, *more: tuple[bytes, bytes, bool], references: Any = (), where: int = 0) -> Part:
    """A coded picture."""
    with Content("made", BytesIO(heic(image))) as content:
        heif = read_heif(content)
        item = coded_item(heif, main_item(heif))
        data, config = heif.data(item), item.first(b"hvcC")
    size = bytes(4) + struct.pack(">II", *image.size)
    properties = ((b"hvcC", config, True), (b"ispe", size, False), *more)
    return Part(b"hvc1", data, properties, references, where=where)


def heif_of(*parts: Part, primary: int = 1) -> bytes:
    """A file of items, numbered from 1; the primary one is not hidden."""
    infos: list[bytes] = []
    places: list[tuple[int, Part, Sequence[tuple[int, int]]]] = []
    known: list[tuple[bytes, bytes]] = []
    references = said = inside = media = b""
    for number, part in enumerate(parts, 1):
        hidden = int(part.hidden and number != primary)
        infos.append(box(b"infe", struct.pack(">IHH4s", 2 << 24 | hidden, number, 0, part.kind), b"\0"))
        if part.where == 1:
            places.append((number, part, [(len(inside), len(part.data))]))
            inside += part.data
        else:
            places.append((number, part, part.extents or [(-1 - len(media), len(part.data))]))
            media += b"" if part.extents else part.data
        for kind, targets in part.references:
            references += box(kind, struct.pack(f">HH{len(targets)}H", number, len(targets), *targets))
        said += struct.pack(">HB", number, len(part.properties))
        for name, body, essential in part.properties:
            if (name, body) not in known:
                known.append((name, body))
            said += bytes((known.index((name, body)) + 1 | essential << 7,))

    def index(media_at: int) -> bytes:
        iloc = struct.pack(">IBBH", 1 << 24, 0x44, 0, len(places))
        for number, part, extents in places:
            iloc += struct.pack(">HHHH", number, part.where, int(part.outside), len(extents))
            for start, length in extents:
                iloc += struct.pack(">II", start if start >= 0 else media_at - 1 - start, length)
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"pict", 0)),
            box(b"pitm", struct.pack(">IH", 0, primary)),
            box(b"iloc", iloc),
            box(b"iinf", struct.pack(">IH", 0, len(infos)), *infos),
            box(b"iref", bytes(4), references),
            box(
                b"iprp",
                box(b"ipco", *(box(*one) for one in known)),
                box(b"ipma", struct.pack(">II", 0, len(parts)), said),
            ),
            box(b"idat", inside),
        )

    start = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    return start + index(len(start) + len(index(0)) + 8) + box(b"mdat", media)


def grid(rows: int, columns: int, width_px: int, height_px: int) -> bytes:
    """The data of a grid."""
    return struct.pack(">4BHH", 0, 0, rows - 1, columns - 1, width_px, height_px)
