"""All of a clip at a constant quality: which one fills the bytes, going by what was made so far.

Comes in: encodes at other CRF, the bytes allowed. Goes out: the CRF to try next. Never: an encode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

FINEST_CRF, COARSEST_CRF = 16.0, 20.0
"""x264's CRF: the finest and the coarsest that count as hard to tell from the source."""
_CRF_FOR_HALF = 6.0
"""What halves the bytes of most clips."""
_SAME_CRF, _AIM = 0.7, 0.96
"""Of CRF: what is this near to what is wanted is kept; the share of the bytes that is aimed at."""


def bytes_at(crf: float, made: Mapping[float, bytes]) -> int:
    """What all of it comes to at ``crf``, by the nearest that was made; at least one was."""
    nearest = min(made, key=lambda other: abs(other - crf))
    return round(len(made[nearest]) * 2 ** ((nearest - crf) / _CRF_FOR_HALF))


def _crf_for(max_bytes: int, made_bytes: int, crf: float) -> float:
    """What should come to ``max_bytes`` where ``crf`` came to ``made_bytes``."""
    return crf + _CRF_FOR_HALF * math.log2(made_bytes / (max_bytes * _AIM))


def first_crf(max_bytes: int, plenty_bytes: int) -> float:
    """Where to begin, if the coarsest comes to ``plenty_bytes``."""
    return min(max(FINEST_CRF, _crf_for(max_bytes, plenty_bytes, COARSEST_CRF)), COARSEST_CRF)


def next_crf(made: Mapping[float, bytes], max_bytes: int, again: bool) -> float | None:
    """What should fill ``max_bytes`` after what was ``made`` at other CRF; ``None``: nothing that is much better.

    What is too large by far is tried at the coarsest only ``again``: grain halves in three steps, pictures in six.
    """
    too_large = [(crf, len(data)) for crf, data in made.items() if len(data) > max_bytes]
    small_enough = [(crf, len(data)) for crf, data in made.items() if len(data) <= max_bytes]
    if not small_enough:
        crf, size_bytes = max(too_large)
        wanted = _crf_for(max_bytes, size_bytes, crf)
        is_worth_it = crf < COARSEST_CRF and (again or wanted <= COARSEST_CRF)
        return min(wanted, COARSEST_CRF) if is_worth_it else None
    crf, size_bytes = min(small_enough)
    if too_large:
        finer, more_bytes = max(too_large)
        part = math.log(more_bytes / (max_bytes * _AIM)) / math.log(more_bytes / size_bytes)
        wanted = finer + (crf - finer) * part
    else:
        wanted = max(_crf_for(max_bytes, size_bytes, crf), FINEST_CRF)
    return wanted if crf - wanted >= _SAME_CRF else None
