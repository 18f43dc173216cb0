"""How the picture of a HEIF file is to be put together: what has to be decoded, and where each piece goes.

Comes in: its items. Goes out: a :class:`Layout`, of plain values. Never: a decoded pixel, more of them than the caller
lets in, or a picture whose file says that showing it takes something that nobody here knows.

ISO/IEC 23008-12, 6.5 (properties), 6.6 (``grid``, ``iovl``, ``iden``), 6.8 (alpha), 7.2 (``hvc1``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from mmsprep.errors import Damaged, OverInputLimit
from mmsprep.formats.content import Content
from mmsprep.formats.heif import hevc
from mmsprep.formats.heif.changes import Change, changed_size, changes_of, unknown
from mmsprep.formats.heif.index import read_heif
from mmsprep.formats.heif.items import Heif, Item

CODED, DERIVED = frozenset(("hvc1", "hev1")), frozenset(("grid", "iovl", "iden"))
_ALPHA = (
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
)
_MOST_NESTED, _MOST_NODES = 8, 65_536
_CODED_SHARE = 4
"""How many times more pixels than the largest picture that is let in all pieces together may have: those of a grid
hang over its edges, those of an overlay lie over one another."""
_UNSAID, _DERIVED = 2, 12
_BY_PRIMARIES = {1: 1, 5: 6, 6: 6, 9: 9}
"""Code points of H.273: matrices, and which one comes from some primaries, where it is to be derived from them."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Pictures of one kind, one after the other, as a decoder takes them.

    ``matrix`` (H.273) and ``full_range`` say what their numbers mean; ``as_rgb``: a decoder takes them for red, green
    and blue by itself. ``grey``: they have no colour, or none that counts.
    """

    units: bytes = field(repr=False)
    count: int
    width_px: int
    height_px: int
    grey: bool
    bit_depth: int
    matrix: int
    full_range: bool
    as_rgb: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A picture: the ``number``-th one of a stream, or (``stream`` -1) a canvas of a colour with nodes at places.

    ``pieces`` are the place of an earlier node in the layout, left and top; ``alpha`` is the place of one that says how
    opaque this one is (-1: none).
    """

    width_px: int
    height_px: int
    stream: int = -1
    number: int = 0
    fill: tuple[int, ...] = (0, 0, 0)
    pieces: tuple[tuple[int, int, int], ...] = ()
    changes: tuple[Change, ...] = ()
    alpha: int = -1
    premultiplied: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """What is decoded, and the nodes that it is put together by, the whole picture last."""

    streams: tuple[Stream, ...]
    nodes: tuple[Node, ...]
    icc_profile: bytes = field(repr=False)


def read_layout(content: Content, max_pixels: int) -> Layout:
    """How the main picture of ``content`` is put together.

    Raises:
        Damaged: what is needed for it is not there, or makes no sense.
        TypeNotAllowed: it takes something that nothing here reads.
        OverInputLimit: it has more pixels than ``max_pixels``.
        UnsafeReference: it lies in another file.
    """
    heif = read_heif(content)
    main = main_item(heif)
    made = _Layouts(heif, max_pixels)
    made.add(main, ())
    return Layout(made.streams(), tuple(made.nodes), icc_profile(heif, main))


def main_item(heif: Heif) -> Item:
    """The item that stands for the file.

    Raises:
        Damaged: there is none.
        TypeNotAllowed: it is of a kind that nothing here shows, or encrypted.
    """
    name = heif.content.name
    main = heif.items.get(heif.primary)
    if main is not None:
        # Some files call the small copy the main one.
        larger = (heif.items.get(number) for number in heif.targets(b"thmb", main.number))
        main = next((one for one in larger if one is not None and _area(one) > _area(main)), main)
    if main is None or main.hidden:
        raise Damaged(name, "begins as HEIC, but says of no picture that it is the main one; get the file again")
    if main.protected or main.kind not in CODED | DERIVED:
        raise unknown(heif, "encrypted" if main.protected else main.kind)
    return main


def _area(item: Item) -> int:
    size = item.first(b"ispe")[4:12]
    return int.from_bytes(size[:4], "big") * int.from_bytes(size[4:], "big")


def alpha_item(heif: Heif, item: Item) -> Item | None:
    """The item that says how opaque ``item`` is.

    Raises:
        Damaged: there should be one, and nobody can tell which.
    """
    helpers = heif.sources(b"auxl", item.number)
    found = next((one for one in helpers if auxiliary_type(one) in _ALPHA), None)
    multiplied = found is None and heif.targets(b"prem", item.number)
    if multiplied or not all(map(auxiliary_type, helpers)):
        raise Damaged(heif.content.name, "begins as HEIC, but lacks what says how opaque it is; get the file again")
    return found


def auxiliary_type(item: Item) -> bytes:
    """What an auxiliary picture is for: a URN."""
    return item.first(b"auxC")[4:].partition(b"\0")[0]


def icc_profile(heif: Heif, item: Item) -> bytes:
    """The ICC profile of a picture, or of what it is made of; empty where there is none."""
    for one in (item, coded_item(heif, item)):
        found = next((body[4:] for body in one.all_of(b"colr") if body[:4] in (b"prof", b"rICC")), b"")
        if found:
            return found
    return b""


def coded_item(heif: Heif, item: Item) -> Item:
    """The first coded picture that ``item`` is made of.

    Raises:
        Damaged: there is none.
    """
    for _ in range(_MOST_NESTED):
        if item.kind in CODED:
            return item
        if item.kind not in DERIVED:
            raise unknown(heif, item.kind)
        item = heif.items.get(next(iter(heif.targets(b"dimg", item.number)), 0), item)
    raise Damaged(heif.content.name, "begins as HEIC, but its main picture is made of nothing; get the file again")


def configuration(heif: Heif, item: Item) -> hevc.Configuration:
    """How a coded picture is coded.

    Raises:
        Damaged: it does not say it.
    """
    try:
        return hevc.read_configuration(item.first(b"hvcC"))
    except ValueError as error:
        raise Damaged(heif.content.name, f"begins as HEIC, but holds {error}; get the file again") from error


class _Layouts:
    """The layout while it is made."""

    def __init__(self, heif: Heif, max_pixels: int) -> None:
        self.nodes: list[Node] = []
        self._heif, self._name, self._max_pixels = heif, heif.content.name, max_pixels
        self._left_pixels = _CODED_SHARE * max_pixels
        self._places: dict[tuple[object, ...], int] = {}
        self._streams: list[tuple[Stream, list[bytes]]] = []
        self._configurations: dict[bytes, hevc.Configuration] = {}

    def streams(self) -> tuple[Stream, ...]:
        """All that is to be decoded."""
        whole = []
        for about, pictures in self._streams:
            units = about.units + b"".join(pictures)
            whole.append(
                Stream(
                    units,
                    len(pictures),
                    *(about.width_px, about.height_px, about.grey, about.bit_depth),
                    *(about.matrix, about.full_range, about.as_rgb),
                )
            )
        return tuple(whole)

    def add(self, item: Item, above: tuple[Item, ...], *, raw: bool = False) -> int:
        """Lay out ``item``, which is a part of those ``above``; its place among the nodes.

        ``raw``: it is no picture, but says how opaque one is.
        """
        if item in above or len(above) > _MOST_NESTED:
            raise Damaged(self._name, "has pictures that are made of themselves; it is damaged or made to harm")
        if item.protected or item.kind not in CODED | DERIVED:
            raise unknown(self._heif, item.kind)
        chain = (*above, item)
        node = self._coded(item, chain, raw=raw) if item.kind in CODED else self._derived(item, chain, raw=raw)
        changes = changes_of(self._heif, item, node.width_px, node.height_px)
        alpha, premultiplied = -1, False
        opacity = None if raw else alpha_item(self._heif, item)
        if opacity is not None:
            alpha = self.add(opacity, chain, raw=True)
            premultiplied = opacity.number in self._heif.targets(b"prem", item.number)
        node = Node(
            *(node.width_px, node.height_px, node.stream, node.number, node.fill, node.pieces),
            *(changes, alpha, premultiplied),
        )
        self.nodes.append(node)
        if len(self.nodes) > _MOST_NODES + 1:
            raise Damaged(self._name, f"is made of more than {_MOST_NODES:,} pieces; it is damaged or made to harm")
        return len(self.nodes) - 1

    def _let_in(self, width_px: int, height_px: int) -> None:
        if width_px * height_px > self._max_pixels:
            raise OverInputLimit(
                self._name,
                f"has {width_px} x {height_px} pixels, over the limit of {self._max_pixels:,} pixels;"
                " make it smaller, or MMSPREP_MAX_PIXELS sets another limit",
            )

    def _coded(self, item: Item, chain: tuple[Item, ...], *, raw: bool) -> Node:
        stored = item.first(b"hvcC")
        if stored not in self._configurations:
            self._configurations[stored] = configuration(self._heif, item)
        found = self._configurations[stored]
        self._let_in(found.width_px, found.height_px)
        self._left_pixels -= found.width_px * found.height_px
        if self._left_pixels < 0:
            raise OverInputLimit(
                self._name,
                f"is put together from over {_CODED_SHARE * self._max_pixels:,} pixels; make it smaller, or"
                " MMSPREP_MAX_PIXELS sets another limit",
            )
        units, has_own_sets = self._units(item, found)
        # 7.2 (2022): some are predicted from others, which are decoded before them.
        sources = [self._heif.items.get(number) for number in self._heif.targets(b"pred", item.number)]
        before = [self._units(one, found)[0] for one in sources if one is not None and one is not item]
        self._left_pixels -= len(before) * found.width_px * found.height_px
        matrix, full_range = _code_points(chain, found)
        grey, full_range = raw or found.chroma_format == 0, raw or full_range
        kind = (stored, grey, matrix, full_range, item.number if has_own_sets or before else 0)
        if kind not in self._places:
            self._places[kind] = len(self._streams)
            as_rgb = found.chroma_format == 3 and found.matrix == 0
            size_px = found.width_px, found.height_px
            about = Stream(found.units, 0, *size_px, grey, found.bit_depth, matrix, full_range, as_rgb)
            self._streams.append((about, []))
        place = self._places[kind]
        self._streams[place][1].extend((*before, units + hevc.END_OF_SEQUENCE))
        return Node(found.width_px, found.height_px, place, len(self._streams[place][1]) - 1)

    def _units(self, item: Item, found: hevc.Configuration) -> tuple[bytes, bool]:
        try:
            return hevc.picture_units(self._heif.data(item), found)
        except ValueError as error:
            raise Damaged(self._name, f"begins as HEIC, but holds {error}; get the file again") from error

    def _derived(self, item: Item, chain: tuple[Item, ...], *, raw: bool) -> Node:
        sources = [self._heif.items.get(number) for number in self._heif.targets(b"dimg", item.number)]
        parts = [one for one in sources if one is not None]
        if not parts or len(parts) < len(sources):
            raise Damaged(self._name, "begins as HEIC, but lacks a piece of its picture; get the file again")
        if item.kind == "iden":
            piece = self.add(parts[0], chain, raw=raw)
            size_px = changed_size(*self._size(piece), self.nodes[piece].changes)
            return Node(*size_px, pieces=((piece, 0, 0),))
        data = self._heif.data(item)
        try:
            return self._grid(data, parts, chain, raw=raw) if item.kind == "grid" else self._overlay(data, parts, chain)
        except struct.error as error:
            raise Damaged(
                self._name, "begins as HEIC, but says too little of its pieces; get the file again"
            ) from error

    def _size(self, place: int) -> tuple[int, int]:
        return self.nodes[place].width_px, self.nodes[place].height_px

    def _grid(self, data: bytes, parts: list[Item], chain: tuple[Item, ...], *, raw: bool) -> Node:
        """6.6.2.3.2: from left to right and from top to bottom, all of one size; what hangs over is cut."""
        version, flags, more_rows, more_columns = struct.unpack_from(">4B", data)
        width_px, height_px = struct.unpack_from(">II" if flags & 1 else ">HH", data, 4)
        rows, columns = more_rows + 1, more_columns + 1
        self._let_in(width_px, height_px)
        if version or not width_px or not height_px or len(parts) < rows * columns:
            raise Damaged(self._name, "begins as HEIC, but lacks a piece of its picture; get the file again")
        pieces: list[tuple[int, int, int]] = []
        tile_px = 0, 0
        for number, part in enumerate(parts[: rows * columns]):
            place = self.add(part, chain, raw=raw)
            size_px = changed_size(*self._size(place), self.nodes[place].changes)
            tile_px = tile_px if number else size_px
            if size_px != tile_px or tile_px[0] * columns < width_px or tile_px[1] * rows < height_px:
                raise Damaged(self._name, "begins as HEIC, but its pieces do not cover its picture; get the file again")
            pieces.append((place, number % columns * tile_px[0], number // columns * tile_px[1]))
        return Node(width_px, height_px, pieces=tuple(pieces))

    def _overlay(self, data: bytes, parts: list[Item], chain: tuple[Item, ...]) -> Node:
        """6.6.2.2.2: one over the other on a canvas of one colour."""
        long = len(data) > 1 and data[1] & 1
        _, _, *fill = struct.unpack_from(">2B4H", data)
        width_px, height_px = struct.unpack_from(">II" if long else ">HH", data, 10)
        self._let_in(width_px, height_px)
        if data[0] or not width_px or not height_px:
            raise Damaged(self._name, "begins as HEIC, but lacks a piece of its picture; get the file again")
        places = struct.unpack_from(f">{2 * len(parts)}{'i' if long else 'h'}", data, 18 if long else 14)
        pieces = [
            (self.add(part, chain), left, top) for part, left, top in zip(parts, places[::2], places[1::2], strict=True)
        ]
        return Node(width_px, height_px, fill=tuple(value >> 8 for value in fill[:3]), pieces=tuple(pieces))


def _code_points(chain: tuple[Item, ...], found: hevc.Configuration) -> tuple[int, bool]:
    """Matrix and range, as the outermost of the pictures says it that does, else the stream.

    Some cameras (Sony's) say limited of pictures whose stream is of full range; none errs the other way round.
    """
    primaries, matrix, full_range = found.primaries, found.matrix, found.full_range
    said = (body for item in chain for body in item.all_of(b"colr") if body[:4] == b"nclx" and len(body) >= 11)
    outermost = next(said, b"")
    if outermost:
        primaries, _, stated = struct.unpack(">3H", outermost[4:10])
        matrix = matrix if stated == _UNSAID else stated
        full_range = full_range or bool(outermost[10] & 0x80)
    return _BY_PRIMARIES.get(primaries, _UNSAID) if matrix == _DERIVED else matrix, full_range
