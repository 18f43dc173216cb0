"""What the first bytes of a file say it is.

Comes in: a file's content. Goes out: the slug of a format. Never: anything that a name or a declared type says.

Every format's row says how it is recognised; magic of two bytes counts only with a sound header behind it. The
``filetype`` package knows archives and fonts.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from mmsprep.formats.content import Content
from mmsprep.formats.registry import START_BYTES, Family, Format, by_look, by_magic


def recognised(content: Content) -> str | None:
    """The format that magic or a sound header names, ``None``: there is none.

    Raises:
        AttachmentError: a family's closer look says that it must not be opened, or is none of its formats.
    """
    head = content.head
    for start in (head[:START_BYTES], b""):
        for magic, entry in by_magic(start):
            if all(head[at : at + len(letters)] == letters for at, letters in magic):
                return _slug(content, entry)
    return next((_slug(content, entry) for looks_like, entry in by_look() if looks_like(content)), None)


def _slug(content: Content, entry: Format | Family) -> str:
    return entry.refine(content) if isinstance(entry, Family) else entry.slug


def foreign_format(content: Content) -> str | None:
    """``archive``, ``font`` or ``office`` if one of filetype's own matchers knows the file."""
    import filetype

    for family, matchers in _theirs().items():
        if filetype.match(content.head, matchers=matchers):
            return family
    return None


@cache
def _theirs() -> dict[str, list[Any]]:
    """The matchers of ``filetype``, which takes its time to load and is seldom asked."""
    from filetype.types import archive, document, font

    return {
        "archive": [
            kind()
            for kind in (
                *(archive.Tar, archive.Rar, archive.Gz, archive.Bz2, archive.SevenZ, archive.Xz, archive.Z),
                *(archive.Zstd, archive.Lz, archive.Lz4, archive.Lzop, archive.Br, archive.Cab, archive.Ar),
                *(archive.Rpm, archive.Crx),
            )
        ],
        "font": [kind() for kind in (font.Ttf, font.Otf, font.Woff, font.Woff2, archive.Eot)],
        "office": [kind() for kind in (document.Doc, document.Xls, document.Ppt)],
    }
