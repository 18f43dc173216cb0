"""How often speech is taken for music, and music for speech: on any recordings that somebody has sorted.

    python benchmarks/speech_or_music.py --speech DIR_OR_FILE ... --music DIR_OR_FILE ... [--seconds 15] [--most 60]

Every recording is cut into pieces that are decided each by itself, as mmsprep decides on a recording
(``mmsprep/transcode/sound/speech.py``); of a folder at most ``--most`` recordings, evenly spread over their names, and
of each at most four pieces. Prints a line a folder, and below it the measures of each piece that is taken for the
other.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmsprep import inspect
from mmsprep.errors import MmsprepError
from mmsprep.hearing.channels import mixed
from mmsprep.hearing.filters import Levels
from mmsprep.model import Attachment, Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.pcm import decode_pcm
from mmsprep.transcode.sound.speech import Material, material, measure

_PIECES = 4
_LEAST_S = 3.0
"""Of a recording at most; seconds that a piece has at least."""


def main() -> None:
    """Print the counts and what went wrong."""
    parser = argparse.ArgumentParser(description="How often speech is taken for music, and music for speech.")
    parser.add_argument("--speech", type=Path, nargs="+", default=[], help="recordings of voices, or folders of them")
    parser.add_argument("--music", type=Path, nargs="+", default=[], help="the same of music")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of a piece")
    parser.add_argument("--most", type=int, default=60, help="recordings of each folder")
    options = parser.parse_args()
    print(f"{'what':8}{'recordings':>11}{'pieces':>8}{'wrong':>7}  where")
    with Workspace(Settings()) as workspace:
        for what, is_speech in (("speech", True), ("music", False)):
            for place in options.speech if is_speech else options.music:
                _report(what, is_speech, place, _chosen(place, options.most), options.seconds, workspace)


def _report(what: str, is_speech: bool, place: Path, paths: list[Path], seconds: float, workspace: Workspace) -> None:
    recordings = pieces = 0
    wrong: list[str] = []
    for path, one in zip(paths, inspect(paths), strict=True):
        info = one.info
        if info is None or info.kind is not Kind.AUDIO or not info.audio_codec:
            continue
        decided = list(_decided(path, info, seconds, workspace))
        recordings += bool(decided)
        pieces += len(decided)
        wrong += [words for found, words in decided if (found is not Material.MUSIC) is not is_speech]
    print(f"{what:8}{recordings:11}{pieces:8}{len(wrong):7}  {place}", flush=True)
    for words in wrong:
        print(f"    {words}", flush=True)


def _chosen(place: Path, most: int) -> list[Path]:
    found = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    if len(found) <= most:
        return found
    return [found[index] for index in np.linspace(0, len(found) - 1, most, dtype=int)]


def _decided(path: Path, info: MediaInfo, seconds: float, workspace: Workspace) -> Iterator[tuple[Material, str]]:
    attachment = Attachment(0, path.name, path.stat().st_size, path=path)
    try:
        mix = mixed(decode_pcm(attachment, info, workspace, longest_s=60 + _PIECES * seconds).sound)
    except MmsprepError as error:
        print(f"    left out: {error}")
        return
    for start_s, samples in _pieces(mix.mono[:, 0], mix.rate_hz, seconds):
        one = measure(samples, mix.rate_hz)
        words = (
            f"{path.name[:40]:42}from {start_s:4.0f} s: steady {one.steadiness:.2f}, pitch {one.carried_pitch:.2f},"
            f" moving {one.moving_pitch:.3f}, pauses {one.pauses:.2f}, beat {one.beat:.2f}"
        )
        yield material(samples, mix.rate_hz), words


def _pieces(samples: Levels, rate_hz: int, seconds: float) -> Iterator[tuple[float, Levels]]:
    length = round(seconds * rate_hz)
    if len(samples) < round(_LEAST_S * rate_hz):
        return
    count = min(_PIECES, max(1, len(samples) // length))
    last = max(0, len(samples) - length)
    for start in np.linspace(0, last, count, dtype=int):
        yield start / rate_hz, samples[start : start + length]


if __name__ == "__main__":
    main()
