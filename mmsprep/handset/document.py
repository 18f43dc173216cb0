"""A message on phones as JSON: what ``play --json`` prints (``docs/handsets.md``); keys are only ever added.

Comes in: scenes. Goes out: a dictionary ready for JSON. Never: printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmsprep.handset.model import Shares
from mmsprep.handset.scene import Scene


def document(scenes: Sequence[Scene], shares: Shares) -> dict[str, Any]:
    """The same message on each phone."""
    return {
        "schema": 1,
        "phones": [_phone(scene, shares) for scene in scenes],
        "shares": {
            "source": shares.source,
            "lower_bounds": True,
            "phones": dict(zip(map(str, shares.years), shares.phones, strict=True)),
        },
    }


def _phone(scene: Scene, shares: Shares) -> dict[str, Any]:
    handset = scene.handset
    return {
        "phone": handset.name,
        "title": handset.title,
        "fetched": scene.is_fetched,
        "total_bytes": scene.total_bytes,
        "limit_bytes": handset.message.limit_bytes,
        "limit_source": handset.message.limit_source,
        "presentation": handset.message.presentation,
        "presentation_source": handset.message.presentation_source,
        "subject": scene.subject,
        "slides": [
            {"parts": [shown.item.name for shown in slide.shown], "duration_s": slide.duration_s}
            for slide in scene.slides
        ],
        "parts": [
            {
                "name": shown.item.name,
                "format": shown.item.info.format if shown.item.info else "",
                "kind": shown.item.info.kind.value if shown.item.info else "",
                "showing": shown.verdict.showing.value if scene.is_fetched else "not_fetched",
                "because": shown.verdict.because,
                "source": shown.verdict.source,
                "needs": list(shown.verdict.needs),
                "known_percent": {str(year): share for year, share in shares.least(shown.verdict.needs).items()},
            }
            for shown in scene.parts
        ],
    }
