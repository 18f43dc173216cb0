"""Where the processor seconds of a clip go, as mmsprep's own log tells it.

Comes in: the log of a preparation. Goes out: seconds of each step, and what they are of a decode and of a script.
Never: a clock of its own inside the pipeline: what its children used since the record before belongs to a record.
"""

from __future__ import annotations

import logging
import resource
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ffmpeg as graph
from clip_script import cost

from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

_OF_STAGES = {"look": "understood", "open": "opened", "encode": "encoded", "check": "checked"}
"""What is left of a stage of the pipeline when its own steps are done."""
_PASSES = ("second pass", "constant quality")
_STARTS, _LEAST_S = 5, 0.005
"""How often a start is measured; seconds that a line is worth."""


class Stages(logging.Handler):
    """The processor seconds of each step, summed over ``runs``; of the last pass of the pictures; programs started."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.runs = 0
        self.seconds: dict[str, float] = defaultdict(float)
        self.times: dict[str, int] = defaultdict(int)
        self.last_pass_s = 0.0
        self.programs = 0
        self._mark_s = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Take what the children used since the last step as this one's."""
        told = record.args if isinstance(record.args, Mapping) else {}
        self.programs += "program" in told
        step = told.get("step") or _OF_STAGES.get(str(told.get("stage")))
        if step is not None:
            used_s = self._since()
            self.seconds[str(step)] += used_s
            self.times[str(step)] += 1
            if step in _PASSES:
                self.last_pass_s = used_s

    def _since(self) -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        now_s = used.ru_utime + used.ru_stime
        before_s, self._mark_s = self._mark_s, now_s
        return now_s - before_s

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count what is logged in this block as one run."""
        logger = logging.getLogger("mmsprep")
        level, python = logger.level, resource.getrusage(resource.RUSAGE_SELF)
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        self._since()
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.setLevel(level)
            now = resource.getrusage(resource.RUSAGE_SELF)
            self.seconds["Python"] += now.ru_utime + now.ru_stime - python.ru_utime - python.ru_stime
            self.runs += 1

    def report(self, decode_s: float, script_s: float, beside: Mapping[str, float], workspace: Workspace) -> None:
        """A line a step: seconds, shares of the script, decodes; then what is ``beside`` them, by name in seconds."""

        def line(what: str, seconds: float) -> None:
            print(f"    {what:40}{seconds:8.2f}s{seconds / script_s:9.2f}{seconds / decode_s:9.2f}", flush=True)

        print(f"    {'step, CPU':40}{'ours':>9}{'scripts':>9}{'decodes':>9}")
        for step, seconds in self.seconds.items():
            times = round(self.times[step] / self.runs)
            if seconds / self.runs >= _LEAST_S:
                line(f"{step} x {times}" if times > 1 else step, seconds / self.runs)
        started = round(self.programs / self.runs)
        line(f"(of them, to start {started} programs)", started * _start_s(workspace))
        for what, seconds in beside.items():
            line(what, seconds)


def _start_s(workspace: Workspace) -> float:
    """What it takes to start a program in its cage that has next to nothing to do."""
    nothing = graph.input("anullsrc", f="lavfi", t=0.01).output("pipe:1", f="null")
    return statistics.median(cost(lambda: ffmpeg.run(workspace, nothing))[1] for _ in range(_STARTS))
