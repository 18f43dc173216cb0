"""What music is worth at the bytes that a message holds: ours beside what people write, and each rung of a ladder.

    pip install visqol-python zimtohrli numba
    python benchmarks/music_quality.py DIR_OR_FILE ... [--seconds 30 60] [--rungs] [--profile smsglobal]

Two judges listen: ViSQOL (audio mode, the figures of Google's C++) and Zimtohrli, both 1..5. As a phone with one
loudspeaker plays it, the sum of the channels, and as earphones do, each channel by itself (``ears``, Zimtohrli alone).
The whole is encoded, 8 s of its middle are judged.

- by itself: every piece, of each length, as mmsprep makes it for the profile's message, and as ``ffmpeg -b:a`` makes
  it at the same bytes, 44.1 kHz, as many channels as the piece has and one;
- ``--rungs``: every MP3 rung of the profile; the means are the table for music in ``mmsprep/transcode/sound/worth.py``.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg as graph
import numpy as np
from numpy.typing import NDArray

from mmsprep import inspect
from mmsprep.model import Action, Attachment, Plan, Support
from mmsprep.profile import Profile, load_profile
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound import mp3
from mmsprep.transcode.sound.recording import open_source
from mmsprep.transcode.sound.speech import Material
from mmsprep.transcode.sound.worth import rung_quality, side_share

_HZ = 48_000
_JUDGED_S = 8
_LEAD_S = 3
_LATEST = _HZ // 5
_HEADERS_BYTES = 835
_RATE_HZ = 44_100
_PLAN = Plan(action=Action.TRANSCODE, target="mp3", support=Support.PARTIAL, row=None)

Sound = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judges say, 1..5."""

    visqol: float
    zimtohrli: float
    ears: float


class Judges:
    """ViSQOL and Zimtohrli."""

    def __init__(self) -> None:
        self._visqol: Any = importlib.import_module("visqol").VisqolApi()
        self._visqol.create(mode="audio")
        self._zimtohrli: Any = importlib.import_module("zimtohrli").mos_from_signals

    def hear(self, original: Sound, made: Sound) -> Verdict:
        """``made`` beside ``original``; one channel is heard in both ears."""
        one, other = original.mean(axis=1), made.mean(axis=1)
        lag = _lag(one, other)
        ears = [
            self._near(original[:, ear], made[:, min(ear, made.shape[1] - 1)], lag) for ear in range(original.shape[1])
        ]
        visqol = float(self._visqol.measure_from_arrays(one, _moved(other, lag, len(one)), _HZ).moslqo)
        return Verdict(visqol, self._near(one, other, lag), statistics.mean(ears))

    def _near(self, original: Sound, made: Sound, lag: int) -> float:
        return float(self._zimtohrli(original, _moved(made, lag, len(original))))


def main() -> None:
    """Print a line a piece and length, or a line a rung."""
    parser = argparse.ArgumentParser(description="What music is worth at the bytes that a message holds.")
    parser.add_argument("paths", type=Path, nargs="+", help="music, or folders of it")
    parser.add_argument("--seconds", type=int, nargs="+", default=[20, 30, 45, 60, 90])
    parser.add_argument("--rungs", action="store_true")
    parser.add_argument("--profile", default="smsglobal")
    options = parser.parse_args()
    try:
        judges = Judges()
    except ImportError:
        parser.exit(2, "this needs its judges: pip install visqol-python zimtohrli numba\n")
    found = [one for path in options.paths for one in (sorted(path.iterdir()) if path.is_dir() else [path])]
    profile = load_profile(options.profile)
    with Workspace(Settings()) as workspace:
        if options.rungs:
            _rungs(found, profile, judges, workspace)
        else:
            _peers(found, options.seconds, profile, judges, workspace)


def _rungs(paths: list[Path], profile: Profile, judges: Judges, workspace: Workspace) -> None:
    steps = [step for step in profile.audio.ladder if step.format == "mp3"]
    print(f"{'rung':34}{'bytes':>7}{'ViSQOL':>9}{'Zimtohrli':>11}{'ears':>7}{'worth':>7}")
    for step in sorted(steps, key=lambda step: (step.channels, step.rate_kbps)):
        heard, used = [], []
        for path in paths:
            pcm = _decoded(graph.input(str(path)).filter("atrim", 0, _LEAD_S + _JUDGED_S), workspace)
            if pcm.shape[1] < step.channels:
                continue
            max_bytes = round(step.rate_kbps * 125 * len(pcm) / _HZ)
            mixed = pcm if step.channels == 2 else pcm.mean(axis=1, keepdims=True)
            sound = mp3.Samples(mixed.astype(np.float32).tobytes(), _HZ, step.channels)
            search = mp3.Search(step, max_bytes, workspace)
            search.begun(sound)
            data = search.filled()
            used.append(len(data) / max_bytes)
            heard.append(judges.hear(pcm[_LEAD_S * _HZ :], _mp3(data, workspace)[_LEAD_S * _HZ :]))
        name = f"{step.rate_kbps:g} kbit/s {step.sample_rate_hz} Hz, {step.channels} ch."
        worth = rung_quality(step, Material.MUSIC)
        print(f"{name:34}{100 * statistics.mean(used):6.1f}%{_means(heard)}{worth:7.1f}", flush=True)


def _peers(paths: list[Path], lengths_s: list[int], profile: Profile, judges: Judges, workspace: Workspace) -> None:
    budget = profile.message.limit_bytes - _HEADERS_BYTES
    print(f"{'piece':18}{'side':>6}{'s':>4}  {'what':26}{'bytes':>7}{'ViSQOL':>9}{'Zimtohrli':>11}{'ears':>7}")
    for path in paths:
        for length_s, whole in _as_long(path, lengths_s, workspace):
            info = inspect([whole])[0].info
            assert info is not None
            attachment = Attachment(0, path.name, whole.stat().st_size, path=whole)
            pcm = _decoded(graph.input(str(whole)), workspace)
            first = (length_s - _JUDGED_S) // 2 * _HZ
            original = pcm[first : first + _JUDGED_S * _HZ]
            source = open_source(attachment, info, _PLAN, profile, workspace)
            made = {"mmsprep": source.render(budget).data}
            rate_kbps = max(
                (rate for rate in (*mp3.CONSTANT_KBPS, 160, 192) if rate * 125 * length_s <= budget), default=8
            )
            for channels in sorted({pcm.shape[1], 1}, reverse=True):
                made[f"ffmpeg -b:a {rate_kbps}k, {channels} ch."] = _plain(whole, rate_kbps, channels, workspace)
            for what, data in made.items():
                heard = judges.hear(original, _mp3(data, workspace)[first : first + _JUDGED_S * _HZ])
                used = f"{100 * len(data) / budget:6.1f}%"
                channels = _mp3(data, workspace).shape[1]
                name = f"{what}, {channels} ch." if what == "mmsprep" else what
                share = side_share(pcm.astype(np.float32))
                print(f"{path.stem[:17]:18}{share:6.3f}{length_s:4}  {name:26}{used}{_means([heard])}", flush=True)


def _means(heard: list[Verdict]) -> str:
    columns = [[one.visqol for one in heard], [one.zimtohrli for one in heard], [one.ears for one in heard]]
    one, two, three = (statistics.mean(column) for column in columns)
    return f"{one:9.2f}{two:11.2f}{three:7.2f}"


def _as_long(path: Path, lengths_s: list[int], workspace: Workspace) -> Iterator[tuple[int, Path]]:
    """The piece at each length, over again where it is shorter."""
    for length_s in lengths_s:
        target = workspace.new_path(".wav")
        looped = graph.input(str(path), stream_loop=-1)
        ffmpeg.run(workspace, looped.output(str(target), f="wav", t=length_s, ar=_RATE_HZ, acodec="pcm_s16le"))
        yield length_s, target


def _plain(path: Path, rate_kbps: int, channels: int, workspace: Workspace) -> bytes:
    target = workspace.new_path(".mp3")
    encoded = graph.input(str(path)).output(str(target), **{"b:a": f"{rate_kbps}k", "ac": channels, "f": "mp3"})
    ffmpeg.run(workspace, encoded)
    return target.read_bytes()


def _mp3(data: bytes, workspace: Workspace) -> Sound:
    return _decoded(graph.input(str(workspace.put(data, ".mp3")), f="mp3"), workspace)


def _decoded(stream: Any, workspace: Workspace) -> Sound:
    target = workspace.new_path(".wav")
    ffmpeg.run(workspace, stream.output(str(target), f="wav", ar=_HZ, acodec="pcm_f32le"))
    data = target.read_bytes()
    channels = int.from_bytes(data[22:24], "little")
    return np.frombuffer(data, "<f4", offset=data.index(b"data") + 8).reshape(-1, channels).astype(np.float64)


def _lag(original: Sound, made: Sound) -> int:
    """How many samples later an encoder's sound comes."""
    length = 1 << 18
    spectra = (np.fft.rfft(one[: length // 2], length) for one in (original, made))
    one, other = spectra
    likeness = np.fft.irfft(np.conj(one) * other, length)
    place = int(np.argmax(np.concatenate([likeness[-_LATEST:], likeness[:_LATEST]])))
    return place - _LATEST


def _moved(made: Sound, lag: int, length: int) -> Sound:
    moved = made[lag:] if lag >= 0 else np.concatenate([np.zeros(-lag), made])
    return np.pad(moved, (0, max(0, length - len(moved))))[:length]


if __name__ == "__main__":
    main()
