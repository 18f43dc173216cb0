"""What ffmpeg complains of, in words for whoever sent the file.

Comes in: its last words about a file, or the error that they became. Goes out: what is wrong with the file. Never: a
name, a number or a status that only ffmpeg's own programmers know.
"""

from __future__ import annotations

import re

_MEANINGS = (
    (r"moov atom not found", "its index is missing, as where a recording or a copy of it was broken off"),
    (
        r"received no packets|matches no streams|not contain any stream|output file is empty|no (?:frame|packet)s?\b",
        "nothing in it can be read as what it says it is",
    ),
    (
        r"patches welcome|not (?:yet )?(?:implemented|supported)|unsupported",
        "it uses parts of its format that nothing here reads",
    ),
    (r"truncat|end of file|partial file|incomplete|premature|too (?:short|small)", "some of it is missing"),
    (r"ended by SIG", "what decodes it broke down over it"),
)
_OTHERWISE = "part of its data makes no sense"


def in_words(complaint: str) -> str:
    """What ``complaint`` says of a file, to follow "does not decode: "; "" where there is none."""
    if not complaint:
        return ""
    return next((words for told, words in _MEANINGS if re.search(told, complaint, re.IGNORECASE)), _OTHERWISE)
