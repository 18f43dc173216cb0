"""The message: parts in order, their names, the presentation, the exact size.

Comes in: finished parts, text, subject. Goes out: a :class:`Message` and its bytes as MIME carries them.
Never: an encoding decision, or anything about a gateway.

What counts against a limit is the whole message as operators count it: media, text, subject, SMIL and the
headers of every part, in binary (base64 is a matter of transport).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any
from xml.etree import ElementTree

import msgspec

from mmsprep.errors import Altered, Unreadable
from mmsprep.formats import FORMATS
from mmsprep.message.document import document
from mmsprep.message.folder import REPORT_NAME, MessageFiles, read_part, read_report, write_folder, write_folders
from mmsprep.message.mime import Entity, build_related
from mmsprep.model import Kind, Part, PartReport, Rejection
from mmsprep.printable import json_text

TEXT_NAME = "text.txt"
TEXT_CONTENT_TYPE = "text/plain"
SMIL_NAME = "slides.smil"
SMIL_CONTENT_TYPE = "application/smil"
_SLIDE_S = 5.0
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A message that was planned but not encoded: sizes and qualities are predictions."""

    profile: str
    limit_bytes: int
    total_bytes: int
    overhead_bytes: int
    parts: tuple[PartReport, ...]
    text: str
    subject: str
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def predicted(self) -> bool:
        """Whether this is a prediction: always."""
        return True

    @property
    def sha256(self) -> None:
        """Nothing was encoded that could have a hash."""
        return None

    @property
    def picture_limit_px(self) -> None:
        """Nothing is to be sent yet."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One MMS, ready to send: every part verified, ``total_bytes`` never above ``limit_bytes``.

    ``total_bytes`` is the exact length of :meth:`mime`, subject included; ``overhead_bytes`` is all of it
    that is not a part's data: text, subject, SMIL and headers. ``picture_limit_px`` is the longest side that the
    profile gives a picture; 0 where nobody said.
    """

    profile: str
    limit_bytes: int
    parts: tuple[Part, ...]
    picture_limit_px: int = 0
    text: str = ""
    subject: str = ""
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def predicted(self) -> bool:
        """Whether this is a prediction: never."""
        return False

    @property
    def overhead_bytes(self) -> int:
        """What is not a part's data: text, subject, SMIL, headers, in bytes."""
        return overhead_bytes(self.parts, self.text, self.subject)

    @property
    def total_bytes(self) -> int:
        """Exact size of the whole message in bytes."""
        return self.size_bytes()

    def size_bytes(self, *, text_at_end: bool = False) -> int:
        """Exact length of :meth:`mime` in bytes, without building it."""
        overhead = overhead_bytes(self.parts, self.text, self.subject, text_at_end)
        return overhead + sum(len(part.data) for part in self.parts)

    @property
    def sha256(self) -> str:
        """What the recipient gets, as a hash: text, subject, and the parts in order with types and names."""
        parts = [
            [
                *(part.name, part.content_type, _sha256(part.data), list(part.shown_at or (place,))),
                *([part.shown_s] if part.shown_s else []),
            ]
            for place, part in enumerate(self.parts)
        ]
        content = json.dumps([self.text, self.subject, parts], separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def smil(self) -> bytes:
        """The presentation: one slide a picture or clip, sound and text with the picture before them."""
        return build_smil(self.parts, self.text)

    def mime(self, *, text_at_end: bool = False) -> bytes:
        """The message as a binary ``multipart/related`` with its subject before it."""
        bodies = [part.data for part in self.parts]
        return _mime(self.parts, bodies, self.text, self.subject, text_at_end)

    def content(self, *, text_at_end: bool = False) -> Entity:
        """Presentation, text and parts as one ``multipart/related`` entity, as MM7 carries it.

        ``text_at_end`` shows the message's own text on the last slide in place of the first.
        """
        return build_related(self.entities(text_at_end=text_at_end), SMIL_CONTENT_TYPE)

    def entities(self, *, text_at_end: bool = False) -> list[Entity]:
        """What :meth:`content` is made of: the presentation, then text and parts."""
        return _entities(self.parts, [part.data for part in self.parts], self.text, text_at_end)

    def write(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write the parts and ``message.json`` into ``folder``; see :func:`mmsprep.message.folder.write_folder`."""
        return write_folder(self.files(), Path(folder), _intact, overwrite=overwrite)

    def files(self) -> MessageFiles:
        """What the message's folder holds: its parts in order, then ``message.json``."""
        report = (json_text(document(self), indent=2) + "\n").encode()
        files = {part.name: part.data for part in self.parts} | {REPORT_NAME: report}
        return MessageFiles(files, self.sha256, tuple(part.source_name for part in self.parts))


def write_messages(messages: Sequence[Message], folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write one message into ``folder``, several into its subfolders: :func:`~mmsprep.message.folder.write_folders`."""
    return write_folders([message.files() for message in messages], folder, _intact, overwrite=overwrite)


def read_message(folder: str | Path) -> Message:
    """The message that :meth:`Message.write` put into ``folder``, every part checked against its hash.

    ``folder`` may be a link, what is in it may not.

    Raises:
        NotFound: there is no ``message.json``, or a part is missing.
        Unreadable: something cannot be read, or ``message.json`` is not a message's report.
        Altered: a part, the text, the subject or a type is not what was written.
    """
    folder = Path(folder)
    place = str(folder / REPORT_NAME)
    report = read_report(folder)
    try:
        message = _message_of(report, folder)
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(place, f"is not the report of a prepared message ({error}); prepare it again") from None
    if report.get("sha256") not in (None, message.sha256):
        raise Altered(place, "text, subject, names or types are not those that were prepared; prepare it again")
    if message.total_bytes > message.limit_bytes:
        raise Altered(
            place,
            f"the message has {message.total_bytes:,} bytes, its limit is {message.limit_bytes:,}; prepare it again",
        )
    return message


def _message_of(report: dict[str, Any], folder: Path) -> Message:
    parts = [part | {"source_name": part["source"]["path"], "data": b""} for part in report["parts"]]
    rejected = [entry | {"name": entry["path"]} for entry in report["rejected"]]
    message = msgspec.convert(report | {"parts": parts, "rejected": rejected}, Message)
    hashes = [part["sha256"] for part in report["parts"]]
    read = (
        replace(part, data=read_part(folder, part.name, part.size_bytes, sha256))
        for part, sha256 in zip(message.parts, hashes, strict=True)
    )
    return replace(message, parts=tuple(read))


def _intact(folder: Path) -> str:
    return read_message(folder).sha256


def overhead_bytes(parts: Sequence[PartReport], text: str, subject: str, text_at_end: bool = False) -> int:
    """Bytes that a message of these parts needs beyond the parts' own data."""
    words_bytes = len(text.encode()) + len(subject.encode())
    return words_bytes + _frame_bytes(tuple(parts), bool(text), bool(subject), text_at_end)


@lru_cache(maxsize=8)
def _frame_bytes(parts: tuple[PartReport, ...], has_text: bool, has_subject: bool, text_at_end: bool) -> int:
    """What stands around the parts and the words; the messages to several people share it."""
    text, subject = "x" * has_text, "x" * has_subject
    return len(_mime(parts, [b""] * len(parts), text, subject, text_at_end)) - len(text) - len(subject)


@lru_cache(maxsize=16)
def _sha256(data: bytes) -> str:
    """Of a part's data, which the messages to several people share."""
    return hashlib.sha256(data).hexdigest()


def labels(names: Mapping[int, str]) -> dict[int, str]:
    """What people call attachments of these names, by index: those that share one get their number, from 1."""
    count = Counter(names.values())
    return {index: f"{name} (attachment {index + 1})" if count[name] > 1 else name for index, name in names.items()}


def part_name(position: int, kind: Kind, format_slug: str, source_name: str | None) -> str:
    """A safe ASCII name that keeps the order, e.g. ``01-image.jpg``.

    ``source_name`` (asked for by the caller, otherwise ``None``: a name can tell on its owner) puts what is
    safe of the original name in place of the kind.
    """
    return numbered_name(position, kind, FORMATS[format_slug].extension, source_name)


def numbered_name(position: int, fallback: str, extension: str, source_name: str | None) -> str:
    """A safe ASCII name: the position, what is safe of ``source_name`` (or ``fallback``), the extension.

    It has no path, control character or name reserved by a system, and is unique where positions are.
    """
    stem = _safe_stem(source_name) if source_name else ""
    return f"{position:02d}-{stem or fallback}.{extension}"


def _safe_stem(source_name: str) -> str:
    stem = PurePath(source_name.replace("\\", "/")).stem
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", ascii_stem).strip("-")[:_NAME_LENGTH].strip("-")


def build_smil(parts: Sequence[PartReport], text: str, text_at_end: bool = False) -> bytes:
    """The SMIL presentation (the MMS subset of OMA-TS-MMS-CONF): layout, then slides in message order."""
    return _smil(tuple(parts), bool(text), text_at_end)


@lru_cache(maxsize=8)
def _smil(parts: tuple[PartReport, ...], has_text: bool, text_at_end: bool) -> bytes:
    """It names the text and does not hold it, so the messages to several people share it."""
    smil = ElementTree.Element("smil")
    layout = ElementTree.SubElement(ElementTree.SubElement(smil, "head"), "layout")
    width_px, height_px = _screen_px(parts)
    ElementTree.SubElement(layout, "root-layout", width=str(width_px), height=str(height_px))
    # A text at the start stands above the first picture, one at the end below the last.
    above = (("Text", "0%", "30%"), ("Image", "30%", "70%"))
    below = (("Image", "0%", "70%"), ("Text", "70%", "30%"))
    for region, top, height in above if has_text and not text_at_end else below:
        ElementTree.SubElement(layout, "region", id=region, top=top, left="0%", height=height, width="100%", fit="meet")
    body = ElementTree.SubElement(smil, "body")
    for slide in _slides(parts, has_text, text_at_end):
        paragraph = ElementTree.SubElement(body, "par", dur=f"{round(_slide_s(slide) * 1000)}ms")
        for tag, part in slide.items():
            region = {"text": "Text", "audio": ""}.get(tag, "Image")
            attributes = {"src": part.name if part else TEXT_NAME, **({"region": region} if region else {})}
            ElementTree.SubElement(paragraph, tag, attributes)
    return bytes(ElementTree.tostring(smil, encoding="utf-8"))


_SCREEN_PX = (320, 480)


def _screen_px(parts: Sequence[PartReport]) -> tuple[int, int]:
    """The root layout's size, which OMA-TS-MMS-CONF wants in pixels: the largest picture fits its region as it is."""
    width_px = max((part.width_px or 0 for part in parts), default=0)
    height_px = max((part.height_px or 0 for part in parts), default=0)
    return max(width_px, _SCREEN_PX[0]), max(math.ceil(height_px / 0.7), _SCREEN_PX[1])


_Slide = dict[str, PartReport | None]
"""SMIL tag to part; ``None`` stands for the message's own text."""


def _slide_s(slide: _Slide) -> float:
    """For how long a slide stands: as its parts say, else for as long as something plays on it, and not too short."""
    parts = [part for part in slide.values() if part]
    said = [part.shown_s for part in parts if part.shown_s]
    return max(said) if said else max([_SLIDE_S, *(part.duration_s or 0.0 for part in parts)])


def _slides(parts: Sequence[PartReport], has_text: bool, text_at_end: bool) -> list[_Slide]:
    """Group parts into slides: at most one picture or clip, one sound and one text on each."""
    slides: list[_Slide] = [{"text": None}] if has_text and not text_at_end else []
    for part in _in_order(parts):
        tag = {Kind.IMAGE: "img", Kind.VIDEO: "video", Kind.AUDIO: "audio", Kind.TEXT: "text"}[part.kind]
        last = slides[-1] if slides else {}
        joins = bool(slides) and tag not in last
        if tag in ("img", "video"):
            joins = joins and not ({"img", "video", "audio"} & last.keys())
        elif tag == "audio":
            joins = joins and "video" not in last
        if joins:
            last[tag] = part
        else:
            slides.append({tag: part})
    if has_text and text_at_end:
        if not slides or "text" in slides[-1]:
            slides.append({})
        slides[-1]["text"] = None
    return slides


def _in_order(parts: Sequence[PartReport]) -> list[PartReport]:
    """The parts as they are shown; one that stands for several attachments comes several times."""
    places = [(place, part) for index, part in enumerate(parts) for place in part.shown_at or (index,)]
    return [part for _, part in sorted(places, key=lambda entry: entry[0])]


def _mime(
    parts: Sequence[PartReport], bodies: Sequence[bytes], text: str, subject: str, text_at_end: bool = False
) -> bytes:
    content = build_related(_entities(parts, bodies, text, text_at_end), SMIL_CONTENT_TYPE)
    head = f"Subject: {subject}\r\n" if subject else ""
    return f"{head}Content-Type: {content.header('Content-Type')}\r\n\r\n".encode() + content.body


def _entities(parts: Sequence[PartReport], bodies: Sequence[bytes], text: str, text_at_end: bool) -> list[Entity]:
    entries = [(part.name, part.content_type, body) for part, body in zip(parts, bodies, strict=True)]
    if text:
        entries.insert(len(entries) if text_at_end else 0, (TEXT_NAME, TEXT_CONTENT_TYPE, text.encode()))
    entries.insert(0, (SMIL_NAME, SMIL_CONTENT_TYPE, build_smil(parts, text, text_at_end)))
    entities = []
    for name, content_type, body in entries:
        charset = "; charset=utf-8" if content_type.startswith(("text/", SMIL_CONTENT_TYPE)) else ""
        headers = (
            ("Content-Type", f'{content_type}{charset}; name="{name}"'),
            ("Content-ID", f"<{name}>"),
            ("Content-Location", name),
            ("Content-Transfer-Encoding", "binary"),
        )
        entities.append(Entity(headers, body))
    return entities
