"""The shelf of formats: one row each, laid there by the file that knows the format.

Comes in: rows. Goes out: :data:`FORMATS`, slug to :class:`Format`, and how each is recognised. Never: what a network
accepts (profiles know), or a look at content.

A module of this package that calls :func:`register` is a format; the first question about all of them loads them, one
about a format that is sent or made often loads that one alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from pkgutil import iter_modules
from threading import RLock
from typing import Any

from mmsprep.formats.content import Content
from mmsprep.formats.findings import Sound, Structure
from mmsprep.model import Kind, MediaInfo

Magic = tuple[tuple[int, bytes], ...]
"""Bytes that stand at fixed places, all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Content that looks alike from outside, and may be one of several formats: ``refine`` names it.

    ``refine`` raises an error of ours about content that must not be opened, or is none of them.
    """

    refine: Callable[[Content], str]
    magics: tuple[Magic, ...] = ()
    looks_like: Callable[[Content], bool] | None = None
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its slug, how people call it, its canonical MIME type and file extension, and what can be done.

    ``kind`` is ``None`` for what is never sent; ``advice`` then says what to do instead. ``demuxer`` is the ffmpeg
    demuxer that is forced on it, ``None`` where ffmpeg does not read it; ``indexed``: it says where each frame lies. A
    picture's ``decoder`` is where what opens it is, as ``module:name``; that is loaded when one comes. ``also_named``
    are further extensions that people give such files, with blanks between them.

    Recognised: by one of ``magics``; where no magic is sure, ``looks_like`` is asked, in the order of ``rank``, the
    surest first; a text by a pattern of ``text_starts``. None of them: a family, or what is in a container, decides;
    ``sound_only`` and ``with_pictures`` are what it is called when there is only sound in it, or pictures after all,
    which ``has_pictures`` tells by the container's headers.

    Walked: ``structure`` reads how a picture is put together; ``read`` tells all facts by itself; ``codec`` is the one
    kind of sound in what MediaInfo reads wrongly; else MediaInfo reads the facts, ``amend`` corrects them, and
    ``read_alone`` tells what there is where MediaInfo finds nothing.
    ``known_end`` is where it ends by its own word; ``counted``: what it says of its time is no evidence.
    ``animated``: its frames are shown one after another; ``melody``: it holds notes, which every phone plays with
    instruments of its own.

    Stripped: ``strip`` makes of it the same media without anything else, ``is_surely_over`` tells by a look at little
    of it that these are more than so many bytes; ``remuxed``: ffmpeg repackages it without encoding it.

    Read back: ``read_exactly`` accounts for every byte of a recording, and raises ValueError about one too many.
    """

    slug: str
    title: str
    kind: Kind | None
    content_type: str
    extension: str
    demuxer: str | None = None
    also_named: str = ""
    magics: tuple[Magic, ...] = ()
    looks_like: Callable[[Content], bool] | None = None
    rank: int = 0
    text_starts: tuple[str, ...] = ()
    decoder: str = ""
    indexed: bool = False
    counted: bool = False
    sound_only: str = ""
    with_pictures: str = ""
    has_pictures: Callable[[Content], bool] | None = None
    structure: Callable[[Content, Structure, int], None] | None = None
    read: Callable[[Content], MediaInfo] | None = None
    read_alone: Callable[[Content], MediaInfo | None] | None = None
    amend: Callable[[Content, MediaInfo], MediaInfo] | None = None
    codec: str = ""
    known_end: Callable[[Content], int | None] | None = None
    animated: bool = False
    melody: bool = False
    strip: Callable[[Content], bytes] | None = None
    is_surely_over: Callable[[Content, int], bool] | None = None
    remuxed: bool = False
    read_exactly: Callable[[bytes], Sound] | None = None
    advice: str = ""

    @property
    def is_timed(self) -> bool:
        """Whether it can be a recording or clip, of which some seconds can be chosen."""
        return self.kind in (Kind.AUDIO, Kind.VIDEO) and (self.demuxer is not None or self.slug == "evrc")

    @property
    def extensions(self) -> frozenset[str]:
        """Every extension that is honest for this format, in small letters, without the dot."""
        return frozenset((self.extension, *self.also_named.split()))

    @property
    def rewraps(self) -> bool:
        """Whether its packaging can be renewed without encoding anything anew."""
        return self.strip is not None or self.remuxed


START_BYTES = 3
_HOMES = {
    slug: module
    for module, slugs in (
        *(("jpeg", "jpeg"), ("png", "png"), ("gif", "gif"), ("movies", "heic mp4 mov 3gp m4a"), ("webp", "webp")),
        *(("mp3", "mp3"), ("ogg", "ogg"), ("aac", "aac"), ("amr", "amr"), ("wav", "wav"), ("midi", "midi")),
        *(("text", "text"), ("bmp", "bmp"), ("wbmp", "wbmp"), ("emelody", "emelody"), ("imelody", "imelody")),
        *(("evrc", "evrc"), ("qcp", "qcp"), ("mpeg_ts", "mpeg-ts"), ("rows", "mpeg-ps mpeg-video")),
    )
    for slug in slugs.split()
}
"""Where the formats are that people send most or that tables name, the most usual first. All modules take 25 ms to
load, and twice that where a worker does, too; a format need not stand here."""
_STARTS = {b"\xff\xd8\xff": "jpeg", b"\x89PN": "png", b"GIF": "gif"}
"""First bytes that say of the content of most messages what it is; no other format's magic begins with them."""
_KINDS = (*Kind, None)
_LOCK = RLock()
_ROWS: dict[str, Format] = {}
_FAMILIES: list[Family] = []
_filled_once = False


def register(entry: Format | Family) -> None:
    """Lay a format, or a family of some, on the shelf; a format with a slug that is there takes its place."""
    if isinstance(entry, Family):
        _FAMILIES.append(entry)
    else:
        _ROWS[entry.slug] = entry
    _forget()


def remove(slug: str) -> None:
    """Take a format off the shelf."""
    del _filled()[slug]
    _forget()


def _forget() -> None:
    for remembered in (_by_start, by_look, by_text):
        remembered.cache_clear()


class _Shelf(Mapping[str, Format]):
    """Slug to format, kind by kind."""

    def __getitem__(self, slug: str) -> Format:
        if slug not in _ROWS and _is_at_home(slug):
            _bring(slug)
        return _ROWS[slug] if slug in _ROWS else _filled()[slug]

    def __contains__(self, slug: object) -> bool:
        return slug in _ROWS or _is_at_home(slug) or slug in _filled()

    def __iter__(self) -> Iterator[str]:
        rows = _filled()
        return iter(sorted(rows, key=lambda slug: (_KINDS.index(rows[slug].kind), slug)))

    def __len__(self) -> int:
        return len(_filled())


def _is_at_home(slug: object) -> bool:
    """Whether a format is not on the shelf yet, and it is known where it is."""
    return not _filled_once and slug in _HOMES


def _bring(slug: str) -> None:
    """Lay a format on the shelf, from where it is known to be."""
    import_module(f"{__package__}.{_HOMES[slug]}")


def _filled() -> dict[str, Format]:
    global _filled_once  # noqa: PLW0603
    with _LOCK:
        if not _filled_once:
            for module in iter_modules([str(Path(__file__).parent)]):
                import_module(f"{__package__}.{module.name}")
            _filled_once = True
    return _ROWS


FORMATS: Mapping[str, Format] = _Shelf()


def named(extension: str) -> Format | None:
    """A format that files with this extension (in small letters, without the dot) are likely to be of."""
    entries = (FORMATS[slug] for slug in chain(_HOMES, FORMATS))
    return next((entry for entry in entries if extension in entry.extensions), None)


def _recognisable() -> list[Format | Family]:
    return [*sorted(_filled().values(), key=lambda entry: entry.slug), *_FAMILIES]


def by_magic(start: bytes) -> Sequence[tuple[Magic, Format | Family]]:
    """Magics of files that begin with these :data:`START_BYTES`, with what they mean; for no bytes, those that say
    nothing of them. One that says more goes before one that says less."""
    if start in _STARTS and _is_at_home(_STARTS[start]):
        _bring(_STARTS[start])
        # What was registered meanwhile may say more.
        return _shelved([*_ROWS.values(), *_FAMILIES])[start]
    return _by_start().get(start, ())


@cache
def _by_start() -> dict[bytes, list[tuple[Magic, Format | Family]]]:
    return _shelved(_recognisable())


def _shelved(entries: Sequence[Format | Family]) -> dict[bytes, list[tuple[Magic, Format | Family]]]:
    found = [(magic, entry) for entry in entries for magic in entry.magics]
    shelf: dict[bytes, list[tuple[Magic, Format | Family]]] = {}
    for magic, entry in sorted(found, key=lambda one: -sum(len(letters) for _, letters in one[0])):
        at, letters = magic[0]
        start = letters[:START_BYTES] if at == 0 and len(letters) >= START_BYTES else b""
        shelf.setdefault(start, []).append((magic, entry))
    return shelf


@cache
def by_look() -> tuple[tuple[Callable[[Content], bool], Format | Family], ...]:
    """What tells formats without a sure magic, the surest first."""
    entries = sorted(_recognisable(), key=lambda entry: entry.rank)
    return tuple((entry.looks_like, entry) for entry in entries if entry.looks_like is not None)


@cache
def by_text() -> tuple[tuple[re.Pattern[str], str], ...]:
    """How texts begin that are more than plain ones, and what they are, the surest first."""
    entries = sorted(_filled().values(), key=lambda entry: (entry.rank, entry.slug))
    flags = re.IGNORECASE | re.MULTILINE
    return tuple((re.compile(start, flags), entry.slug) for entry in entries for start in entry.text_starts)


def by_its_streams(content: Content, entry: Format) -> Format:
    """The format that a file is by what its container says it holds: sound alone has another name than pictures."""
    if not entry.has_pictures:
        return entry
    return FORMATS[(entry.with_pictures if entry.has_pictures(content) else entry.sound_only) or entry.slug]


def lacking(missing_bytes: int) -> tuple[str, ...]:
    """What is to be told of a file that is played without its last bytes."""
    return (f"lacks the last {missing_bytes:,} bytes",) if missing_bytes > 0 else ()


def described(content: Content, slug: str, **facts: Any) -> MediaInfo:
    """The facts about content of the format ``slug``; ``facts`` are more fields of :class:`MediaInfo`."""
    entry = FORMATS[slug]
    return MediaInfo(
        format=slug,
        kind=entry.kind or Kind.TEXT,
        content_type=entry.content_type,
        size_bytes=content.size_bytes,
        **facts,
    )
