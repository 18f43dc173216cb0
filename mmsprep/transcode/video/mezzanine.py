"""The mezzanine: a clip decoded once, upright, progressive, with square pixels, even frames and plain colours.

Comes in: any clip that ffmpeg reads. Goes out: a small lossless copy that every encode starts from, a few reference
frames at the size at which the clip is looked at, and a hasty encode that tells how hard the clip is and is the first
pass of all others. Never: a second decode of the source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Any

import ffmpeg as graph
from PIL import Image

from mmsprep.errors import Damaged
from mmsprep.model import Attachment, MediaInfo
from mmsprep.profile import VideoRules
from mmsprep.seeing.contrast import frames_contrast, frames_of
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video.model import (
    FINE_PROBE_CRF,
    FINE_PROBE_LONG_PX,
    FINE_PROBE_QP,
    PROBE_CRF,
    PROBE_LONG_PX,
    PROBE_QP,
)
from mmsprep.transcode.video.pictures import (
    Kernel,
    Look,
    by_swscale,
    matrix_of,
    naming_the_codec,
    plain,
    scaled,
    tables_of,
    upright_pictures,
)
from mmsprep.transcode.video.sizes import allowed_px, even, shrunk, within
from mmsprep.transcode.video.steps import logged

AQ_STRENGTH, QCOMP, CHROMA = 0.6, 0.5, "chroma-qp-offset=2"
"""How x264 spreads bits over blocks and over time, and what it saves on colours (see ``encode``)."""
DISPLAY_LONG_PX = 1280
"""A clip is looked at in its own size, but hardly larger than this on a phone."""

_MOST_FPS = 30.0
_FPS_TOLERANCE = 1.02
"""Frames a second that are kept, and the ratio up to which more pass for as many."""
_UNKNOWN_FPS = 25.0
"""Of a file that does not say, and of pictures at most."""
_LOWEST_RATE_KBPS = 10.0
_SLOWEST_PICTURES_FPS = 5.0
"""kbit/s and frames a second that no clip falls below."""
_REFERENCE_GROUPS = 12
"""Places of a clip that VMAF looks at."""
REFERENCE_FRAMES = 2
"""In a row at each: one is scored, the other tells what moves, or is what a frame that is left out looks like."""
_FIRST_REFERENCE = 3 / 8
KEY_FRAME_S = 10
"""Seconds between two at most."""
FEWEST_FRAMES, FEW_FRAMES, _FINELY_BITS = 50, 150, 0.1
"""A clip of fewer frames than the second, for which so many bits a pixel are there, is probed finely, as a coarse log
of so few is no first pass; of fewer than the first no log of a probe is. Half of these bits are enough, as beside other
attachments a clip may not get them all."""
_LOOK_AHEAD = 40
"""Frames; x264's own for "medium"."""
_THREADS = 2
_UNFILTERED = ((0.4, "bidir"), (0.6, "noref"))
"""Up to which share of the sides as they are shown which frames are decoded without deblocking: those that look both
ways, or of them those that no other looks at. What the filter does to them is lost when they shrink. At a third VMAF
and NEG of the mezzanine and of what is encoded from it stay what they are (within 0.3, five clips), for a sixth of the
decode; at half NEG of a clip would fall by 0.3. Where no frame is filtered what is missing adds up: NEG falls by up
to 4.
"""
_MOST_PLAIN_BYTES = 400_000_000
"""Of a mezzanine without compression."""
_UNKNOWN_PERIOD, _LEAST_PERIOD = 96, 12
"""Frames from one reference to the next: where nobody knows how many there are; at least. Of short clips (52 to 119
frames) VMAF at every 18th is as near to that of all frames as at every 12th, 0.3 in the mean; but sizes are chosen by
it, and of one clip, by five places instead of eight, a size was that is 2 points worse."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames are references: ``REFERENCE_FRAMES`` in a row from frame ``first``, then every ``period`` frames.

    ``first`` lies within a period, away from the key frames, which look better than what lies between them; both are
    multiples of 6, so that a clip with every other, or every third, frame has the first, or second, one of each too.
    """

    first: int
    period: int

    @property
    def expression(self) -> str:
        """The frames, as ffmpeg's ``select`` is told."""
        return f"gte(n,{self.first})*lt(mod(n-{self.first},{self.period}),{REFERENCE_FRAMES})"


@dataclass(frozen=True, slots=True)
class Probe:
    """The clip, small and at a fixed quality: where it lies, x264's log of it, its rate, width and height, the mean
    quantiser that it counts as."""

    path: Path
    log: Path
    rate_kbps: float
    size_px: tuple[int, int]
    qp: float


@dataclass(frozen=True, slots=True)
class Mezzanine:
    """The decoded picture.

    ``picture`` has every frame, in the container that ffmpeg calls ``demuxer``; ``references`` has those of
    ``sampling``, at ``display_px`` (width, height). ``complete`` is false when the clip is longer than what can ever be
    sent, and only its beginning was decoded. ``bt709`` says which of the two colour matrices the samples need,
    ``contrast`` how far the references are from being one colour, ``by_zimg`` that zimg scales what is made of it.
    """

    picture: Path
    demuxer: str
    references: Path
    sampling: Sampling
    probe: Probe
    width_px: int
    height_px: int
    display_px: tuple[int, int]
    fps: float
    frame_count: int
    complete: bool
    bt709: bool
    contrast: float
    by_zimg: bool

    @property
    def picture_s(self) -> float:
        """Seconds of decoded picture."""
        return self.frame_count / self.fps

    @property
    def long_px(self) -> int:
        """The longer side."""
        return max(self.width_px, self.height_px)

    def sized(self, long_px: float) -> tuple[int, int]:
        """Its own width and height, or smaller ones of whole blocks, as near to ``long_px`` as they go."""
        if long_px >= self.long_px:
            return self.width_px, self.height_px
        return shrunk(self.display_px, long_px, (self.long_px, min(self.width_px, self.height_px)))

    @property
    def is_plain(self) -> bool:
        """Whether its frames lie about uncompressed."""
        return self.demuxer == "yuv4mpegpipe"


@dataclass(frozen=True, slots=True)
class _Made:
    """Where one run of ffmpeg puts everything that a mezzanine has, and at which sizes."""

    picture: Path
    demuxer: str
    references: Path
    probe: Path
    log: Path
    frames: Path
    size_px: tuple[int, int]
    display_px: tuple[int, int]
    probe_px: tuple[int, int]
    probe_crf: float
    probe_qp: float
    sampling: Sampling
    by_zimg: bool


def decode_mezzanine(
    attachment: Attachment,
    info: MediaInfo,
    rules: VideoRules,
    limit_bytes: int,
    workspace: Workspace,
    background: str = "#ffffff",
) -> Mezzanine:
    """Decode the pictures of a clip; what is transparent comes to lie on ``background`` (``#rrggbb``).

    What is so long that ``limit_bytes`` leave it less than 10 kbit/s is decoded up to there: the rest can never be
    part of a message.

    Raises:
        Damaged: no frame decodes, or far fewer than the clip declares.
        ToolMissing: this ffmpeg lacks the decoder.
        OverInputLimit: the decode takes too long, or too much room.
    """
    longest_s = longest_clip_s(limit_bytes)
    declared_s = _declared_s(info)
    fps = _frame_rate(info.frame_rate_fps, min(rules.max_fps, _MOST_FPS))
    shown_px = info.width_px or 320, info.height_px or 240
    size_px = allowed_px(*shown_px, rules)
    frames = round(min(declared_s, longest_s) * fps)
    made = _made(size_px, within(*shown_px, DISPLAY_LONG_PX), frames, workspace, limit_bytes)
    look = Look(info, matrix_of(size_px), tables_of(info, workspace), background, made.by_zimg)
    decode = partial(_decode, attachment, look, longest_s=longest_s, fps=fps, workspace=workspace)
    try:
        done = decode(made)
    except Damaged:
        if not (made.sampling.first and workspace.size_bytes(made.picture)):
            raise
        # Its pictures end before the first reference, however long it says that they go on: a title, and then sound.
        made = replace(made, sampling=replace(made.sampling, first=0))
        done = decode(made)
    frame_count = done.frame_count
    if not frame_count:
        raise Damaged(attachment.name, "has no picture that decodes")
    expected_s, decoded_s = min(declared_s, longest_s), frame_count / fps
    # What a header declares is no evidence by itself; an AVI's may count every frame of packed MPEG-4 twice.
    if done.stderr.strip() and decoded_s < expected_s * (0.5 if info.format == "avi" else 0.9) - 0.5:
        raise Damaged(
            attachment.name,
            f"decodes for {decoded_s:.1f} s of the {expected_s:.1f} s that it declares; copy or download it again",
        )
    return _mezzanine(made, fps, frame_count, decoded_s < longest_s - 1, look.matrix == "bt709", workspace)


@logged("decode")
def _decode(
    attachment: Attachment,
    look: Look,
    made: _Made,
    *,
    longest_s: float,
    fps: float,
    workspace: Workspace,
) -> ffmpeg.Completed:
    """One run over the whole clip, ``longest_s`` at most, for all that is ``made``."""
    info = look.info
    options: dict[str, str | float] = {"t": longest_s}
    shrinks_to = max(made.size_px) / max(info.width_px or 320, info.height_px or 240)
    if unfiltered := next((frames for most, frames in _UNFILTERED if shrinks_to <= most), ""):
        options["skip_loop_filter"] = unfiltered
    shown = upright_pictures(attachment, info, workspace, **options).filter("fps", f"{fps:.6f}", start_time=0)
    if info.is_single_frame:
        # One picture that somebody talks about stands for as long as they do, and costs what such a clip does.
        standing_s = min(info.duration_s or 0.0, longest_s)
        shown = shown.filter("tpad", stop_mode="clone", stop_duration=f"{standing_s:.3f}")
        shown = shown.filter("trim", end=f"{standing_s:.3f}")
    shown = shown.filter_multi_output("split")
    sampled = shown[1].filter("select", made.sampling.expression)
    references = plain(sampled, look, made.display_px)
    outputs = _outputs(plain(shown[0], look, made.size_px, "sharp"), references, made, fps)
    with naming_the_codec(attachment, info, workspace), ffmpeg.decoding(attachment.name):
        return ffmpeg.run(workspace, graph.merge_outputs(*outputs))


def _made(
    size_px: tuple[int, int], display_px: tuple[int, int], frames: int, workspace: Workspace, limit_bytes: int = 0
) -> _Made:
    """Places, sizes and references for a clip of ``frames`` frames; 0 where nobody knows how many there are.

    ``limit_bytes`` is what it may weigh at most; 0 where that is not known.
    """
    period = max(_LEAST_PERIOD, 6 * math.ceil(frames / _REFERENCE_GROUPS / 6)) if frames else _UNKNOWN_PERIOD
    first = math.floor(period * _FIRST_REFERENCE / 6) * 6 if frames else 0
    many_bits = limit_bytes * 8 >= _FINELY_BITS * frames * math.prod(size_px)
    finely = FEWEST_FRAMES <= frames < FEW_FRAMES and many_bits
    plain = frames and frames * size_px[0] * size_px[1] * 3 // 2 <= _MOST_PLAIN_BYTES
    return _Made(
        picture=workspace.new_path(".y4m" if plain else ".nut"),
        demuxer="yuv4mpegpipe" if plain else "nut",
        references=workspace.new_path(".y4m"),
        probe=workspace.new_path(".h264"),
        log=workspace.new_path(""),
        frames=workspace.new_path(".rgb"),
        size_px=size_px,
        display_px=display_px,
        probe_px=within(*size_px, FINE_PROBE_LONG_PX if finely else PROBE_LONG_PX),
        probe_crf=FINE_PROBE_CRF if finely else PROBE_CRF,
        probe_qp=FINE_PROBE_QP if finely else PROBE_QP,
        sampling=Sampling(first, period),
        by_zimg="zscale" in ffmpeg.filters(workspace.settings),
    )


def _outputs(picture: Any, references: Any, made: _Made, fps: float) -> list[Any]:
    """Everything that one decode feeds."""
    both, seen = picture.filter_multi_output("split"), references.filter_multi_output("split")
    plain = {"f": "yuv4mpegpipe"}
    # Without a loss, a third to a tenth as large, for two milliseconds a frame.
    small = {"f": "nut", "c:v": "libx264", "preset": "ultrafast", "qp": 0, "threads": _THREADS}
    return [
        # First: ffmpeg numbers logs by outputs.
        scaled(both[1], made.probe_px, "soft", made.by_zimg).output(
            str(made.probe), f="h264", fps_mode="passthrough", **_probing(made, fps)
        ),
        both[0].output(str(made.picture), fps_mode="passthrough", **(plain if made.demuxer != "nut" else small)),
        seen[0].output(str(made.references), fps_mode="passthrough", **plain),
        frames_of(seen[1], made.frames),
    ]


def _probing(made: _Made, fps: float) -> dict[str, Any]:
    """Options of an encode that second passes of other sizes can go on from.

    What weighs blocks against each other is taken from its log, so that has to be as they want it: the look-ahead,
    adaptive quantisation and how evenly bits are spread. With x264's own "veryfast" they are 0.4 VMAF poorer.
    """
    return {
        "c:v": "libx264",
        "preset": "veryfast",
        "profile:v": "baseline",
        "crf": made.probe_crf,
        "rc-lookahead": _LOOK_AHEAD,
        "aq-strength": AQ_STRENGTH,
        "qcomp": QCOMP,
        "x264-params": CHROMA,
        "g": round(fps * KEY_FRAME_S),
        "threads": _THREADS,
        "fastfirstpass": 0,
        "pass": 1,
        "passlogfile": str(made.log),
    }


def _mezzanine(
    made: _Made, fps: float, frame_count: int, complete: bool, bt709: bool, workspace: Workspace
) -> Mezzanine:
    rate_kbps = max(1.0, workspace.size_bytes(made.probe) * 8 / 1000 * fps / frame_count)
    return Mezzanine(
        picture=made.picture,
        demuxer=made.demuxer,
        references=made.references,
        sampling=made.sampling,
        probe=Probe(made.probe, made.log, rate_kbps, made.probe_px, made.probe_qp),
        width_px=made.size_px[0],
        height_px=made.size_px[1],
        display_px=made.display_px,
        fps=fps,
        frame_count=frame_count,
        complete=complete,
        bt709=bt709,
        contrast=frames_contrast(workspace.read(made.frames)),
        by_zimg=made.by_zimg,
    )


def longest_clip_s(limit_bytes: int) -> float:
    """Seconds of clip that ``limit_bytes`` can carry at all, at 10 kbit/s."""
    return limit_bytes * 8 / 1000 / _LOWEST_RATE_KBPS


def mezzanine_of_pictures(
    frames: Sequence[tuple[Image.Image, int]], rules: VideoRules, workspace: Workspace
) -> Mezzanine:
    """A mezzanine of RGB pictures of one size, each with how many milliseconds it stands; timing is kept.

    ffmpeg is handed every picture once, and repeats it for as long as it stands, at the rate of the one that stands
    shortest. For pictures that together stand no longer than :func:`longest_clip_s`.
    """
    shortest_ms = min(duration_ms for _, duration_ms in frames)
    fps = min(rules.max_fps, _UNKNOWN_FPS, max(_SLOWEST_PICTURES_FPS, 1000 / shortest_ms))
    ends = [round(end * fps / 1000) for end in accumulate(duration_ms for _, duration_ms in frames)]
    frame_count = max(1, ends[-1])
    places = [(image, start) for (image, _), start, end in zip(frames, [0, *ends], ends, strict=False) if end > start]
    places = places or [(frames[0][0], 0)]
    # A stream says when a picture begins, not when the last one ends.
    places.append((places[-1][0], frame_count))
    width, height = frames[0][0].size
    made = _made(allowed_px(width, height, rules), (even(width), even(height)), frame_count, workspace)
    rate = f"{fps:.6f}"
    shown = graph.input("pipe:0", f="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=rate).video
    both = shown.filter("setpts", _steps([start for _, start in places])).filter_multi_output("split")
    sized = _pictures_in(both[0], made.size_px, "sharp"), _pictures_in(both[1], made.display_px, "lanczos")
    repeated = [stream.filter("fps", rate).filter("trim", end_frame=frame_count) for stream in sized]
    outputs = _outputs(repeated[0], repeated[1].filter("select", made.sampling.expression), made, fps)
    ffmpeg.run(workspace, graph.merge_outputs(*outputs), stdin=b"".join(image.tobytes() for image, _ in places))
    return _mezzanine(made, fps, frame_count, True, False, workspace)


def _steps(starts: Sequence[int]) -> str:
    """When each picture begins, in frames, as ffmpeg computes it from the picture's number ``N``."""
    terms = []
    done = 0
    for step, alike in groupby(after - before for before, after in pairwise(starts)):
        many = len(list(alike))
        terms.append(f"{step}*clip(N-{done},0,{many})" if many > 1 else f"{step}*gte(N,{done + 1})")
        done += many
    return _sum(terms) or "0"


def _sum(terms: Sequence[str]) -> str:
    """In brackets around halves: to ffmpeg a long sum is nested as deep as it has terms, and 100 are too deep."""
    if len(terms) < 3:
        return "+".join(terms)
    middle = len(terms) // 2
    return f"({_sum(terms[:middle])})+({_sum(terms[middle:])})"


def _pictures_in(stream: Any, size: tuple[int, int], kernel: Kernel) -> Any:
    """RGB as the colours that untagged video is taken for."""
    stream = by_swscale(stream, size, kernel, out_range="tv", out_color_matrix="bt601")
    return stream.filter("setsar", "1").filter("format", "yuv420p")


def _declared_s(info: MediaInfo) -> float:
    """How long the pictures last; the sound of a clip may last longer, but for one picture, which stands as long."""
    duration_s = info.duration_s or 0.0
    if not info.is_single_frame and info.frame_count and info.frame_rate_fps:
        return min(duration_s, info.frame_count / info.frame_rate_fps) if duration_s else 0.0
    return duration_s


def _frame_rate(source_fps: float | None, most_fps: float) -> float:
    """The source's rate, or a whole fraction of it: uneven steps are seen as jerks."""
    fps = source_fps or min(_UNKNOWN_FPS, most_fps)
    divided = fps / math.ceil(fps / (most_fps * _FPS_TOLERANCE))
    return divided if divided >= 0.6 * most_fps or divided == fps else most_fps
