"""Before and after as one HTML page that needs nothing else.

Comes in: pairs. Goes out: HTML. Never: a character of a file or its name that is not escaped, an address to load
from, or a script but our own.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib import resources

from mmsprep.message.wording import size_words
from mmsprep.model import QUALITY_BANDS, Kind
from mmsprep.preview.pairs import Pair, Side, worst_first
from mmsprep.printable import content_policy, html_page, html_text
from mmsprep.transcode.browser import Rendering

_KIND_WORDS = {Kind.IMAGE: "Pictures", Kind.VIDEO: "Clips", Kind.AUDIO: "Sounds", Kind.TEXT: "Texts"}
_MEDIUM = 50.0
_BELOW_MEDIUM = " ".join(word for word, least in QUALITY_BANDS.items() if least < _MEDIUM)


def _asset(name: str) -> str:
    return resources.files("mmsprep.preview").joinpath(name).read_text("utf-8")


_STYLE, _SCRIPT = _asset("preview.css"), _asset("preview.js")
POLICY = content_policy(_SCRIPT)
"""The page's Content-Security-Policy: nothing is loaded, no script but the one above runs."""


def preview_page(pairs: Sequence[Pair], *, title: str, facts: Sequence[str] = (), notes: Sequence[str] = ()) -> str:
    """The page, the worst first.

    Args:
        pairs: of one message, several, or a batch.
        title: of the page.
        facts: lines below it: sizes, counts.
        notes: what people should know besides: warnings, what was left out.
    """
    lines = "".join(f"<p class=soft>{html_text(fact)}</p>" for fact in facts)
    told = "".join(f"<li>{html_text(note)}</li>" for note in notes)
    cards = "".join(map(_card, worst_first(pairs)))
    told = f"<ul>{told}</ul>" if told else ""
    body = f"<header><h1>{html_text(title)}</h1>{lines}{told}{_bar(pairs)}</header>"
    return html_page(title, style=_STYLE, script=_SCRIPT, body=f'{body}<main class="phone">{cards}</main>')


def _bar(pairs: Sequence[Pair]) -> str:
    """Filters for the kinds and qualities that there are, and the two sizes."""
    kinds = [kind for kind in _KIND_WORDS if any(pair.kind is kind for pair in pairs)]
    bands = [band for band in ("poor", "low", "medium", "high", "excellent", "kept") if _has(pairs, band)]
    kind_options = "".join(f'<option value="{kind}">{_KIND_WORDS[kind]}</option>' for kind in kinds)
    below = f'<option value="{_BELOW_MEDIUM}">below medium</option>'
    band_options = "".join(f'<option value="{band}">{band}</option>' for band in bands)
    return (
        '<div class="bar" hidden>'
        f'<label>Kind <select id="kind"><option value="">all</option>{kind_options}</select></label>'
        f'<label>Quality <select id="quality"><option value="">all</option>{below}{band_options}</select></label>'
        '<label><input type="radio" name="size" value="phone" checked> Phone size</label>'
        '<label><input type="radio" name="size" value="true"> 1:1</label>'
        '<span id="count" class="soft" role="status"></span></div>'
    )


def _has(pairs: Sequence[Pair], band: str) -> bool:
    return any(pair.band == band for pair in pairs)


def _card(pair: Pair) -> str:
    why = "".join(f"<li>{html_text(one)}</li>" for one in (*pair.reasons, *pair.notes))
    details = f"<details open><summary>Why</summary><ul>{why}</ul></details>" if why else ""
    group = f'<span class="soft">{html_text(pair.group)}</span>' if pair.group else ""
    return (
        f'<article data-kind="{pair.kind}" data-band="{pair.band}"><div class="head"><h2>{html_text(pair.name)}</h2>'
        f'{group}<span class="band {pair.band}">{html_text(pair.told_quality)}</span></div>'
        f'<p class="facts soft">{_facts(pair.before)} → {_facts(pair.after)}, {html_text(pair.share)} of the'
        f" message</p>{_shown(pair)}{details}</article>"
    )


def _facts(side: Side) -> str:
    return html_text(f"{side.words}, {size_words(side.size_bytes)}")


def _shown(pair: Pair) -> str:
    before, after = pair.before.rendering, pair.after.rendering
    if before and after and _is_picture(before) and _is_picture(after) and all(after.size_px):
        return _compared(pair, before, after)
    figures = "".join(
        f"<figure><figcaption>{word}</figcaption>{_side(side, f'{pair.name}, {word.lower()}')}</figure>"
        for word, side in (("Before", pair.before), ("After", pair.after))
    )
    return f'<div class="sides">{figures}</div>'


def _compared(pair: Pair, before: Rendering, after: Rendering) -> str:
    width_px, height_px = after.size_px
    images = "".join(
        f'<img loading="lazy" src="{_data(one)}" alt="{html_text(f"{pair.name}, {word}")}">'
        for one, word in ((before, "before"), (after, "after"))
    )
    return (
        f'<div class="view"><div class="compare" style="--width:{width_px}px;aspect-ratio:{width_px}/{height_px}">'
        f"{images}</div></div>"
        f'<div class="tags"><span>Before</span><span>After</span></div><input class="slide" type="range" min="0"'
        f' max="100" value="50" aria-label="How much of the original is shown of {html_text(pair.name)}">'
    )


def _side(side: Side, called: str) -> str:
    if side.rendering is None:
        return (
            f"<pre>{html_text(side.text)}</pre>" if side.text else f'<p class="missing">{html_text(side.problem)}</p>'
        )
    source = f'src="{_data(side.rendering)}"'
    if _is_picture(side.rendering):
        return f'<img loading="lazy" {source} alt="{html_text(called)}">'
    tag = "video" if side.rendering.media_type.startswith("video/") else "audio"
    return f'<{tag} controls playsinline preload="metadata" {source} aria-label="{html_text(called)}"></{tag}>'


def _is_picture(rendering: Rendering) -> bool:
    return rendering.media_type.startswith("image/")


def _data(rendering: Rendering) -> str:
    return f"data:{rendering.media_type};base64,{base64.b64encode(rendering.data).decode('ascii')}"
