"""What a batch would do, without doing it: nothing is encoded and nothing is written.

Comes in: a :class:`Batch`. Goes out: what would become of every item. Never: a file or folder made in the output; the
ledger is read from a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum

from mmsprep.batch.executors import SERIAL
from mmsprep.batch.listing import Item
from mmsprep.batch.outcome import SCHEMA, Json
from mmsprep.batch.storage import Storage
from mmsprep.batch.tree import Batch, open_batch
from mmsprep.batch.work import Recipe, attachments_of, wanted_seconds
from mmsprep.errors import MmsprepError
from mmsprep.pipeline import inspect
from mmsprep.pipeline.job import Inspection
from mmsprep.settings import Settings


class Foresight(StrEnum):
    """What would be done about one item."""

    PREPARE = "to_prepare"
    UNCHANGED = "unchanged"
    REFUSE = "to_fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """One item: what would be done, and what its files are; ``error`` says why nothing could come of it.

    ``limit_bytes`` is that of its message.
    """

    index: int
    id: str
    status: Foresight
    to: str = ""
    input_bytes: int = 0
    files: tuple[Inspection, ...] = ()
    error: MmsprepError | None = None
    limit_bytes: int = 0


def foresee(batch: Batch, *, settings: Settings | None = None) -> Iterator[Foreseen]:
    """Say of every item what :func:`mmsprep.batch.run_batch` would do, by its date and by what it really is.

    A file that has changed its date alone counts as changed here: its content is not read. Whether something fits its
    limit is known only when it is encoded.

    Raises:
        MmsprepError: the listing or the output cannot be used at all.
    """
    with open_batch(batch, executor=SERIAL, settings=settings, look_only=True) as opened:
        for index, item in enumerate(opened.items()):
            input_bytes = sum(given.file.size_bytes for given in item.inputs)
            if item.error is None and opened.is_done(item):
                yield Foreseen(index=index, id=item.id, status=Foresight.UNCHANGED, to=item.to, input_bytes=input_bytes)
                continue
            files, error = _looked_at(item, opened.recipe, opened.source)
            status = Foresight.REFUSE if error else Foresight.PREPARE
            yield Foreseen(
                index=index,
                id=item.id,
                status=status,
                to=item.to,
                input_bytes=input_bytes,
                files=files,
                error=error,
                limit_bytes=opened.recipe.job.limit_bytes or opened.recipe.profile.message.limit_bytes,
            )


def _looked_at(item: Item, recipe: Recipe, source: Storage) -> tuple[tuple[Inspection, ...], MmsprepError | None]:
    if item.error or not item.inputs:
        return (), item.error
    try:
        with ExitStack() as copies:
            given = wanted_seconds(attachments_of(item.inputs, source, copies), recipe)
            files = tuple(inspect(given, profile=recipe.profile, settings=recipe.settings))
    except MmsprepError as error:
        return (), error
    errors = [one.error for one in files if one.error]
    fatal = errors and (recipe.job.on_error == "fail" or (len(errors) == len(files) and not item.text))
    return files, errors[0] if fatal else None


def foreseen_document(foreseen: Foreseen) -> Json:
    """One line of ``batch --dry-run --json``."""
    error = foreseen.error
    return {
        "schema": SCHEMA,
        "dry_run": True,
        "index": foreseen.index,
        "id": foreseen.id,
        "status": foreseen.status,
        "to": foreseen.to or None,
        "input_bytes": foreseen.input_bytes,
        "files": [
            {
                "index": one.index,
                "path": one.name,
                "format": one.info.format if one.info else None,
                "action": one.plan.action if one.plan else None,
                "target": one.plan.target if one.plan else None,
                "targets": one.plan.targets if one.plan else [],
                "error": {"code": one.error.code, "message": str(one.error)} if one.error else None,
            }
            for one in foreseen.files
        ],
        "error": {"code": error.code, "message": str(error), "exit_status": error.exit_status} if error else None,
    }
