"""A message on phones as one HTML page that needs nothing else.

Comes in: scenes, and what their parts look like there. Goes out: HTML. Never: a character of a message that is not
escaped, an address to load from, or a script but our own.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import resources

from mmsprep.formats import FORMATS
from mmsprep.handset.judge import Showing
from mmsprep.handset.model import Shares
from mmsprep.handset.scene import Scene, SceneSlide, Shown
from mmsprep.model import Kind
from mmsprep.printable import content_policy, html_page, html_text
from mmsprep.transcode.browser import Rendering

_WIDEST_CSS_PX = 360
_TALLEST_CSS_PX = 700
_LONGEST_TEXT = 20_000
YEARS_SHOWN = (2007, 2009, 2011, 2012, 2013, 2015)
_WORDS = {
    Showing.SHOWN: "shown",
    Showing.STILL: "stands still",
    Showing.SILENT: "without sound",
    Showing.NARROWBAND: "telephone sound",
    Showing.UNSUPPORTED: "not shown",
}


def _asset(name: str) -> str:
    return resources.files("mmsprep.handset").joinpath(name).read_text("utf-8")


_STYLE, _SCRIPT = _asset("phones.css"), _asset("phones.js")
POLICY = content_policy(_SCRIPT)
"""The page's Content-Security-Policy: nothing is loaded, no script but the one above runs."""


def phones_page(
    scenes: Sequence[tuple[Scene, Mapping[str, Sequence[Rendering]]]],
    shares: Shares,
    *,
    title: str = "An MMS on phones",
) -> str:
    """The page: each phone with its message, what becomes of each part, and who can see what.

    Args:
        scenes: a message on each phone, with the renderings of its parts by name.
        shares: how many phones of a year take what.
        title: of the page.
    """
    phones = "".join(_section(scene, renderings) for scene, renderings in scenes)
    known = _shares(scenes[0][0], shares) if scenes else ""
    return html_page(title, style=_STYLE, script=_SCRIPT, body=f"<main>{phones}{known}</main>")


def _section(scene: Scene, renderings: Mapping[str, Sequence[Rendering]]) -> str:
    handset = scene.handset
    width_px = min(handset.screen.width_px, _WIDEST_CSS_PX)
    height_px = min(round(width_px * handset.screen.height_px / handset.screen.width_px), _TALLEST_CSS_PX)
    plays_slides = handset.message.presentation == "slides" and scene.is_fetched and bool(scene.slides)
    kind = "slides" if plays_slides else "thread"
    body = "".join(_slide(slide, renderings) for slide in scene.slides) if scene.is_fetched else _refused(scene)
    subject = f'<div class="subject">{html_text(scene.subject)}</div>' if scene.subject else ""
    # A thread has its subject with the text, below what is attached.
    data_slides = " data-slides" if plays_slides else ""
    inside = body + subject if handset.message.text == "last" and scene.is_fetched else subject + body
    rows = "".join(_row(shown, scene) for shown in scene.parts)
    return (
        f"<section><h2>{html_text(handset.name)}</h2><p class=soft>{html_text(handset.title)}</p>"
        f'<div class="phone p{html_text(handset.name)}"><div class="screen {kind}"{data_slides}'
        f' style="width:{width_px}px;height:{height_px}px"><div class="bar"><span>MMS</span>'
        f"<span>{scene.total_bytes / 1000:,.0f} kB</span></div>{inside}</div></div>"
        '<div class="controls" hidden><button type="button">Play</button><span></span></div>'
        f"<table><tr><th>Part<th>On this phone</tr>{rows}</table></section>"
    )


def _slide(slide: SceneSlide, renderings: Mapping[str, Sequence[Rendering]]) -> str:
    seconds = f' data-seconds="{slide.duration_s:.3f}"' if slide.duration_s else ""
    return f'<div class="slide"{seconds}>' + "".join(_part(one, renderings) for one in slide.shown) + "</div>"


def _part(shown: Shown, renderings: Mapping[str, Sequence[Rendering]]) -> str:
    info = shown.item.info
    if info is None or shown.verdict.showing is Showing.UNSUPPORTED:
        return _card(shown, shown.verdict.because, "file")
    if info.kind is Kind.TEXT and info.format != "vcard":
        return f"<pre>{html_text(shown.item.text[:_LONGEST_TEXT])}</pre>"
    made = renderings.get(shown.item.name, ())
    if not made:
        plays_itself = info.kind is Kind.AUDIO or info.format == "vcard"
        word = FORMATS[info.format].title if plays_itself else "cannot be drawn here"
        return _card(shown, f"{word}; the phone itself plays or opens it" if plays_itself else word, "melody")
    if info.kind is Kind.IMAGE:
        return f'<img src="{_data(made[0])}" alt="{html_text(shown.item.name)}">'
    tag = "video" if info.kind is Kind.VIDEO else "audio"
    sources = "".join(f'<source src="{_data(one)}" type="{one.media_type}">' for one in made)
    return f"<{tag} controls playsinline>{sources}</{tag}>"


def _card(shown: Shown, why: str, kind: str) -> str:
    """What a phone shows in place of what it cannot: an icon and a name, to be kept or passed on."""
    path = "M6 2h9l5 5v15H6zM14 2v6h6" if kind == "file" else "M9 18V6l11-2v12M9 18a3 3 0 1 1-6 0 3 3 0 0 1 6 0z"
    icon = f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{path}"/></svg>'
    return f'<div class="card {kind}">{icon}<span><b>{html_text(shown.item.name)}</b>{html_text(why)}</span></div>'


def _refused(scene: Scene) -> str:
    limit, total = scene.handset.message.limit_bytes, scene.total_bytes
    return f'<div class="card"><span><b>Message not fetched</b>{total:,} bytes, this phone takes {limit:,}</span></div>'


def _row(shown: Shown, scene: Scene) -> str:
    verdict = shown.verdict
    word = _WORDS[verdict.showing] if scene.is_fetched else "not fetched"
    source = verdict.source if scene.is_fetched else scene.handset.message.limit_source
    missing = verdict.showing is Showing.UNSUPPORTED or not scene.is_fetched
    return (
        f"<tr><td>{html_text(shown.item.name)}<td><b{' class=no' if missing else ''}>{word}</b>"
        f"{': ' if verdict.because else ''}{html_text(verdict.because)}"
        f"<details><summary>source</summary>{html_text(source or '-')}</details></tr>"
    )


def _shares(scene: Scene, shares: Shares) -> str:
    """Who can see what, by the year in which a phone came out."""
    years = [year for year in YEARS_SHOWN if year in shares.years]
    head = "".join(f"<th class=n>{year}" for year in years)
    rows = []
    for shown in scene.parts:
        found = shares.least(shown.verdict.needs)
        cells = "".join(f"<td class=n>{f'{found[year]} %' if found else '?'}" for year in years)
        rows.append(f"<tr><td>{html_text(shown.item.name)}{cells}</tr>")
    return (
        "<section><h2>Who can see what</h2><p class=soft>Phones that came out in a year and are known to play the part:"
        f" the smallest share of what it needs. Lower bounds: {html_text(shares.source)}.</p>"
        f"<table><tr><th>Part{head}</tr>{''.join(rows)}</table></section>"
    )


def _data(rendering: Rendering) -> str:
    return f"data:{rendering.media_type};base64,{base64.b64encode(rendering.data).decode('ascii')}"
