"""The web page: what the phone shows, and what the gateway saw.

Comes in: exchanges, pushes, faults. Goes out: HTML and the same as JSON values. Never: a character of a message
that is not escaped; the templates escape everything, and no style or script stands in the page itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

from mmsprep.formats import FORMATS
from mmsprep.handset import (
    OpenedPart,
    handset_names,
    load_handset,
    load_shares,
    look_at,
    phones_page,
    render_all,
    scene_of,
)
from mmsprep.mm7.status import STATUSES, status_of
from mmsprep.printable import printable
from mmsprep.sandbox.exchange import MESSAGE_LIMIT_BYTES, Door, Exchange, ShownPart, Submission
from mmsprep.sandbox.faults import Fault, Trouble
from mmsprep.sandbox.notices import Course, Notification, sent_in
from mmsprep.sandbox.playback import sources
from mmsprep.sandbox.push import HandsetMessage, PushDelivery
from mmsprep.settings import Settings

_SLIDE_S = 5.0
_SHOWN_CHARACTERS = 30_000
_SEARCHED_CHARACTERS = 2_000
_LONG_RUN = re.compile(r"[^\s&=<>]{160,}")
_BASE64_LINES = re.compile(r"(?:^[A-Za-z0-9+/]{60,}\n){3,}^[A-Za-z0-9+/]*={0,2}$", re.M)


def _shown(value: Any) -> Any:
    """What a template puts into the page: text of messages without what turns or hides its neighbours."""
    return printable(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value


_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("mmsprep.sandbox"),
    autoescape=True,
    finalize=_shown,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the whole page needs beside the exchanges: where the doors are, and who may enter.

    ``password`` is for the example, so it stands for itself only where it is no secret.
    """

    url: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the size bar, in thousandths of the limit."""

    kind: str
    label: str
    start: float
    width: float


def full_page(
    surroundings: Surroundings,
    exchanges: Sequence[Exchange],
    seen: int,
    selected: Exchange | None,
    deliveries: Sequence[PushDelivery],
    faults: Sequence[Fault],
    raw: bytes,
) -> str:
    """The page with its list and one exchange."""
    return _templates.get_template("page.html").render(
        surroundings=surroundings,
        inbox=inbox(exchanges, seen, selected.number if selected else None, faults),
        panel=panel(selected, deliveries, raw) if selected else empty(surroundings),
        selected=selected,
    )


def inbox(exchanges: Sequence[Exchange], seen: int, selected: int | None, faults: Sequence[Fault]) -> Markup:
    """The list of exchanges, newest first, of so many that were ``seen``, and the faults that wait."""
    return _render(
        "inbox.html",
        exchanges=list(reversed(exchanges)),
        seen=seen,
        selected=selected,
        faults=faults,
        troubles=[trouble.value for trouble in Trouble if trouble is not Trouble.DELAY],
        statuses=[status for status in STATUSES.values() if status.code != 1000],
    )


def panel(exchange: Exchange, deliveries: Sequence[PushDelivery], raw: bytes) -> Markup:
    """One exchange: the handset, and the gateway's side of it."""
    submission = exchange.judgement.submission
    return _render(
        "panel.html",
        exchange=exchange,
        judgement=exchange.judgement,
        status=status_of(exchange.judgement.status_code),
        submission=submission,
        segments=segments(submission.content.parts, submission.content.total_bytes) if submission else [],
        replies=replies(exchange, deliveries),
        notices=notices(exchange, deliveries),
        sent=sent_in(exchange) if submission else None,
        courses=list(Course),
        # A form has no line ends; one field a line can be read.
        raw=readable(raw.replace(b"&", b"\n&") if exchange.door is Door.FORM else raw),
        answer=readable(exchange.answer.body) if exchange.answer else "",
    )


def phones(
    submission: Submission, bodies: Sequence[bytes], years: Sequence[str], settings: Settings, *, title: str
) -> str:
    """A message as phones of ``years`` present it: a page of its own. Blocks while its parts are decoded.

    Raises:
        ToolError: ffmpeg is missing.
    """
    content = submission.content
    names: list[str] = []
    for part in content.parts:
        names.append(part.name if part.name not in names else f"{len(names) + 1}-{part.name}")
    parts = [
        OpenedPart(name, body, part.content_type) for name, body, part in zip(names, bodies, content.parts, strict=True)
    ]
    slides = [(tuple(names[place] for place in slide.parts), slide.duration_s or _SLIDE_S) for slide in content.slides]
    items = look_at(parts, settings)
    scenes = [
        scene_of(items, slides, load_handset(year), subject=submission.subject, total_bytes=content.total_bytes)
        for year in years
    ]
    return phones_page([(scene, render_all(scene, settings)) for scene in scenes], load_shares(), title=title)


def replies(exchange: Exchange, deliveries: Sequence[PushDelivery]) -> Markup:
    """What the handset of an exchange has answered."""
    submission = exchange.judgement.submission
    number = submission.number if submission else None
    return _render(
        "replies.html",
        deliveries=[
            one for one in deliveries if isinstance(one.pushed, HandsetMessage) and one.pushed.sender == number
        ],
    )


def notices(exchange: Exchange, deliveries: Sequence[PushDelivery]) -> Markup:
    """What the customer was told of an exchange's message."""
    about = exchange.judgement.message_id
    told = [one for one in deliveries if isinstance(one.pushed, Notification) and about and one.pushed.about == about]
    return _render("notices.html", deliveries=told)


def empty(surroundings: Surroundings) -> Markup:
    """What stands there before the first message."""
    return _render("empty.html", surroundings=surroundings)


def segments(parts: Sequence[ShownPart], total_bytes: int) -> list[Segment]:
    """The size bar: each part's data, then all that is not a part's data."""
    pieces = [(part.kind.value, part.name, part.size_bytes) for part in parts]
    pieces.append(("overhead", "presentation and headers", total_bytes - sum(part.size_bytes for part in parts)))
    found, start = [], 0.0
    for kind, name, size_bytes in pieces:
        width = size_bytes * 1000 / MESSAGE_LIMIT_BYTES
        found.append(Segment(kind, f"{name}: {size_bytes:,} bytes", start, width))
        start += width
    return found


def readable(raw: bytes) -> str:
    """A body for people: binary data and endless runs of base64 are counted in place of shown."""
    lines: list[str] = []
    skipped_bytes = 0
    for line in raw.split(b"\n"):
        text = _text(line)
        if text is None or (skipped_bytes and not line.startswith(b"--")):
            skipped_bytes += len(line) + 1
            continue
        if skipped_bytes:
            lines.append(f"[{skipped_bytes:,} bytes of binary data]")
            skipped_bytes = 0
        lines.append(_LONG_RUN.sub(_shortened, text))
    if skipped_bytes:
        lines.append(f"[{skipped_bytes:,} bytes of binary data]")
    shown = _BASE64_LINES.sub(lambda run: f"[{len(run[0]):,} characters of base64]", "\n".join(lines))
    more = len(shown) - _SHOWN_CHARACTERS
    return shown if more <= 0 else f"{shown[:_SHOWN_CHARACTERS]}\n[{more:,} more characters]"


def document(exchange: Exchange) -> dict[str, Any]:
    """One exchange as ``GET /sandbox/messages`` tells it; keys are only ever added."""
    judgement, submission = exchange.judgement, exchange.judgement.submission
    content = submission.content if submission else None
    return {
        "number": exchange.number,
        "at": exchange.at.isoformat(),
        "door": exchange.door.value,
        "accepted": judgement.accepted,
        "status_code": judgement.status_code,
        "reason": judgement.reason,
        "message_id": judgement.message_id,
        "transaction_id": judgement.transaction_id,
        "fault": exchange.fault,
        "http_status": exchange.answer.http_status if exchange.answer else None,
        "request_bytes": exchange.request_bytes,
        "to": submission.number if submission else "",
        "from": submission.sender if submission else "",
        "subject": submission.subject if submission else "",
        "total_bytes": content.total_bytes if content else 0,
        "parts": [
            {
                "name": part.name,
                "content_type": part.content_type,
                "format": part.format,
                "kind": part.kind.value,
                "size_bytes": part.size_bytes,
                "text": part.text,
            }
            for part in (content.parts if content else ())
        ],
        "slides": [
            {"parts": list(slide.parts), "duration_s": slide.duration_s}
            for slide in (content.slides if content else ())
        ],
        "remarks": list(content.remarks) if content else [],
    }


def _render(name: str, **values: Any) -> Markup:
    # What comes from messages was escaped by the template.
    return Markup(_templates.get_template(name).render(**values))  # noqa: S704


def _text(line: bytes) -> str | None:
    try:
        text = line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        return None
    return None if re.search("[\x00-\x08\x0b-\x1f\x7f]", text) else text


def _shortened(run: re.Match[str]) -> str:
    return f"{run[0][:60]} … [{len(run[0]) - 60:,} more characters]"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1000:,.1f} kB" if size_bytes >= 1000 else f"{size_bytes} bytes"


def _snippet(exchange: Exchange) -> str:
    submission = exchange.judgement.submission
    if not submission:
        return exchange.judgement.reason or exchange.fault
    texts = [submission.subject, *(part.text for part in submission.content.parts if part.text)]
    names = ", ".join(part.name for part in submission.content.parts)
    return next((" ".join(text.split()) for text in texts if text.strip()), names)


def _title(part: ShownPart) -> str:
    return FORMATS[part.format].title


def _searched(exchange: Exchange) -> str:
    """All words by which people look for a request, in small letters."""
    judgement = exchange.judgement
    words = [judgement.message_id, str(judgement.status_code), judgement.reason, str(exchange.fault or "")]
    submission = judgement.submission
    if submission:
        words += [submission.number, submission.sender, submission.subject]
        for part in submission.content.parts:
            words += [part.name, part.content_type, part.text[:_SEARCHED_CHARACTERS]]
    return " ".join(words).lower()


_templates.filters.update(size=_size, snippet=_snippet, searched=_searched, title_of=_title, sources=sources)
_templates.globals.update(limit_bytes=MESSAGE_LIMIT_BYTES, phones=handset_names())
