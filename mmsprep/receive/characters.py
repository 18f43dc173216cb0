"""Text as it was pushed, in whatever encoding, made into characters that every store can hold.

Comes in: bytes and the charset that somebody declared. Goes out: a string. Never: an error; text in no
known encoding still comes out, byte by byte.
"""

from __future__ import annotations

import codecs

from mmsprep.formats import text as plaintext

_UNFIT_CODECS = frozenset(("idna", "punycode", "unicode_escape", "raw-unicode-escape", "undefined", "mbcs", "oem"))
"""Codecs of Python that are no encodings of text, or take quadratic time on a stranger's bytes."""


def characters_of(raw: bytes, declared: str = "") -> str:
    """Decode ``raw``: as declared if that works, else UTF-8, else what it looks most like, else Latin-1.

    NUL and lone surrogates, which databases refuse, come out as U+FFFD.
    """
    text = _declared(raw, declared)
    if text is None:
        text = _declared(raw, "utf-8")
    if text is None:
        guessed = plaintext.decode(raw)
        text = guessed[0] if guessed else raw.decode("latin-1")
    return storable(text)


def storable(text: str) -> str:
    """``text`` without what databases refuse."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _declared(raw: bytes, charset: str) -> str | None:
    try:
        codec = codecs.lookup(charset.strip().strip("'\"") or "utf-8")
        return None if codec.name in _UNFIT_CODECS or not charset.strip() else raw.decode(codec.name)
    except (LookupError, ValueError):
        return None
