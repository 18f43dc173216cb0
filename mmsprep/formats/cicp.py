"""How a file says what its numbers mean as colours: code points (CICP), and PNG's gamma and chromaticities.

Comes in: what a header says. Goes out: a :class:`ColourCoding`, ``None`` for what is shown as sRGB is. Never: ICC
profiles, which go before all of it, or matrix and range, which decoders apply themselves.

ITU-T H.273 (code points), BT.2100 (PQ, HLG), PNG (Third Edition) 11.3.2.
"""

from __future__ import annotations

import struct

from mmsprep.model import ColourCoding

_D65 = (0.3127, 0.3290)
_SRGB = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65)
BT2020 = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65)
DISPLAY_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65)
_PRIMARIES: dict[int, tuple[float, ...]] = {
    4: (0.670, 0.330, 0.210, 0.710, 0.140, 0.080, 0.310, 0.316),
    9: BT2020,
    11: (*DISPLAY_P3[:6], 0.314, 0.351),
    12: DISPLAY_P3,
}
"""H.273, table 2; those of standard television (5, 6, 7) are shown as sRGB's everywhere."""
_UNSPECIFIED = 2
_TRANSFERS = {16: "pq", 18: "hlg"}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_PEAK_NITS = {"hlg": 1000.0}
_SAME_GAMMA, _SAME_PLACE, _LEAST_AREA = 0.06, 0.005, 0.02


def coding(primaries: int, transfer: int, peak_nits: float = 0.0) -> ColourCoding | None:
    """What the code points of H.273 mean; those that are unspecified or unknown are sRGB's."""
    name = _TRANSFERS.get(transfer) or ("gamma" if transfer in _GAMMAS else "srgb")
    unsaid = BT2020 if transfer in _TRANSFERS and primaries == _UNSPECIFIED else ()
    wide = _PRIMARIES.get(primaries, unsaid)
    if not wide and (name == "srgb" or transfer == 4):
        return None
    return ColourCoding(
        transfer=name,
        gamma=_GAMMAS.get(transfer, 2.2),
        primaries=wide,
        peak_nits=_PEAK_NITS.get(name, peak_nits),
    )


def png_coding(gamma: bytes, chromaticities: bytes) -> ColourCoding | None:
    """What PNG's chunks ``gAMA`` and ``cHRM`` mean (empty: not there); what makes no sense counts as not there."""
    exponent = 2.2
    places: tuple[float, ...] = ()
    if len(gamma) >= 4 and 1_000 <= (stored := int.from_bytes(gamma[:4], "big")) <= 1_000_000:
        exponent = 100_000 / stored
    if len(chromaticities) >= 32:
        white, *colours = struct.iter_unpack(">II", chromaticities[:32])
        found = tuple(value / 100_000 for place in (*colours, white) for value in place)
        places = found if _makes_sense(found) else ()
    same_places = all(abs(one - other) < _SAME_PLACE for one, other in zip(places, _SRGB, strict=False))
    if abs(exponent - 2.2) < _SAME_GAMMA:
        return None if same_places else ColourCoding(primaries=places)
    return ColourCoding(transfer="gamma", gamma=exponent, primaries=() if same_places else places)


def _makes_sense(places: tuple[float, ...]) -> bool:
    """Whether they span a triangle of colours around their white."""
    (red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y) = places
    area = abs((green_x - red_x) * (blue_y - red_y) - (blue_x - red_x) * (green_y - red_y)) / 2
    return area >= _LEAST_AREA and white_y >= 0.1 and white_x >= 0.1 and max(places) < 1.5


def hdr_name(found: ColourCoding | None) -> str | None:
    """``hdr-pq``, ``hdr-hlg``, or ``None`` for standard dynamic range."""
    return f"hdr-{found.transfer}" if found and found.transfer in _TRANSFERS.values() else None


def hdr_note(colour: str) -> str:
    """What is told of a picture in high dynamic range."""
    return f"is in high dynamic range ({colour.removeprefix('hdr-').upper()})"
