"""Encoding a mezzanine: a probe, a first pass, a second pass with sound.

Comes in: a mezzanine, PCM, the settings of one encode. Goes out: bytes, or what a pass found. Never: a decision
about size or rate, or output that differs from run to run (threads are counted, nothing is stamped).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg as graph

from mmsprep.errors import ToolError
from mmsprep.profile import AudioStep, VideoRules
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.recording import encoder_options
from mmsprep.transcode.video.mezzanine import Mezzanine, even
from mmsprep.transcode.video.model import PROBE_CRF, PROBE_LONG_PX

_PROBE_S = 30.0
_THREADS = 2
_KEY_FRAME_S = 10
_CHUNK_US = 1_000_000
_FIRST_PASS_QP = 3.5
"""How much coarser the hasty first pass is than the second."""
_MPEG4_LEVEL_CODES = {"0": 8, "0b": 9}
"""ISO/IEC 14496-2, table G.1: the levels of the Simple profile whose code is not their number."""
_ENCODERS = {"h264": "libx264", "mpeg4": "mpeg4", "h263": "h263"}


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """One encode: rules, rung for the sound, width and height, every frame or every other one, seconds."""

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


@dataclass(frozen=True, slots=True)
class Probe:
    """A small encode at a fixed quantiser: where it lies, its rate and its width and height."""

    path: Path
    rate_kbps: float
    size_px: tuple[int, int]


def encode_probe(mezzanine: Mezzanine, workspace: Workspace) -> Probe:
    """Encode the first 30 s small and fast: how hard the clip is."""
    factor = min(1.0, PROBE_LONG_PX / max(mezzanine.width_px, mezzanine.height_px))
    size = even(mezzanine.width_px * factor), even(mezzanine.height_px * factor)
    path = workspace.new_path(".h264")
    stream = graph.input(f"file:{mezzanine.picture}", f="yuv4mpegpipe", t=_PROBE_S).filter(
        "scale", *size, flags="bicubic"
    )
    options = {"c:v": "libx264", "preset": "veryfast", "profile:v": "baseline", "crf": PROBE_CRF, "threads": _THREADS}
    ffmpeg.run(workspace, stream.output(str(path), f="h264", **options))
    seconds = min(_PROBE_S, mezzanine.picture_s)
    return Probe(path, max(1.0, workspace.size_bytes(path) * 8 / 1000 / seconds), size)


def first_pass(
    mezzanine: Mezzanine, settings: ClipSettings, rate_kbps: float, log: Path, workspace: Workspace
) -> float | None:
    """Analyse the pictures; the mean quantiser to expect of H.264, ``None`` for other codecs."""
    options = _picture_options(mezzanine, settings, rate_kbps) | {"pass": 1, "passlogfile": str(log)}
    ffmpeg.run(workspace, _pictures(mezzanine, settings).output("pipe:1", f="null", **options))
    if settings.rules.codec != "h264":
        return None
    quantisers = re.findall(
        r" q:([\d.]+)", workspace.read(log.with_name(f"{log.name}-0.log")).decode("utf-8", "replace")
    )
    if not quantisers:
        raise ToolError("ffmpeg: its log of the first pass makes no sense")
    return sum(map(float, quantisers)) / len(quantisers) - _FIRST_PASS_QP


def encode(
    mezzanine: Mezzanine,
    sound: Path | None,
    settings: ClipSettings,
    rate: tuple[float, float],
    log: Path | None,
    workspace: Workspace,
) -> bytes:
    """The second pass, with sound, in the profile's container: index first, no tags.

    ``rate`` is the pictures' in kbit/s, and the weight of x264's psychovisual model (1 is its own).
    """
    rules = settings.rules
    rate_kbps, psy_rd = rate
    options = _picture_options(mezzanine, settings, rate_kbps) | {"pass": 2, "passlogfile": str(log)}
    if rules.codec == "h264":
        options["psy-rd"] = f"{psy_rd}:0"
        # The encoder's name and settings, 600 bytes of them.
        options["bsf:v"] = "filter_units=remove_types=6"
    streams = [_pictures(mezzanine, settings)]
    if settings.rung and sound:
        streams.append(graph.input(f"file:{sound}", f="wav", t=f"{settings.duration_s:.3f}").audio)
        options |= {key: value for key, value in encoder_options(settings.rung).items() if key != "f"}
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
    return data


def _pictures(mezzanine: Mezzanine, settings: ClipSettings) -> Any:
    """The mezzanine's frames as they are encoded; the last one stays while the sound goes on."""
    seconds = min(settings.duration_s, mezzanine.picture_s)
    stream = graph.input(f"file:{mezzanine.picture}", f="yuv4mpegpipe", t=f"{seconds:.3f}").video
    if settings.every > 1:
        stream = stream.filter("framestep", settings.every)
    inner = settings.inner_px(mezzanine)
    if inner != (mezzanine.width_px, mezzanine.height_px):
        stream = stream.filter("scale", *inner, flags="lanczos")
    if inner != settings.frame_px:
        stream = stream.filter("pad", *settings.frame_px, "(ow-iw)/2", "(oh-ih)/2")
    stream = stream.filter("setsar", "1")
    if mezzanine.bt709:
        stream = stream.filter("setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709")
    if settings.duration_s > mezzanine.picture_s:
        longer_s = settings.duration_s - mezzanine.picture_s
        stream = stream.filter("tpad", stop_mode="clone", stop_duration=f"{longer_s:.3f}")
    return stream


def _picture_options(mezzanine: Mezzanine, settings: ClipSettings, rate_kbps: float) -> dict[str, Any]:
    rules = settings.rules
    fps = mezzanine.fps / settings.every
    options: dict[str, Any] = {
        "c:v": _ENCODERS[rules.codec],
        "b:v": round(rate_kbps * 1000),
        "pix_fmt": "yuv420p",
        "g": round(fps * _KEY_FRAME_S),
        "map_metadata": -1,
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
    }
    if rules.codec == "h264":
        return options | {
            "preset": "slow",
            "profile:v": rules.codec_profile or "baseline",
            "level:v": rules.codec_level or "3.0",
            "threads": _THREADS,
        }
    if rules.codec == "mpeg4":
        # Else the stream says that it is of level 1, whatever it holds.
        level = rules.codec_level or "3"
        options |= {"profile:v": 0, "level:v": _MPEG4_LEVEL_CODES.get(level, level)}
    options |= {"threads": 1, "mbd": "rd", "trellis": 1, "cmp": "satd", "subcmp": "satd"}
    return options | {"maxrate": round(rules.max_rate_kbps * 1000), "bufsize": round(rules.max_rate_kbps * 1000)}
