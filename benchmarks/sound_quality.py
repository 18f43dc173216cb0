"""What the rungs of the audio ladders are worth to a listener of speech: PESQ-WB of each, from real recordings.

    pip install pesq
    python benchmarks/sound_quality.py [--folder DIR] [--seconds N]

Every recording of the folder that is speech is encoded at every rung that a profile has, as it is and as a telephone
would carry it (8 kHz), decoded again and compared in pieces of 8 s. The means are the tables in
``mmsprep/transcode/sound/worth.py``. Music is left out: PESQ knows speech alone.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
from collections.abc import Callable
from pathlib import Path

import ffmpeg as graph
import numpy as np
from numpy.typing import NDArray

from mmsprep import inspect
from mmsprep.hearing.channels import mixed
from mmsprep.model import Attachment, Kind
from mmsprep.profile import AudioStep, load_profile, profile_names
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.level import heard_in
from mmsprep.transcode.sound.pcm import decode_pcm
from mmsprep.transcode.sound.recording import encoder_options
from mmsprep.transcode.sound.speech import Material
from mmsprep.transcode.sound.worth import rung_quality

_HZ = 16_000
_PIECE = 8 * _HZ
_CONTAINERS = {"amr": "amr", "mp3": "mp3", "aac": "adts", "wav": "wav", "wav-ima": "wav"}
_DEMUXERS = {"adts": "aac"}

Samples = NDArray[np.int16]
Judge = Callable[[int, Samples, Samples, str], float]


def main() -> None:
    """Print a line a rung."""
    parser = argparse.ArgumentParser(description="What the rungs of the audio ladders are worth.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "sample_media")
    parser.add_argument("--seconds", type=int, default=30, help="how much of each recording")
    options = parser.parse_args()
    try:
        pesq: Judge = importlib.import_module("pesq").pesq
    except ImportError:
        parser.exit(2, "this needs PESQ: pip install pesq\n")
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file() and "bad" not in path.parts)
    with Workspace(Settings()) as workspace:
        recordings = _speech(paths, options.seconds, workspace)
        print(f"{len(recordings)} recordings of speech in {options.folder}")
        print(f"{'rung':28}{'PESQ-WB':>9}{'in use':>8}{'telephone':>11}{'in use':>8}")
        for step in _rungs():
            wide = _mean(pesq, recordings, step, "48000", workspace)
            narrow = _mean(pesq, recordings, step, "8000", workspace)
            used = [rung_quality(step, heard) * 3.64 / 100 + 1 for heard in (Material.SPEECH, Material.NARROW_SPEECH)]
            name = f"{step.format} {step.rate_kbps:g} kbit/s {step.sample_rate_hz} Hz"
            print(f"{name:28}{wide:9.2f}{used[0]:8.2f}{narrow:11.2f}{used[1]:8.2f}", flush=True)


def _rungs() -> list[AudioStep]:
    profiles = [load_profile(name) for name in profile_names()]
    steps = {step for one in profiles for step in (*one.audio.ladder, *(one.video.audio_ladder if one.video else ()))}
    mono = [step for step in steps if step.channels == 1]
    return sorted(mono, key=lambda step: (step.format, step.rate_kbps, step.sample_rate_hz))


def _speech(paths: list[Path], seconds: int, workspace: Workspace) -> list[Path]:
    """The recordings of speech that are long enough, as WAV files with one channel."""
    found = []
    for place, (path, one) in enumerate(zip(paths, inspect(paths), strict=True)):
        info = one.info
        if info is None or info.kind is not Kind.AUDIO or not info.audio_codec or (info.duration_s or 0) < 8:
            continue
        attachment = Attachment(place, path.name, path.stat().st_size, path=path)
        mix = mixed(decode_pcm(attachment, info, workspace).sound)
        if heard_in(mix) is Material.SPEECH:
            kept = mix.mono[: seconds * mix.rate_hz]
            target = workspace.new_path(".wav")
            raw = graph.input("pipe:0", f="f32le", ar=mix.rate_hz, ac=1)
            ffmpeg.run(workspace, raw.output(str(target), f="wav"), stdin=kept.tobytes())
            found.append(target)
    return found


def _mean(judge: Judge, recordings: list[Path], step: AudioStep, rate_hz: str, workspace: Workspace) -> float:
    scores = []
    for recording in recordings:
        heard = graph.input(str(recording), f="wav").filter("aresample", rate_hz)
        container = _CONTAINERS[step.format]
        coded = workspace.new_path(f".{container}")
        ffmpeg.run(workspace, heard.output(str(coded), **(encoder_options(step) | {"f": container})))
        original = _samples(heard, workspace)
        result = _samples(graph.input(str(coded), f=_DEMUXERS.get(container, container)), workspace)
        length = min(len(original), len(result)) // _PIECE * _PIECE
        scores += [
            judge(_HZ, original[start : start + _PIECE], result[start : start + _PIECE], "wb")
            for start in range(0, length, _PIECE)
        ]
    return statistics.mean(scores) if scores else 0.0


def _samples(stream: object, workspace: Workspace) -> Samples:
    output = graph.output(stream, "pipe:1", f="s16le", ar=_HZ, ac=1)
    return np.frombuffer(ffmpeg.run(workspace, output).stdout, np.int16)


if __name__ == "__main__":
    main()
