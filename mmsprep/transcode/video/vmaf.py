"""VMAF of an encoded clip, from the mezzanine's reference frames.

Comes in: an encoded clip and the mezzanine it was made from. Goes out: VMAF 0..100 at the display size, and what its
decode to the end told. Never: a decode of the source.

Of both references at a place one frame is scored; the other is there because VMAF needs to see what moves. A
dozen frames cost a third of a second and are within a point of all frames.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import Any

import ffmpeg as graph

from mmsprep.errors import ToolError
from mmsprep.model import Played
from mmsprep.seeing.played import played, to_its_end
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video.encode import ClipSettings, kept_first
from mmsprep.transcode.video.mezzanine import REFERENCE_FRAMES, Mezzanine, Sampling
from mmsprep.transcode.video.steps import logged

_FORGIVEN = 2.1
"""Points of VMAF that frames have at half the rate, where more moves between two, beyond what they have at the whole:
1.8 to 2.6 on five clips; none where nothing moves."""
_THREADS = 1
"""Of VMAF, beside those that scale: two take 7 % more processor time and are no sooner. Of the decoder, too: with one a
look takes 4 to 6 % less, and waits for VMAF all the same."""
_SMALLEST_PX = 64
_WHITE = 255.0


def available(workspace: Workspace) -> bool:
    """Whether the ffmpeg in use was built with libvmaf; other builds go by the prediction alone."""
    return "libvmaf" in ffmpeg.filters(workspace.settings)


@dataclass(frozen=True, slots=True)
class Seen:
    """VMAF of a clip: the mean of the ``frames`` that are there, and of what is ``shown``, as a television would: each
    frame for itself and for the left-out one that follows it.

    ``error`` is the mean square of what is shown is off, in levels of luma, ``played`` what was found at the clip's end
    (``None``: the look did not go there, or a complaint may be about either)."""

    frames: float
    shown: float
    error: float = 0.0
    played: Played | None = None


def look_at(
    data: bytes, settings: ClipSettings, mezzanine: Mezzanine, workspace: Workspace, *, hasty: bool = False
) -> Seen:
    """What VMAF says of a finished clip, made of ``mezzanine`` with ``settings``, and what is found at its end.

    A ``hasty`` look is at half the references, and not at the first.
    """
    path, inner_px = workspace.put(data, f".{settings.rules.format}"), settings.inner_px(mezzanine)
    of_it = path, "mov", mezzanine, settings.every, inner_px, workspace
    seen = vmaf_of(*of_it, hasty=hasty, later=hasty, whole=data)
    path.unlink()
    return seen


@logged("VMAF")
def vmaf_of(
    clip: Path,
    demuxer: str,
    mezzanine: Mezzanine,
    every: int,
    inner_px: tuple[int, int],
    workspace: Workspace,
    *,
    hasty: bool = False,
    later: bool = False,
    whole: bytes | None = None,
) -> Seen:
    """What VMAF says of a clip.

    Args:
        clip: the encoded clip, which may end earlier than the mezzanine.
        demuxer: ffmpeg's name of its container.
        mezzanine: what it was made from.
        every: 1 where it has every frame of the mezzanine, 2 where it has every other one, 3 every third.
        inner_px: width and height of the picture inside it, without bars.
        workspace: room for the log, and the ffmpeg.
        hasty: look at half the references only, to compare one encode with another.
        later: not at the first, which may be a key frame and better than what follows.
        whole: what is in ``clip``, where it may be sent: it is decoded to its end, pictures and sound, in the same run.
    """
    log = workspace.new_path(".json")
    stands_in = every > 1
    sampling, wanted = mezzanine.sampling, 1 if stands_in else 2
    passed, skip = _met(sampling, every, wanted, 2 if hasty else 1)
    passed += later
    first, period = (sampling.first + passed * sampling.period) // every, sampling.period * skip // every
    safe = {"format_whitelist": demuxer, "protocol_whitelist": "file,pipe"}
    source = graph.input(f"file:{clip}", f=demuxer, threads=_THREADS, **safe)
    encoded = source.video.filter("select", f"gte(n,{first})*lt(mod(n-{first},{period}),{wanted})")
    encoded = encoded.filter("crop", *inner_px)
    if stands_in:
        encoded = encoded.filter("settb", "1").filter("setpts", "2*N").filter("fps", 1)
    original = graph.input(f"file:{mezzanine.references}", f="yuv4mpegpipe").video
    group = f"floor(n/{REFERENCE_FRAMES})-{passed}"
    original = original.filter("select", f"gte({group},0)*not(mod({group},{skip}))")
    # Its filters reach over more pixels than the smallest icons have, and libvmaf reads beyond them.
    width_px, height_px = (max(_SMALLEST_PX, side_px) for side_px in mezzanine.display_px)
    pair = [_aligned(stream, (width_px, height_px)) for stream in (encoded, original)]
    options = {"n_subsample": wanted, "n_threads": _THREADS, "shortest": 1, "log_fmt": "json", "log_path": str(log)}
    options["feature"] = "name=psnr"
    frames_seen = workspace.new_path(".rgb")
    # They are numbered, and so near to each other that their own output takes several for one.
    outputs = [graph.filter(pair, "libvmaf", **options).output("pipe:1", f="null", fps_mode="vfr")]
    outputs += to_its_end(source, frames_seen) if whole is not None else []
    done = ffmpeg.run(workspace, graph.merge_outputs(*outputs))
    try:
        metrics = [one["metrics"] for one in json.loads(workspace.read(log))["frames"]]
        scores = [float(one["vmaf"]) for one in metrics]
        there = scores[kept_first(every) :: REFERENCE_FRAMES] if stands_in else scores
        frames, shown = fmean(there), fmean(scores)
        square = fmean(_WHITE**2 / 10 ** (float(one["psnr_y"]) / 10) for one in metrics)
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"ffmpeg: its report of VMAF makes no sense ({error})") from None
    log.unlink()
    end = None if whole is None else played(whole, done, frames_seen, workspace)
    clean = end if end and not end.complaint else None
    return Seen(frames + max(0.0, min(_FORGIVEN, frames - shown)), shown, square, clean)


def _met(sampling: Sampling, every: int, wanted: int, least: int) -> tuple[int, int]:
    """How many groups of references to pass over at first, and every how manieth to take then, at least ``least``.

    The clip has the frame that is kept of the first ``every`` of each, and ``wanted`` frames before the next; where
    none is such a one, as with every fourth frame of some lengths, it has one that is shown then.
    """
    passed = next((n for n in range(every) if (sampling.first + n * sampling.period) % every == 0), 0)
    met = (n for n in count(least) if sampling.period * n >= wanted * every and sampling.period * n % every == 0)
    return passed, next(met)


def _aligned(stream: Any, size: tuple[int, int]) -> Any:
    """The frames at the display size, numbered instead of timed, so that pairs meet."""
    return (
        stream.filter("scale", *size, flags="bicubic")
        .filter("format", "yuv420p")
        .filter("settb", "1/1000")
        .filter("setpts", "N")
    )
