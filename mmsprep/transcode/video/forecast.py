"""How hard a clip is, as its probe tells: by its rate alone at once, by its looks where they are asked for.

Comes in: a mezzanine. Goes out: what the model of a clip goes by. Never: a look that nobody needs.

Where a rate is so plenty that the largest size is certain, whatever the clip looks like, the probe's rate is enough; a
look at it would be a sixth of all that a clip of three seconds takes.
"""

from __future__ import annotations

from mmsprep.tools.once import once
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video import vmaf
from mmsprep.transcode.video.mezzanine import FEW_FRAMES, Mezzanine
from mmsprep.transcode.video.model import Hardness, Measured, fitted, is_nearly_largest


class Forecast:
    """What is foretold of a clip; ``of_its_rate`` is how hard it is as far as the probe's rate tells, and its
    quantiser depends on nothing else."""

    def __init__(self, mezzanine: Mezzanine, workspace: Workspace) -> None:
        made = mezzanine.probe
        self.of_its_rate = Hardness(made.rate_kbps, max(made.size_px), max(mezzanine.display_px), made.qp)
        self._mezzanine, self._workspace = mezzanine, workspace
        self._hardness: Hardness | None = None

    @once
    def probe(self) -> Measured | None:
        """What VMAF says of the probe, looked at once; ``None`` where this ffmpeg has no VMAF."""
        if not vmaf.available(self._workspace):
            return None
        made = self._mezzanine.probe
        seen = vmaf.vmaf_of(made.path, "h264", self._mezzanine, 1, made.size_px, self._workspace, hasty=True)
        return Measured(max(made.size_px), made.qp, seen.frames)

    @property
    def hardness(self) -> Hardness:
        """What the clip costs at a fixed quantiser and a small size, and what that looks like."""
        if self._hardness is None:
            self._hardness = fitted(self.of_its_rate, [self.probe]) if self.probe else self.of_its_rate
        return self._hardness

    def learn(self, hard: Hardness) -> None:
        """Take what a finished encode showed in place of a look at the probe, unless there was one."""
        if self._hardness is None:
            self._hardness = hard

    def is_certain_at(self, rate_kbps: float) -> bool:
        """Whether ``rate_kbps`` of H.264 are enough for the largest size, or most likely so."""
        of_few = self._mezzanine.frame_count < FEW_FRAMES
        return is_nearly_largest(self.of_its_rate, rate_kbps, self._mezzanine.long_px, of_few=of_few)

    def at(self, rate_kbps: float) -> Hardness:
        """All that is needed to choose for ``rate_kbps`` or more; once looked at, it is known for every rate."""
        if self._hardness is None and self.is_certain_at(rate_kbps):
            return self.of_its_rate
        return self.hardness
