"""The page of a batch: what became of every file, the worst first, to look at and listen to.

Comes in: items and outcomes as they come, then the storages. Goes out: HTML. Never: a page so large that no browser
opens it: the worst are shown, the rest told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mmsprep.batch.listing import InputFile, Item
from mmsprep.batch.outcome import ItemOutcome, Made
from mmsprep.batch.storage import Storage
from mmsprep.errors import MmsprepError
from mmsprep.formats import FORMATS
from mmsprep.model import Action, Kind, MediaInfo, PartReport, Reason, ReasonCode, Support
from mmsprep.pipeline.intake import take_in
from mmsprep.preview import Pair, pair_of, pair_unseen, preview_page
from mmsprep.settings import Settings
from mmsprep.tools.workspace import Workspace

_MOST_EMBEDDED_BYTES = 60_000_000
_MOST_NOTES = 200
_TOO_MANY = "is not shown: this page holds the worst only, as much as a browser takes"


@dataclass(frozen=True, slots=True)
class _Work:
    """One part of one outcome, with where it and its original lie; ``folder`` is its message's, below the item's."""

    id: str
    made: Made
    report: PartReport
    given: InputFile | None
    folder: str


@dataclass(slots=True)
class Gallery:
    """What a batch made, kept as it goes on: a few hundred bytes a file."""

    _inputs: dict[str, tuple[InputFile, ...]] = field(default_factory=dict)
    _outcomes: list[ItemOutcome] = field(default_factory=list)

    def noting(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items, with where their files lie remembered."""
        for item in items:
            self._inputs[item.id] = item.inputs
            yield item

    def add(self, outcome: ItemOutcome) -> None:
        """Remember one outcome."""
        self._outcomes.append(outcome)

    def page(self, source: Storage, target: Storage, settings: Settings) -> str:
        """The page, rendered from what lies in the two storages now.

        Raises:
            ToolError: ffmpeg is missing or cannot be started.
        """
        work = sorted(self._parts(), key=lambda one: one.report.quality)
        with Workspace(settings) as workspace, ThreadPoolExecutor(settings.worker_count) as pool:
            pairs: list[Pair] = []
            embedded_bytes, step = 0, settings.worker_count * 2
            for start in range(0, len(work), step):
                now = work[start : start + step]
                if embedded_bytes >= _MOST_EMBEDDED_BYTES:
                    pairs += [_unseen(one) for one in now]
                    continue
                made = list(pool.map(lambda one: _rendered(one, source, target, workspace), now))
                embedded_bytes += sum(pair.embedded_bytes for pair in made)
                pairs += made
        failed = [one for one in self._outcomes if one.error]
        facts = [f"{len(self._outcomes):,} made or tried, {len(failed):,} failed", f"from {source.location}"]
        return preview_page(
            pairs, title="A batch, before and after", facts=facts, notes=list(self._notes())[:_MOST_NOTES]
        )

    def _parts(self) -> Iterator[_Work]:
        for outcome in self._outcomes:
            made, inputs = outcome.made, self._inputs.get(outcome.id, ())
            for part in made.parts if made else ():
                report = _report(part)
                place = report.indexes[0] if report.indexes else -1
                assert made is not None
                given = inputs[place] if 0 <= place < len(inputs) else None
                yield _Work(outcome.id, made, report, given, part.get("folder", ""))

    def _notes(self) -> Iterator[str]:
        for outcome in self._outcomes:
            if outcome.error:
                yield f"failed: {outcome.error}"
            for one in outcome.made.rejected if outcome.made else ():
                yield f"{outcome.id}: {one['path']} was left out: it {one['message']}"


def _rendered(one: _Work, source: Storage, target: Storage, workspace: Workspace) -> Pair:
    names = [file.name for file in one.made.outputs]
    tail = f"/{one.folder}/{one.report.name}" if one.folder else f"/{one.report.name}"
    name = next((name for name in names if f"/{name}".endswith(tail)), names[0] if len(names) == 1 else "")
    told: dict[str, Any] = {"limit_bytes": one.made.limit_bytes, "group": _group(one)}
    try:
        data = target.read(name)
    except MmsprepError as error:
        return pair_unseen(one.report, getattr(error, "problem", str(error)), **told)
    if one.given is None:
        return pair_of(one.report, data, None, workspace, **told)
    try:
        with source.local(one.given.file.place, one.given.name) as path:
            (original, *_), _ = take_in([(one.given.name, path)], workspace.settings)
            return pair_of(one.report, data, original, workspace, **told)
    except (MmsprepError, ValueError):
        return pair_of(one.report, data, None, workspace, **told)


def _unseen(one: _Work) -> Pair:
    return pair_unseen(one.report, _TOO_MANY, limit_bytes=one.made.limit_bytes, group=_group(one))


def _group(one: _Work) -> str:
    """The item, where its name is not the file's own."""
    return "" if one.id == one.report.source_name else one.id


def _report(part: dict[str, Any]) -> PartReport:
    """A compact report of one part, of this version or an earlier one, as a value."""
    source = part["source"]
    facts = {key: source[key] for key in ("width_px", "height_px", "duration_s", "size_bytes", "content_type")}
    slug = part.get("format") or _format_of(part["content_type"])
    return PartReport(
        name=part["name"],
        format=slug,
        content_type=part["content_type"],
        kind=Kind(part["kind"]),
        action=Action(part["action"]),
        support=Support.NONE,
        quality=part["quality"],
        size_bytes=part["size_bytes"],
        source_name=source["path"],
        source=MediaInfo(format=source["format"], kind=FORMATS[source["format"]].kind or Kind.IMAGE, **facts),
        width_px=part["width_px"],
        height_px=part["height_px"],
        duration_s=part["duration_s"],
        reasons=tuple(Reason(**reason | {"code": ReasonCode(reason["code"])}) for reason in part.get("reasons", ())),
        notes=tuple(part["notes"]),
        indexes=tuple(part["indexes"]),
    )


def _format_of(content_type: str) -> str:
    return next((slug for slug, entry in FORMATS.items() if entry.content_type == content_type), "text")
