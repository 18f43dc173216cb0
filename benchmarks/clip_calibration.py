"""Clips on the scale of pictures: what SSIMULACRA2 says of their frames, beside VMAF and its phone model.

    python benchmarks/clip_calibration.py FOLDER [--most N]

Two seconds of every clip of the folder are encoded at three widths and three qualities. VMAF is that of the display
size, as mmsprep measures it; SSIMULACRA2 is that of single frames at the size at which a phone shows a photograph
(``docs/picture-quality.md``), the clip's frame enlarged to it. What mmsprep reports stands beside both. A frame that
moves is forgiven more than one that stands still, so SSIMULACRA2 is where it should not be far below, not its aim.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from ssimulacra import Judge

from mmsprep.settings import Settings
from mmsprep.tools.ffmpeg import executable
from mmsprep.transcode.image.viewing import SEEN_LONG_PX, SEEN_SHORT_PX
from mmsprep.transcode.video.mezzanine import DISPLAY_LONG_PX
from mmsprep.transcode.video.model import seen_quality

_SECONDS, _FPS, _FRAMES = 2, 12, (5, 16)
_WIDTHS_PX, _CRFS = (176, 320, 512), (20, 28, 36)
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
    asked = parser.parse_args()
    clips = sorted(path for path in asked.folder.iterdir() if path.suffix in (".mp4", ".mov", ".avi", ".mkv", ".webm"))
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


def _measured(clip: Path) -> list[Sample]:
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
