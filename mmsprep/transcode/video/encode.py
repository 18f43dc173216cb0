"""Encoding a mezzanine: a first pass, the sound, a second pass.

Comes in: a mezzanine, PCM, the settings of one encode. Goes out: bytes, and what the pass found. Never: a decision
about size or rate, or output that differs from run to run (threads are counted, nothing is stamped).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg as graph

from mmsprep.errors import ToolError
from mmsprep.formats.codec_levels import lowest_h264_level
from mmsprep.formats.isobmff import without_signatures
from mmsprep.hearing.filters import Levels
from mmsprep.profile import AudioStep, VideoRules
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace, no_room
from mmsprep.transcode.sound.recording import encoder_options
from mmsprep.transcode.video.mezzanine import (
    AQ_STRENGTH,
    CHROMA,
    FEW_FRAMES,
    FEWEST_FRAMES,
    KEY_FRAME_S,
    QCOMP,
    Mezzanine,
)
from mmsprep.transcode.video.model import PROBE_QP
from mmsprep.transcode.video.pictures import scaled
from mmsprep.transcode.video.sizes import MACROBLOCK_PX, even
from mmsprep.transcode.video.steps import logged

_THREADS = 2
"""Always as many: what x264 makes depends on it."""
_CHUNK_US = 1_000_000
"""Microseconds of pictures, and of sound, that lie together in the file."""
_STANDS_S, _SAME_S = 1.0, 1e-6
"""Seconds that the last frame may be shown for longer in the container, without more frames, while the sound goes on;
less than any frame lasts."""
_STANDS_STILL = 0.005
"""Of the blocks of a frame: where no more change, it is as the one before."""
_MPEG4_LEVEL_CODES = {"0": 8, "0b": 9}
"""ISO/IEC 14496-2, table G.1: the levels of the Simple profile whose code is not their number."""
_ABOVE_BLOCKS_QP = 2.5
"""How much higher the quantiser that x264's log has of a frame is than the mean of its blocks."""
_FINER_QP, _COARSER_QP = 5.6, 8.0
"""By how much the quantiser of an encode that goes on from the probe may be finer than the probe's; and coarser, where
frames are few."""
_LOG, _TREE = "-0.log", "-0.log.mbtree"
"""How the names of x264's logs go on: of frames, of blocks."""
_ENCODERS = {"h264": "libx264", "mpeg4": "mpeg4", "h263": "h263"}
_PRESETS = ((10e6, ("slow", 3, 2)), (float("inf"), ("medium", 1, 1)))
_EFFORT, _EFFORT_OF_PLENTY, _PLENTY_BITS = 8, 7, 0.08
"""Up to so many pixels in all frames: where x264's settings begin, frames that it looks back to, how often it weighs
coefficients; how carefully it weighs what a block costs, also where a short clip has so many bits a pixel."""
_SPARED = "chroma-me=0:deblock=-1,-1"
"""What x264 does without: colours where it looks for motion, a step of smoothing between blocks."""
PSY_RD = 0.5
"""The weight of x264's psychovisual model."""
_PEAK = 3.0
"""How far above its mean rate a second of a clip may be: the level leaves room for it."""


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """One encode: rules, rung for the sound, width and height, every n-th frame kept, seconds."""

    rules: VideoRules
    rung: AudioStep | None
    frame_px: tuple[int, int]
    every: int
    duration_s: float

    def inner_px(self, mezzanine: Mezzanine) -> tuple[int, int]:
        """Width and height of the picture inside the frame; bars are left where the profile fixes the frame's size."""
        if not self.rules.fixed_sizes:
            return self.frame_px
        factor = min(self.frame_px[0] / mezzanine.width_px, self.frame_px[1] / mezzanine.height_px)
        return (
            min(self.frame_px[0], even(mezzanine.width_px * factor)),
            min(self.frame_px[1], even(mezzanine.height_px * factor)),
        )

    def stands_s(self, mezzanine: Mezzanine) -> float:
        """Seconds that the last frame is shown for longer while the sound goes on; 0 where it is repeated for them."""
        longer_s = max(0.0, self.duration_s - mezzanine.picture_s)
        return longer_s if longer_s <= _STANDS_S and self.is_baseline else 0.0

    def pictured_s(self, mezzanine: Mezzanine) -> float:
        """Seconds of frames that are encoded."""
        return self.duration_s - self.stands_s(mezzanine)

    @property
    def is_baseline(self) -> bool:
        """Whether it is H.264 whose last frame is the one that is shown last, too."""
        return self.rules.codec == "h264" and (self.rules.codec_profile or "baseline") == "baseline"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A finished encode, and what its log tells.

    ``qp`` is the mean quantiser (``None`` where the codec's log has none), ``standing`` the share of the frames that
    are as the one before, ``still`` that of the blocks.
    """

    data: bytes
    qp: float | None = None
    standing: float = 0.0
    still: float = 0.0


@logged("first pass")
def first_pass(mezzanine: Mezzanine, settings: ClipSettings, rate_kbps: float, workspace: Workspace) -> Path:
    """The log that second passes with these settings go on from, made at this size and rate.

    Raises:
        ToolError: ffmpeg does not encode them.
    """
    log = workspace.new_path("")
    options = _picture_options(mezzanine, settings, rate_kbps) | {"pass": 1, "passlogfile": str(log)}
    ffmpeg.run(workspace, _pictures(mezzanine, settings).output("pipe:1", f="null", **options))
    return log


def is_first_pass(mezzanine: Mezzanine, settings: ClipSettings, qp: float) -> bool:
    """Whether the probe does as the first pass of an encode that is expected to have the mean quantiser ``qp``.

    x264 scales what a log says of few pixels to more of them. It must be of the very frames, and not of a much coarser
    quantiser: what was skipped tells nothing. Then it is as good as a first pass at the size and rate (0.1 VMAF better,
    mean of ten clips); where the quantiser is finer, up to 8 worse. The finer probe of a short clip is within 0.3 of it
    (four clips), and up to 1.1 worse where the quantiser is far coarser.
    """
    rules = settings.rules
    is_all = abs(settings.pictured_s(mezzanine) - mezzanine.picture_s) < _SAME_S
    same = settings.every == 1 and is_all and not rules.fixed_sizes
    coarser_qp = qp - mezzanine.probe.qp
    tells = mezzanine.frame_count >= FEW_FRAMES or (
        mezzanine.frame_count >= FEWEST_FRAMES and mezzanine.probe.qp < PROBE_QP and coarser_qp <= _COARSER_QP
    )
    return same and settings.is_baseline and tells and coarser_qp >= -_FINER_QP


def encode_sound(samples: Levels, rate_hz: int, rung: AudioStep, workspace: Workspace) -> Path:
    """The sound track as it goes into the clip, alone in an MP4 or (AMR) a 3GP."""
    target = workspace.new_path(".sound")
    options = encoder_options(rung) | {"f": "3gp" if rung.format == "amr" else "mp4"}
    raw = graph.input("pipe:0", f="f32le", ar=rate_hz, ac=samples.shape[1])
    ffmpeg.run(workspace, raw.output(str(target), **options), stdin=samples.tobytes())
    return target


@logged("second pass")
def encode(
    mezzanine: Mezzanine,
    sound: Path | None,
    settings: ClipSettings,
    rate: tuple[float, float],
    log: Path,
    workspace: Workspace,
) -> Encoded:
    """The second pass, with the encoded sound, in the profile's container: index first, no tags.

    ``rate`` is the pictures' in kbit/s, and the weight of x264's psychovisual model.
    """
    rate_kbps, psy_rd = rate
    options = _picture_options(mezzanine, settings, rate_kbps)
    if settings.rules.codec != "h264":
        options |= {"pass": 2, "passlogfile": str(log)}
        return Encoded(_muxed(mezzanine, sound, settings, options, workspace))
    own = _copied(log, workspace)
    options |= {"pass": 3, "passlogfile": str(own), "psy-rd": f"{psy_rd}:0"}
    try:
        data = _muxed(mezzanine, sound, settings, options, workspace)
        words = workspace.read(own.with_name(own.name + _LOG)).decode("utf-8", "replace")
    finally:
        for end in (_LOG, _TREE):
            own.with_name(own.name + end).unlink(missing_ok=True)
    quantisers = re.findall(r" q:([\d.]+)", words)
    if not quantisers:
        raise ToolError("ffmpeg: its log of the second pass makes no sense")
    changed = [sum(map(int, pair)) for pair in re.findall(r" imb:(\d+) pmb:(\d+) ", words)]
    blocks = math.prod(-(-side_px // MACROBLOCK_PX) for side_px in settings.frame_px)
    standing = sum(count <= _STANDS_STILL * blocks for count in changed) / len(quantisers)
    still = 1 - sum(changed) / (blocks * len(quantisers))
    qp = sum(map(float, quantisers)) / len(quantisers) - _ABOVE_BLOCKS_QP
    return Encoded(data, qp, standing, still)


def _copied(log: Path, workspace: Workspace) -> Path:
    """A log of a first pass to go on from: x264 writes what it does over it."""
    own = workspace.new_path("")
    for end in (_LOG, _TREE):
        data = workspace.read(log.with_name(log.name + end))
        try:
            with workspace.create(own.with_name(own.name + end)) as file:
                file.write(data)
        except OSError as error:
            raise no_room(error.strerror) from error
    return own


@logged("constant quality")
def encode_finely(
    mezzanine: Mezzanine, sound: Path | None, settings: ClipSettings, crf: float, most_kbps: float, workspace: Workspace
) -> bytes:
    """H.264 in one pass at a constant quality, whatever that weighs; else as :func:`encode`.

    ``most_kbps`` is what the level must leave room for.
    """
    options = _picture_options(mezzanine, settings, most_kbps) | {"crf": f"{crf:.1f}"}
    del options["b:v"]
    return _muxed(mezzanine, sound, settings, options, workspace)


def _muxed(
    mezzanine: Mezzanine, sound: Path | None, settings: ClipSettings, options: dict[str, Any], workspace: Workspace
) -> bytes:
    rules = settings.rules
    if rules.codec == "h264":
        # The encoder's name and settings, 600 bytes of them.
        options["bsf:v"] = "filter_units=remove_types=6"
    if stands_s := settings.stands_s(mezzanine):
        last = math.ceil(mezzanine.frame_count / settings.every) - 1
        options["bsf:v"] += f",setts=duration=DURATION+ceil({stands_s:.3f}/TB)*not(N-{last})"
    streams = [_pictures(mezzanine, settings)]
    if sound:
        streams.append(graph.input(f"file:{sound}", f="mov").audio)
        options["c:a"] = "copy"
    target = workspace.new_path(f".{rules.format}")
    options |= {
        "f": rules.format,
        "brand": rules.brand,
        "movflags": "+faststart",
        # One chunk a frame, the muxer's own choice, costs up to 4 % of a clip with AMR.
        "chunk_duration": _CHUNK_US,
    }
    ffmpeg.run(workspace, graph.output(*streams, str(target), **options))
    data = workspace.read(target)
    target.unlink()
    return without_signatures(data)


def whole_kbps(rate_kbps: float) -> int:
    """The rate as x264 takes it: it knows whole kbit/s alone."""
    return max(1, int(rate_kbps))


def _pictures(mezzanine: Mezzanine, settings: ClipSettings) -> Any:
    """The mezzanine's frames as they are encoded; the last one stays while the sound goes on."""
    seconds = min(settings.duration_s, mezzanine.picture_s)
    stream = graph.input(f"file:{mezzanine.picture}", f=mezzanine.demuxer, t=f"{seconds:.3f}").video
    if settings.every > 1:
        if first := kept_first(settings.every):
            stream = stream.filter("trim", start_frame=first).filter("setpts", "PTS-STARTPTS")
            stream = stream.filter("tpad", stop=first, stop_mode="clone")
        stream = stream.filter("framestep", settings.every)
    inner = settings.inner_px(mezzanine)
    if inner != (mezzanine.width_px, mezzanine.height_px):
        stream = scaled(stream, inner, "sharp", mezzanine.by_zimg)
    if inner != settings.frame_px:
        stream = stream.filter("pad", *settings.frame_px, "(ow-iw)/2", "(oh-ih)/2")
    stream = stream.filter("setsar", "1")
    colours = "bt709" if mezzanine.bt709 else "smpte170m"
    stream = stream.filter("setparams", range="tv", color_primaries="bt709", color_trc="bt709", colorspace=colours)
    if (longer_s := settings.pictured_s(mezzanine) - mezzanine.picture_s) > _SAME_S:
        stream = stream.filter("tpad", stop_mode="clone", stop_duration=f"{longer_s:.3f}")
    return stream


def kept_first(every: int) -> int:
    """The frame that is kept of the first ``every``: of three the middle one, which is a frame early and then late by
    one, where the first would be late by two."""
    return 1 if every > 2 else 0


def _picture_options(mezzanine: Mezzanine, settings: ClipSettings, rate_kbps: float) -> dict[str, Any]:
    rules = settings.rules
    fps = mezzanine.fps / settings.every
    options: dict[str, Any] = {
        "c:v": _ENCODERS[rules.codec],
        "b:v": whole_kbps(rate_kbps) * 1000,
        "pix_fmt": "yuv420p",
        "g": round(fps * KEY_FRAME_S),
        "map_metadata": -1,
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
    }
    if rules.codec == "h264":
        return options | _h264_options(settings, fps, rate_kbps)
    if rules.codec == "mpeg4":
        # Else the stream says that it is of level 1, whatever it holds.
        level = rules.codec_level or "3"
        options |= {"profile:v": 0, "level:v": _MPEG4_LEVEL_CODES.get(level, level)}
    options |= {"threads": 1, "mbd": "rd", "trellis": 1, "cmp": "satd", "subcmp": "satd"}
    return options | {"maxrate": round(rules.max_rate_kbps * 1000), "bufsize": round(rules.max_rate_kbps * 1000)}


def _h264_options(settings: ClipSettings, fps: float, rate_kbps: float) -> dict[str, Any]:
    """x264 as small screens and few bytes want it.

    On clips of other people, at equal bytes, against x264's own choice: weaker adaptive quantisation +1.0 VMAF, bits
    spread more evenly over time +0.4, less psychovisual noise +0.3, chroma two steps coarser +0.5. All four make "fast"
    as good as an untuned "slow" is, in two thirds of its time. Of what "slow" does, ``subme`` 8 is what pays: with it
    and two reference frames "medium" is 0.25 VMAF behind "slow" on four small clips, in half the time, and on three
    large ones 0.8 ahead of "medium" and 0.9 of "fast", in a tenth and a fifth more. With one reference frame it is as
    good as with two (0.02 better in the mean of 21 clips and budgets, 0.6 worse and better at most), in a twentieth to
    a seventh less. The smallest, where "slow" takes half a second more, get it with three. A few seconds of many
    pixels have bits enough that ``subme`` 7 is 0.3 behind (0.6 at most, four clips), in a fifth less time; of few bits
    it is up to 0.8. A step less of smoothing between blocks is 0.2 VMAF better (NEG 0.15); a search for motion that
    does not look at colours takes a tenth to a sixth less, for 0.1 dB of the colours.
    """
    rules, (width_px, height_px) = settings.rules, settings.frame_px
    pixels_a_second = width_px * height_px * fps
    pixels = pixels_a_second * settings.duration_s
    preset, frames, trellis = next(preset for most, preset in _PRESETS if pixels <= most)
    plenty = (
        fps * settings.duration_s * settings.every < FEW_FRAMES and rate_kbps * 1000 / pixels_a_second >= _PLENTY_BITS
    )
    profile, highest = rules.codec_profile or "baseline", rules.codec_level or "3.0"
    return {
        "preset": preset,
        "subq": _EFFORT_OF_PLENTY if plenty and preset == "medium" else _EFFORT,
        "refs": frames,
        "trellis": trellis,
        "profile:v": profile,
        "level:v": lowest_h264_level(width_px, height_px, fps, rate_kbps * _PEAK, frames, highest),
        "aq-strength": AQ_STRENGTH,
        "qcomp": QCOMP,
        "psy-rd": f"{PSY_RD}:0",
        "x264-params": f"{CHROMA}:{_SPARED}:ratetol=0.1",
        "threads": _THREADS,
    }
