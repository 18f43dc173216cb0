"""A message as one phone presents it: its slides in their time, or all parts at once.

Comes in: parts, the presentation, a phone. Goes out: a :class:`Scene`. Never: bytes changed (``render.py`` does).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from xml.etree import ElementTree

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from mmsprep.errors import MmsprepError
from mmsprep.handset.judge import Showing, Verdict, judge
from mmsprep.handset.model import Handset
from mmsprep.handset.opened import OpenedPart
from mmsprep.model import Attachment, Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.sniff import sniff
from mmsprep.tools.workspace import Workspace

_SLIDE_S = 5.0
_MOST_SLIDES = 100
_MEDIA_TAGS = ("img", "video", "audio", "text", "ref")


@dataclass(frozen=True, slots=True)
class Item:
    """One part of a message: its name and bytes, and what it really is (``None``: nobody knows)."""

    name: str
    attachment: Attachment
    info: MediaInfo | None
    also_called: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What a text says; empty for anything else."""
        if self.info is None or self.info.kind is not Kind.TEXT or self.attachment.data is None:
            return ""
        return self.attachment.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Shown:
    """One part as the phone shows it."""

    item: Item
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SceneSlide:
    """What is on the screen together; ``duration_s`` is ``None`` where it stays."""

    shown: tuple[Shown, ...]
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A message on a phone. ``is_fetched`` false: it is larger than the phone takes, and nothing of it is seen."""

    handset: Handset
    subject: str
    total_bytes: int
    is_fetched: bool
    slides: tuple[SceneSlide, ...]

    @property
    def parts(self) -> tuple[Shown, ...]:
        """Every part once, in the order in which it is seen."""
        return tuple({shown.item.name: shown for slide in self.slides for shown in slide.shown}.values())


def look_at(parts: Sequence[OpenedPart], settings: Settings) -> tuple[Item, ...]:
    """What each part of a message really is, whatever its name and type say; what is declared a text is shown as one.

    Args:
        parts: those of a message, without the presentation; each has a name of its own.
        settings: limits of this machine.
    """
    items = []
    with Workspace(settings) as workspace:
        for index, part in enumerate(parts):
            attachment = Attachment(index, part.name, len(part.data), data=part.data)
            info: MediaInfo | None = None
            if part.declared_type == "text/plain":
                info = MediaInfo(format="text", kind=Kind.TEXT, content_type="text/plain", size_bytes=len(part.data))
            else:
                with suppress(MmsprepError):
                    info = sniff(attachment, settings, workspace)
            items.append(Item(part.name, attachment, info, part.also_called))
    return tuple(items)


def scene_of(
    items: Sequence[Item],
    slides: Sequence[tuple[tuple[str, ...], float]],
    handset: Handset,
    *,
    subject: str = "",
    total_bytes: int = 0,
) -> Scene:
    """Lay a message out as ``handset`` does.

    Args:
        items: the parts, from :func:`look_at`.
        slides: of the presentation, from :func:`read_slides`; what none of them shows stands by itself.
        handset: the phone.
        subject: the message's.
        total_bytes: of the whole message.
    """
    shown = {item.name: Shown(item, _judged(item, handset)) for item in items}
    called = {name: shown[item.name] for item in reversed(items) for name in (*item.also_called, item.name)}
    laid_out = [
        SceneSlide(tuple(dict.fromkeys(called[name] for name in names if name in called)), duration_s)
        for names, duration_s in slides
    ]
    seen = {one.item.name for slide in laid_out for one in slide.shown}
    laid_out += [SceneSlide((shown[item.name],), _SLIDE_S) for item in items if item.name not in seen]
    laid_out = [slide for slide in laid_out if slide.shown]
    if handset.message.presentation == "thread":
        laid_out = [SceneSlide(tuple(sorted(shown.values(), key=_thread_order)))]
    return Scene(handset, subject, total_bytes, total_bytes <= handset.message.limit_bytes, tuple(laid_out))


def _judged(item: Item, handset: Handset) -> Verdict:
    if item.info is None:
        return Verdict(Showing.UNSUPPORTED, "it is of no type that is known", "", ())
    return judge(item.info, handset)


def _thread_order(shown: Shown) -> int:
    """Clips and sound, then pictures, then text, as Android's Messaging application stacks them."""
    info = shown.item.info
    return {Kind.VIDEO: 0, Kind.AUDIO: 1, Kind.IMAGE: 2, Kind.TEXT: 3}[info.kind] if info else 1


def read_slides(smil: bytes) -> list[tuple[tuple[str, ...], float]]:
    """The slides of a presentation: names of parts from top to bottom, and seconds; none where it cannot be read."""
    try:
        root: ElementTree.Element = SafeElementTree.fromstring(smil, forbid_dtd=False)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError):
        return []
    tops = {one.get("id", ""): _number(one.get("top", "")) for one in root.iter() if _local(one.tag) == "region"}
    body = next((one for one in root if _local(one.tag) == "body"), None)
    steps = [one for one in (body.iter() if body is not None else ()) if _local(one.tag) == "par"]
    slides = []
    for step in steps[:_MOST_SLIDES]:
        media = [one for one in step.iter() if _local(one.tag) in _MEDIA_TAGS]
        # Sound has no region; what stands higher on the screen comes first.
        media.sort(key=lambda one: tops.get(one.get("region", ""), 101.0))
        names = tuple(one.get("src", "").removeprefix("cid:") for one in media)
        slides.append((names, _seconds(step.get("dur", "")) or _SLIDE_S))
    return slides


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _number(text: str) -> float:
    found = re.match(r"[0-9]+(\.[0-9]+)?", text)
    return float(found[0]) if found else 0.0


def _seconds(duration: str) -> float | None:
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]+)?)(ms|s|min)?", duration.strip())
    return float(found[1]) * {"ms": 0.001, "min": 60.0}.get(found[2], 1.0) if found else None
