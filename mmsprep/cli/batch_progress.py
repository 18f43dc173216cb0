"""How far a batch is, for people: a live view on a terminal, a table at the end.

Comes in: outcomes as they are known. Goes out: renderables. Never: work, or a line where nobody looks.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmsprep.batch.outcome import ItemOutcome, Made, Status
from mmsprep.batch.tree import AtWork, OpenBatch
from mmsprep.cli.names import NameCell
from mmsprep.cli.printing import console_for
from mmsprep.errors import AttachmentError, MmsprepError
from mmsprep.formats import FORMATS
from mmsprep.message.wording import duration_words, short_name, size_words
from mmsprep.model import QUALITY_BANDS, Action
from mmsprep.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

_WINDOW_S = 30.0
_PROBLEMS_SHOWN = 10
_WORKERS_SHOWN = 16
_REMARKS_SHOWN = 10
_LONG_S = 2.0
NOTHING_TO_CUT = "note: --from and --to changed nothing: none of the files is a recording or clip"


class Tally:
    """What came of a batch so far."""

    def __init__(self) -> None:
        self.total: int | None = None
        self._start_s = time.monotonic()
        self._counts: Counter[Status] = Counter()
        self._input_bytes: Counter[Status] = Counter()
        self._output_bytes: Counter[Status] = Counter()
        self._codes: Counter[str] = Counter()
        self._shown: list[str] = []
        self._low: list[tuple[float, str]] = []
        self._low_count = self._part_count = self._told_count = self._timed_count = 0
        self._told: list[str] = []
        self._recent: deque[float] = deque(maxlen=2_000)
        self._workers: dict[str, tuple[int, float, str]] = {}

    @property
    def done(self) -> int:
        """How many items are settled, in whatever way."""
        return self._counts.total()

    @property
    def failed(self) -> int:
        """How many items failed."""
        return self._counts[Status.FAILED]

    def add(self, outcome: ItemOutcome) -> None:
        """Count one outcome."""
        self._counts[outcome.status] += 1
        self._input_bytes[outcome.status] += outcome.input_bytes
        if outcome.status is not Status.UNCHANGED:
            self._recent.append(time.monotonic())
        if outcome.made:
            self._output_bytes[outcome.status] += sum(file.size_bytes for file in outcome.made.outputs)
            if outcome.status is not Status.UNCHANGED:
                count, work_s, _ = self._workers.get(outcome.made.worker, (0, 0.0, ""))
                seen = (count + 1, work_s + outcome.made.work_s, outcome.id)
                self._workers[outcome.made.worker] = seen
        if outcome.made:
            self._remark(outcome.id, outcome.made)
        if outcome.error:
            self._codes[outcome.error.code] += 1
            if self.failed <= _PROBLEMS_SHOWN:
                self._shown += failure_lines(outcome)

    def _remark(self, item_id: str, made: Made) -> None:
        """Keep the worst of what is low, and the first warnings."""
        for part in made.parts:
            self._part_count += 1
            self._timed_count += FORMATS[part["source"]["format"]].is_timed
            if part["action"] == Action.TRANSCODE and round(part["quality"]) < QUALITY_BANDS["medium"]:
                self._low_count += 1
                self._low.append((part["quality"], item_id))
        self._low = sorted(self._low)[:_REMARKS_SHOWN]
        words = [*made.warnings, *(f"{one['path']} was left out: it {one['message']}" for one in made.rejected)]
        for warning in words:
            self._told_count += 1
            if self._told_count <= _REMARKS_SHOWN:
                named = short_name(item_id) in warning
                self._told.append(warning if named else f"{item_id}: {warning}")

    def rate(self) -> float:
        """Items a second that needed work, lately."""
        now_s = time.monotonic()
        while self._recent and now_s - self._recent[0] > _WINDOW_S:
            self._recent.popleft()
        if not self._recent:
            return 0.0
        return len(self._recent) / max(0.5, now_s - max(self._start_s, self._recent[0]))

    def view(self, at_work: Sequence[AtWork] = ()) -> RenderableType:
        """The live view: all of it, then each worker with what it is at, or did last where that cannot be seen."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        bar = ProgressBar(total=self.total or None, completed=self.done, width=30, pulse=self.total is None)
        top = Table.grid(padding=(0, 2, 0, 0))
        top.add_row(bar, Text(self._progress_words(), no_wrap=True))
        workers = Table.grid(padding=(0, 2, 0, 0))
        now = {one.worker: one for one in at_work}
        names = list(dict.fromkeys((*self._workers, *now)))[:_WORKERS_SHOWN]
        for number, name in enumerate(names, start=1):
            count, work_s, last = self._workers.get(name, (0, 0.0, ""))
            each = f"{work_s / count:.2f} s each" if count else ""
            passed_s = now[name].seconds if name in now else 0.0
            last = now[name].name if name in now else last
            long = f"({duration_words(passed_s)})" if passed_s >= _LONG_S else ""
            workers.add_row(f"worker {number}", f"{count:,} done", each, NameCell(printable(last), lines=1), long)
        return Group(top, workers)

    def _progress_words(self) -> str:
        rate = self.rate()
        words = [f"{self.done:,}" + (f" of {self.total:,}" if self.total is not None else "")]
        if rate:
            words.append(f"{rate:.1f} a second")
        if rate and self.total:
            words.append(f"{duration_words((self.total - self.done) / rate)} left")
        words.append(f"{self.failed:,} failed")
        return ", ".join(words)

    def table(self) -> RenderableType:
        """The final table: how many, and their sizes."""
        from rich.table import Table

        table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("Result")
        for column in ("Count", "Before", "After"):
            table.add_column(column, justify="right", no_wrap=True)
        for status in Status:
            if self._counts[status]:
                after = size_words(self._output_bytes[status]) if status is not Status.FAILED else ""
                table.add_row(status, f"{self._counts[status]:,}", size_words(self._input_bytes[status]), after)
        return table

    def summary(self, target: str) -> str:
        """One line below the table."""
        passed_s = time.monotonic() - self._start_s
        worked = self.done - self._counts[Status.UNCHANGED]
        rate = f", {worked / passed_s:.1f} a second" if worked and passed_s > 1 else ""
        return f"{self.done:,} in {duration_words(passed_s)}{rate}; written to {target}"

    def problems(self) -> Iterator[str]:
        """The first failures, and how many more there are of which code."""
        yield from self._shown
        if self.failed > _PROBLEMS_SHOWN:
            codes = ", ".join(f"{count:,} {code}" for code, count in self._codes.most_common())
            yield f"{self.failed:,} failed in all ({codes}); --report FILE lists them"

    def remarks(self, *, cuts: bool) -> Iterator[str]:
        """What is low, the worst first, and what was warned of; the first of each, and how many there are.

        Before that, where seconds were asked for (``cuts``), that nothing has any.
        """
        if cuts and self._part_count and not self._timed_count:
            yield NOTHING_TO_CUT
        if self._low_count:
            worst = ", ".join(f"{name} ({round(quality)})" for quality, name in self._low)
            more = f" and {self._low_count - len(self._low):,} more" if self._low_count > len(self._low) else ""
            verb = "is" if self._low_count == 1 else "are"
            yield f"{self._low_count:,} of {self._part_count:,} parts {verb} below medium: {worst}{more}"
        yield from (f"note: {words}" for words in self._told)
        if self._told_count > _REMARKS_SHOWN:
            yield f"{self._told_count:,} notes in all; --report FILE lists them"


@contextmanager
def live(opened: OpenBatch, tally: Tally, *, shown: bool) -> Iterator[None]:
    """The live view while the block runs, on a terminal; nothing elsewhere."""
    console = console_for(stderr=True)
    if not shown or not console.is_terminal:
        yield
        return
    from rich.live import Live

    stop = threading.Event()
    counter = threading.Thread(target=_count, args=(opened, tally, stop), daemon=True)
    counter.start()
    try:
        with Live(
            console=console, get_renderable=lambda: tally.view(opened.at_work()), refresh_per_second=4, transient=True
        ):
            yield
    finally:
        stop.set()
        counter.join()


def _count(opened: OpenBatch, tally: Tally, stop: threading.Event) -> None:
    """Count all items beside the work, for the bar's length."""
    count = 0
    try:
        for _ in opened.items():
            count += 1
            if stop.is_set():
                return
    except MmsprepError:
        return
    tally.total = count


def failure_lines(outcome: ItemOutcome) -> list[str]:
    """Why an item failed, in a line, and below it what would help or what else is wrong; none if it did not."""
    error = outcome.error
    if error is None:
        return []
    first, *more = (error.problem,) if isinstance(error, AttachmentError) else error.lines
    return [f"failed: {outcome.id}: {first}", *(f"  {line.strip()}" for line in more)]
