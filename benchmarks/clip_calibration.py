"""Clips on the scale of pictures: what SSIMULACRA2 says of their frames, beside VMAF and its phone model.

    python benchmarks/clip_calibration.py FOLDER [--most N] [--forecast]

Two seconds of every clip of the folder are encoded at three widths and three qualities. VMAF is that of the display
size, as mmsprep measures it; SSIMULACRA2 is that of single frames at the size at which a phone shows a photograph
(``docs/picture-quality.md``), the clip's frame enlarged to it. What mmsprep reports stands beside both. A frame that
moves is forgiven more than one that stands still, so SSIMULACRA2 is where it should not be far below, not its aim.

``--forecast`` holds what is foretold of a clip from its probe against VMAF of what then is made of it, at 280 and 90 kB
without sound; and fits the constants of the forecast anew, each clip foretold by a fit to all others.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmsprep import inspect
from mmsprep.model import Attachment
from mmsprep.profile import load_profile
from mmsprep.settings import Settings
from mmsprep.tools.ffmpeg import executable
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image.viewing import SEEN_LONG_PX, SEEN_SHORT_PX
from mmsprep.transcode.video.encode import PSY_RD, ClipSettings, encode, first_pass
from mmsprep.transcode.video.forecast import Forecast
from mmsprep.transcode.video.mezzanine import DISPLAY_LONG_PX, decode_mezzanine
from mmsprep.transcode.video.model import (
    PROBE_QP,
    foreseen_vmaf,
    predicted_vmaf,
    quantiser,
    seen_quality,
    usual_long_px,
)
from mmsprep.transcode.video.search import Made, find

_SECONDS, _FPS, _FRAMES = 2, 12, (5, 16)
_WIDTHS_PX, _CRFS = (176, 320, 512), (20, 28, 36)
_LIMITS_BYTES = (280_000, 90_000)
_BANDS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 101)


@dataclass(frozen=True)
class Sample:
    """One encode: its clip, VMAF, and the mean SSIMULACRA2 of its frames."""

    clip: str
    vmaf: float
    ssimulacra2: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=20)
    parser.add_argument("--forecast", action="store_true")
    asked = parser.parse_args()
    clips = sorted(path for path in asked.folder.iterdir() if path.suffix in (".mp4", ".mov", ".avi", ".mkv", ".webm"))
    if asked.forecast:
        _print_forecasts([one for clip in clips[: asked.most] for one in _forecasts(clip)])
        return
    samples: list[Sample] = []
    for clip in clips[: asked.most]:
        found = _measured(clip)
        samples += found
        print(f"{clip.name}: " + ", ".join(f"{one.vmaf:.0f}/{one.ssimulacra2:.0f}" for one in found), flush=True)
    print(f"\n{'VMAF':>8}  encodes  SSIMULACRA2 (10th, median, 90th)  reported")
    for low, high in zip((0, *_BANDS), _BANDS, strict=False):
        inside = [one for one in samples if low <= one.vmaf < high]
        if inside:
            scores = np.percentile([one.ssimulacra2 for one in inside], (10, 50, 90))
            reported = np.mean([seen_quality(one.vmaf, 1) for one in inside])
            print(
                f"{low:>3}..{high:<3}  {len(inside):7}  "
                f"{scores[0]:9.1f} {scores[1]:9.1f} {scores[2]:9.1f}  {reported:13.1f}"
            )
    errors = [seen_quality(one.vmaf, 1) - one.ssimulacra2 for one in samples if one.ssimulacra2 > 30]
    print(f"reported less SSIMULACRA2, where that is above 30: mean {np.mean(errors):+.1f}, RMSE {np.std(errors):.1f}")


@dataclass(frozen=True)
class Foretold:
    """One encode: its clip, what the model says of it, what it is foreseen to be and is (VMAF); what a fit goes by."""

    clip: str
    modelled: float
    foreseen: float
    measured: float
    terms: tuple[float, float, float]


def _forecasts(clip: Path) -> list[Foretold]:
    """What the probe foretells at each limit, and what the clip then is."""
    rules = load_profile("smsglobal").video
    (looked,) = inspect([clip])
    if rules is None or looked.info is None:
        return []
    forecasts = []
    with Workspace(Settings()) as workspace:
        attachment = Attachment(0, clip.name, clip.stat().st_size, path=clip)
        mezzanine = decode_mezzanine(attachment, looked.info, rules, max(_LIMITS_BYTES), workspace)
        forecast = Forecast(mezzanine, workspace)
        hard = forecast.hardness
        for limit_bytes in _LIMITS_BYTES:
            kbps = min(limit_bytes * 8 / 1000 / mezzanine.picture_s, rules.max_rate_kbps)
            settings = ClipSettings(rules, None, (0, 0), 1, mezzanine.picture_s)

            def made(settings: ClipSettings, kbps: float) -> Made:
                log = first_pass(mezzanine, settings, kbps, workspace)
                encoded = encode(mezzanine, None, settings, (kbps, PSY_RD), log, workspace)
                return Made(kbps, len(encoded.data) * 8 / 1000 / mezzanine.picture_s, encoded)

            measured = find(mezzanine, forecast, settings, kbps, made, workspace).seen or 0.0
            px = usual_long_px(hard, kbps, mezzanine.long_px)
            terms = (1.0, hard.offset, (quantiser(hard, px, 1, kbps) - PROBE_QP) / 10)
            vmafs = predicted_vmaf(hard, kbps, px), foreseen_vmaf(hard, kbps, px), measured
            forecasts.append(Foretold(clip.name, *vmafs, terms))
            print(
                f"{clip.name[:24]:24}{limit_bytes:9,} bytes: model {vmafs[0]:5.1f}, foreseen {vmafs[1]:5.1f},", end=" "
            )
            print(f"measured {measured:5.1f}", flush=True)
    return forecasts


def _print_forecasts(found: list[Foretold]) -> None:
    def logit(vmaf: float) -> float:
        vmaf = min(98.0, max(2.0, vmaf))
        return math.log(vmaf / (100 - vmaf))

    def fit(some: list[Foretold]) -> np.ndarray:
        """Least squares, all but the constant drawn a little towards 0."""
        terms = np.array([one.terms for one in some])
        more = np.array([logit(one.measured) - logit(one.modelled) for one in some])
        return np.linalg.solve(terms.T @ terms + np.diag([0, 1, 1]), terms.T @ more)

    held_out = []
    for one in found:
        logit_more = fit([other for other in found if other.clip != one.clip]) @ np.array(one.terms)
        held_out.append(100 / (1 + math.exp(-logit(one.modelled) - logit_more)) - one.measured)
    for what, errors in (
        ("the model alone", [one.modelled - one.measured for one in found]),
        ("as it is foreseen", [one.foreseen - one.measured for one in found]),
        ("by a fit to the other clips", held_out),
    ):
        print(f"{what:28}: mean {np.mean(errors):+5.1f}, mean of absolute {np.mean(np.abs(errors)):4.1f}", end="")
        print(f", worst {np.max(np.abs(errors)):4.1f}")
    print("fitted to all:", ", ".join(f"{value:.2f}" for value in fit(found)))


def _measured(clip: Path) -> list[Sample]:
    from ssimulacra import Judge  # noqa: PLC0415 - what it needs, forecasts do not

    with tempfile.TemporaryDirectory(prefix="mmsprep-") as name:
        folder = Path(name)
        source = folder / "source.mkv"
        size = f"scale='min({DISPLAY_LONG_PX},iw)':-2,fps={_FPS}"
        _ffmpeg("-ss", "2", "-t", str(_SECONDS), "-i", str(clip), "-an", "-vf", size, "-c:v", "ffv1", str(source))
        pictures = _frames(source, folder / "source")
        if len(pictures) < len(_FRAMES):
            return []
        seen = [_as_seen(picture) for picture in pictures]
        judges = [Judge(picture) for picture in seen]
        samples = []
        for width_px in (one for one in _WIDTHS_PX if one <= pictures[0].width):
            for crf in _CRFS:
                made = folder / "made.mp4"
                options = ("-c:v", "libx264", "-profile:v", "baseline", "-preset", "medium", "-pix_fmt", "yuv420p")
                _ffmpeg(
                    "-i",
                    str(source),
                    "-vf",
                    f"scale={width_px}:-2:flags=lanczos",
                    *options,
                    "-crf",
                    str(crf),
                    str(made),
                )
                frames = _frames(made, folder / "made")
                scores = [
                    judge.score(frame.resize(picture.size, Image.Resampling.BICUBIC))
                    for judge, frame, picture in zip(judges, frames, seen, strict=True)
                ]
                samples.append(Sample(clip.name, _vmaf(made, source, pictures[0].size, folder), float(np.mean(scores))))
        return samples


def _as_seen(picture: Image.Image) -> Image.Image:
    """A frame at the size at which a phone shows a photograph."""
    scale = min(1.0, SEEN_SHORT_PX / min(picture.size), SEEN_LONG_PX / max(picture.size))
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)


def _frames(clip: Path, stem: Path) -> list[Image.Image]:
    chosen = "+".join(f"eq(n,{number})" for number in _FRAMES)
    _ffmpeg("-i", str(clip), "-vf", f"select='{chosen}'", "-fps_mode", "passthrough", f"{stem}%d.png")
    found = [Path(f"{stem}{number}.png") for number in range(1, len(_FRAMES) + 1)]
    return [Image.open(path).convert("RGB") for path in found if path.exists()]


def _vmaf(made: Path, source: Path, size_px: tuple[int, int], folder: Path) -> float:
    log = folder / "vmaf.json"
    scale = f"scale={size_px[0]}:{size_px[1]}:flags=bicubic,format=yuv420p,settb=1/1000,setpts=N"
    graph = f"[0:v]{scale}[a];[1:v]{scale}[b];[a][b]libvmaf=log_fmt=json:log_path={log}:n_subsample=3:n_threads=1"
    _ffmpeg("-i", str(made), "-i", str(source), "-lavfi", graph, "-f", "null", "-")
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


def _ffmpeg(*arguments: str) -> None:
    command = [executable(Settings()), "-v", "error", "-y", "-nostdin", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
