"""The formats of boxes: MP4, QuickTime, 3GP, 3G2, M4A, HEIC and AVIF, told apart by their brands and tracks.

Comes in: content that is made of boxes. Goes out: its format. Never: a format for what must not be opened: that is an
error.
"""

from __future__ import annotations

import struct

from mmsprep.errors import Damaged, ProtectedMedia, TypeNotAllowed, UnsafeReference
from mmsprep.formats.content import Content
from mmsprep.formats.isobmff import Movie, read_movie
from mmsprep.formats.pieces import beginning_alone, without_beginning
from mmsprep.formats.registry import Family, Format, register
from mmsprep.model import Kind

_HEIC_BRANDS = frozenset(("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"))
_AVIF_BRANDS = frozenset(("avif", "avis"))
_STILL_BRANDS = frozenset(("mif1", "mif2", "mif3", "msf1", "miaf", "1pic"))
_OTHER_CODECS = frozenset(
    ("jpeg", "jpgs", "j2ki", "j2is", "avci", "avcs", "vvic", "vvis", "evbi", "evbs", "evmi", "evms")
)
_DECODED_ITEMS = frozenset(("hvc1", "hev1", "lhv1", "av01"))
_NO_PICTURES = frozenset(("Exif", "mime", "uri ", "grid", "iden", "iovl", "tmap"))
_SAVE = "save it as PNG or JPEG"
"""Brands and item types of HEIF (ISO/IEC 23008-12, clause 10 and annexes; MP4RA's list of brands)."""
_SLIPPED_BYTES, _SLIPPED_SHARE = 4_096, 500
"""A movie with its index may lack a frame or two of its end: players show all the others."""


def _refine(content: Content) -> str:
    """One of the formats of boxes, by its brands and tracks.

    Raises:
        ProtectedMedia, UnsafeReference, Damaged, TypeNotAllowed: it must not or cannot be opened.
    """
    movie = content.once(read_movie)
    brands = (movie.brand, *movie.compatible)
    if movie.protected:
        raise ProtectedMedia(
            content.name, "is protected (DRM or encryption), so it cannot be sent; use an unprotected copy"
        )
    if movie.outside:
        raise UnsafeReference(
            content.name,
            f"has {movie.outside}, which is never followed; save it as a self-contained movie",
        )
    slipped = movie.has_moov and movie.missing_bytes <= max(_SLIPPED_BYTES, content.size_bytes // _SLIPPED_SHARE)
    if movie.missing_bytes and not slipped:
        raise Damaged(
            content.name,
            f"was cut short: {movie.missing_bytes:,} bytes of it are missing; get the file again",
        )
    still = _still_format(content.name, movie, brands)
    if still:
        return still
    if movie.fragmented and not movie.has_moov:
        raise without_beginning(content.name)
    if not movie.has_moov:
        raise Damaged(content.name, "has no index (no moov box), so nothing can play it; get the whole recording again")
    if movie.announces_pieces and not movie.has_media:
        raise beginning_alone(content.name)
    if any(track.ticks_per_s == 0 for track in movie.tracks if track.handler in ("vide", "soun")):
        raise Damaged(content.name, "is a movie whose unit of time is zero, so nothing can play it; export it anew")
    return _brand_format(movie.brand)


def _still_format(name: str, movie: Movie, brands: tuple[str, ...]) -> str | None:
    """The picture formats made of boxes; ``mif1`` and ``msf1`` alone do not say which codec it is.

    Raises:
        TypeNotAllowed: none that is decoded here.
    """
    if movie.brand in ("jp2 ", "jpx ", "jpm "):
        return "jp2"
    if movie.brand == "crx ":
        return "dng"
    if movie.brand not in _HEIC_BRANDS | _AVIF_BRANDS | _STILL_BRANDS | _OTHER_CODECS:
        return None
    named = next((brand for brand in brands if brand in _AVIF_BRANDS or brand in _HEIC_BRANDS), "")
    other = not named and next((brand for brand in brands if brand in _OTHER_CODECS), "")
    coded = set(movie.item_types) - _NO_PICTURES
    if not other and coded and not coded & _DECODED_ITEMS and not movie.has_track("vide"):
        other = min(coded)
    if other or (movie.brand == "mif3" and named in _AVIF_BRANDS):
        raise TypeNotAllowed(
            name,
            f"is a HEIF picture of a kind that nothing here decodes ({other or 'AVIF in its short form'}); {_SAVE}",
        )
    if named in _AVIF_BRANDS or (not named and "av01" in movie.item_types):
        return "avif"
    # A sequence may come without any picture that stands for it.
    return "heics" if movie.has_track("vide") and not movie.item_types else "heic"


def _brand_format(brand: str) -> str:
    if brand in ("", "qt  "):
        return "mov"
    if brand.startswith("3g2") or brand == "KDDI":
        return "3g2"
    return "3gp" if brand.startswith("3g") else "mp4"


def _has_pictures(content: Content) -> bool:
    movie = content.once(read_movie)
    return movie.has_track("vide") or not movie.has_track("soun")


def _is_quicktime(content: Content) -> bool:
    """A movie without ``ftyp``: a box of sane size that only movies begin with."""
    size, name, large_size = struct.unpack(">I4sQ", content.head[:16].ljust(16, b"\x00"))
    if name not in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"sidx", b"emsg", b"prft"):
        return False
    if size == 1:
        return name == b"mdat" or bool(16 <= large_size <= content.size_bytes)
    return bool(8 <= size <= content.size_bytes or (size == 0 and name == b"mdat"))


register(
    Format(
        slug="mp4",
        title="MP4",
        kind=Kind.VIDEO,
        content_type="video/mp4",
        extension="mp4",
        demuxer="mov",
        indexed=True,
        also_named="m4v f4v mov 3gp",
        sound_only="m4a",
        has_pictures=_has_pictures,
        remuxed=True,
    )
)
register(
    Format(
        slug="mov",
        title="QuickTime",
        kind=Kind.VIDEO,
        content_type="video/quicktime",
        extension="mov",
        demuxer="mov",
        indexed=True,
        also_named="qt mp4",
        sound_only="m4a",
        has_pictures=_has_pictures,
    )
)
register(
    Format(
        slug="3gp",
        title="3GP",
        kind=Kind.VIDEO,
        content_type="video/3gpp",
        extension="3gp",
        demuxer="mov",
        indexed=True,
        also_named="3gpp mp4",
        sound_only="m4a",
        has_pictures=_has_pictures,
        remuxed=True,
    )
)
register(
    Format(
        slug="3g2",
        title="3G2",
        kind=Kind.VIDEO,
        content_type="video/3gpp2",
        extension="3g2",
        demuxer="mov",
        indexed=True,
        also_named="3gpp2 3gp mp4",
        sound_only="m4a",
        has_pictures=_has_pictures,
    )
)
register(
    Format(
        slug="m4a",
        title="M4A",
        kind=Kind.AUDIO,
        content_type="audio/mp4",
        extension="m4a",
        demuxer="mov",
        indexed=True,
        also_named="m4b m4r mp4 3gp 3ga mov",
    )
)
register(
    Format(
        slug="heic",
        title="HEIC",
        kind=Kind.IMAGE,
        content_type="image/heic",
        extension="heic",
        also_named="heif hif",
    )
)
register(
    Format(
        slug="heics",
        title="HEIC sequence",
        kind=Kind.VIDEO,
        content_type="image/heic-sequence",
        extension="heics",
        demuxer="mov",
        indexed=True,
        also_named="heic heif heifs hif",
    )
)
register(
    Format(
        slug="avif",
        title="AVIF",
        kind=Kind.IMAGE,
        content_type="image/avif",
        extension="avif",
        also_named="avifs heif",
        decoder="PIL.AvifImagePlugin:AvifImageFile",
        animated=True,
    )
)
register(Family(refine=_refine, magics=(((4, b"ftyp"),),), looks_like=_is_quicktime, rank=70))
