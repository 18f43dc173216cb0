"""All of a clip at a constant quality: which one fills the bytes, going by what was made so far.

Comes in: encodes at other CRF, the bytes allowed. Goes out: the CRF to try next. Never: an encode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

FINEST_CRF, COARSEST_CRF = 16.0, 20.0
"""x264's CRF: the finest and the coarsest that count as hard to tell from the source."""
_TWO_PASSES_CRF = 19.0
"""What is to be coarser is as well made by two passes."""
_CRF_FOR_HALF, _LEAST_FOR_HALF, _MOST_FOR_HALF = 4.0, 1.5, 12.0
"""What halves the bytes: 3.7 to 4.1 on four clips of a few seconds between these two, 2 to 3 of grain, 6 where little
moves; what two encodes that differ by less than they can tell may say at the least and the most."""
_SAME_CRF, _AIM = 0.7, 0.96
"""Of CRF: what is this near to what is wanted is kept; the share of the bytes that is aimed at."""


def bytes_at(crf: float, made: Mapping[float, bytes]) -> int:
    """What all of it comes to at ``crf``, by the nearest that was made; at least one was."""
    nearest = min(made, key=lambda other: abs(other - crf))
    return round(len(made[nearest]) * 2 ** ((nearest - crf) / _crf_for_half(made)))


def _crf_for_half(made: Mapping[float, bytes]) -> float:
    """What halves the bytes of this clip, by the two finest that were made."""
    if len(made) < 2:
        return _CRF_FOR_HALF
    finer, coarser = sorted(made)[:2]
    halvings = math.log2(len(made[finer]) / len(made[coarser]))
    least, most = _LEAST_FOR_HALF, _MOST_FOR_HALF
    return min(max(least, (coarser - finer) / halvings), most) if halvings > 0 else most


def _crf_for(max_bytes: int, made_bytes: int, crf: float, crf_for_half: float = _CRF_FOR_HALF) -> float:
    """What should come to ``max_bytes`` where ``crf`` came to ``made_bytes``."""
    return crf + crf_for_half * math.log2(made_bytes / (max_bytes * _AIM))


def first_crf(max_bytes: int, plenty_bytes: int) -> float:
    """Where to begin, if the coarsest comes to ``plenty_bytes``."""
    return min(max(FINEST_CRF, _crf_for(max_bytes, plenty_bytes, COARSEST_CRF)), COARSEST_CRF)


def next_crf(made: Mapping[float, bytes], max_bytes: int, again: bool) -> float | None:
    """What should fill ``max_bytes`` after what was ``made`` at other CRF; ``None``: nothing that is much better.

    What is too large by far is tried again only where two passes could not fill the bytes (``again``).
    """
    half = _crf_for_half(made)
    too_large = [crf for crf, data in made.items() if len(data) > max_bytes]
    small_enough = [crf for crf, data in made.items() if len(data) <= max_bytes]
    if not small_enough:
        crf = max(too_large)
        wanted = _crf_for(max_bytes, len(made[crf]), crf, half)
        is_worth_it = crf < COARSEST_CRF and (again or wanted <= _TWO_PASSES_CRF)
        return min(wanted, COARSEST_CRF) if is_worth_it else None
    crf = min(small_enough)
    if too_large:
        finer = max(too_large)
        half = (crf - finer) / math.log2(len(made[finer]) / len(made[crf]))
    wanted = max(_crf_for(max_bytes, len(made[crf]), crf, half), FINEST_CRF)
    return wanted if crf - wanted >= _SAME_CRF else None
