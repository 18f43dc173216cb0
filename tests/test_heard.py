"""What is heard of a sound is heard still: measured on what is sent, by ffmpeg's meter, whatever its channels are."""

from __future__ import annotations

import io
import re
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
import pytest
from examples import examples
from grain import grain
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmsprep import prepare
from mmsprep.errors import BelowFloor, Damaged, Inaudible, VerifyError
from mmsprep.hearing.channels import Mix, mixed, sums_safely
from mmsprep.hearing.filters import Factors, Frequencies, filtered, high_pass
from mmsprep.hearing.loudness import heard_lufs, integrated_lufs, true_peak_dbtp
from mmsprep.hearing.samples import Decoded, decoded
from mmsprep.model import Action, Part, Rendition
from mmsprep.pipeline.compare import not_heard
from mmsprep.profile import AudioStep
from mmsprep.seeing.contrast import contrast
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.level import PEAK_DBTP, Levelled, limited
from mmsprep.transcode.sound.speech import Material

Levels = NDArray[np.float32]
_HZ = 16_000
_LAYOUTS = {
    "mono": ("FC",),
    "stereo": ("FL", "FR"),
    "2.1": ("FL", "FR", "LFE"),
    "quad": ("FL", "FR", "BL", "BR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
    "7.1": ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
_BITS = {"FL": 0, "FR": 1, "FC": 2, "LFE": 3, "BL": 4, "BR": 5, "SL": 9, "SR": 10}


def _ran(arguments: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [ffmpeg.executable(Settings()), "-hide_banner", "-nostats", *arguments],
        input=data,
        capture_output=True,
        check=False,
    )


def _metered(path: Path, filters: str = "") -> tuple[float, float]:
    """Programme loudness in LUFS and true peak in dBTP, as ffmpeg measures them."""
    words = _ran(["-i", str(path), "-vn", "-af", f"{filters}ebur128=peak=true", "-f", "null", "-"]).stderr.decode()
    summary = words[words.rindex("Summary") :]
    lufs, peak = re.search(r"I:\s+(\S+)", summary), re.search(r"Peak:\s+(\S+)", summary)
    assert lufs and peak
    return float(lufs[1]), float(peak[1])


def _channels_of(path: Path) -> int:
    found = re.search(r"Audio: .*? Hz, (mono|stereo|1 channels)", _ran(["-i", str(path)]).stderr.decode())
    assert found
    return 2 if found[1] == "stereo" else 1


def _on_one_loudspeaker(path: Path) -> float:
    """LUFS of the sum that a phone with one loudspeaker plays."""
    return _metered(path, "pan=mono|c0=0.5*c0+0.5*c1," if _channels_of(path) == 2 else "")[0]


def _wav(channels: Levels, hz: int, speakers: tuple[str, ...]) -> bytes:
    """32-bit floating point, the places of the channels told."""
    body = channels.astype("<f4").tobytes()
    count, mask = len(speakers), sum(1 << _BITS[one] for one in speakers)
    guid = struct.pack("<IHH8s", 3, 0, 16, bytes.fromhex("800000aa00389b71"))
    fmt = struct.pack("<HHIIHHHHI", 0xFFFE, count, hz, hz * 4 * count, 4 * count, 32, 22, 32, mask) + guid
    return (
        struct.pack("<4sI4s4sI", b"RIFF", 36 + len(fmt) + len(body) - 8, b"WAVE", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", len(body))
        + body
    )


@lru_cache(maxsize=1)
def _voice() -> Levels:
    path = Path(__file__).parent.parent / "sample_media/message/PTT-20260613-WA0003.ogg"
    raw = _ran(["-i", str(path), "-ac", "1", "-ar", str(_HZ), "-f", "f32le", "pipe:1"]).stdout
    return np.frombuffer(raw, "<f4")[: 6 * _HZ]


@lru_cache(maxsize=1)
def _song() -> Levels:
    path = Path(__file__).parent.parent / "sample_media/message/song.m4a"
    raw = _ran(["-i", str(path), "-ac", "2", "-ar", "32000", "-f", "f32le", "pipe:1"]).stdout
    return np.frombuffer(raw, "<f4").reshape(-1, 2)


def _noise(count: int, seed: int) -> Levels:
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def _sent(tmp_path: Path, data: bytes, profile: str = "smsglobal", **options: object) -> tuple[Part, Path]:
    (part,) = prepare([("sound", data)], profile=profile, **options).parts  # type: ignore[arg-type]
    path = tmp_path / f"sent.{part.format}"
    path.write_bytes(part.data)
    return part, path


def _stored(tmp_path: Path, data: bytes, name: str = "source.wav") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


# The measure


@pytest.mark.parametrize("hz", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_loudness_and_peaks_are_those_that_ffmpeg_measures(tmp_path: Path, hz: int, layout: str) -> None:
    count = len(_LAYOUTS[layout])
    levels = np.stack([_noise(4 * hz, seed) * np.float32(0.1 * (seed + 1) / count) for seed in range(count)], axis=1)
    levels[2 * hz :] *= np.float32(0.2)
    path = _stored(tmp_path, _wav(levels, hz, _LAYOUTS[layout]))
    weights = [{"LFE": 0.0, "BL": 1.41, "BR": 1.41}.get(one, 1.0) for one in _LAYOUTS[layout]]
    found = integrated_lufs(levels, hz, weights), true_peak_dbtp(levels, hz)
    assert found == pytest.approx(_metered(path), abs=0.45)


def test_a_loudness_does_not_depend_on_how_quiet_the_whole_is() -> None:
    voice = _voice()[:, None]
    assert integrated_lufs(voice * 1e-3, _HZ) == pytest.approx(integrated_lufs(voice, _HZ) - 60, abs=0.5)


def test_silence_and_next_to_nothing_have_a_loudness_too() -> None:
    assert integrated_lufs(np.zeros((0, 1), np.float32), _HZ) <= -100
    assert integrated_lufs(np.zeros((_HZ, 2), np.float32), _HZ) <= -100
    assert integrated_lufs(np.full((10, 1), 0.1, np.float32), _HZ) > -100


@given(length=st.integers(1, 400_000), channels=st.integers(1, 2))
@examples(8)
def test_a_filter_leaves_what_it_passes_where_it_was_however_long_the_sound(length: int, channels: int) -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(length) / 8_000).astype(np.float32)
    levels = np.repeat(tone[:, None], channels, axis=1)
    made = filtered(levels, 8_000, high_pass(10))
    assert made.shape == levels.shape
    assert np.abs(made - levels)[100:-100].max(initial=0) < 0.01


def test_a_filter_is_worked_out_once_for_all_sounds_of_a_rate() -> None:
    """It was for each sound, a quarter of what four seconds took."""
    worked_out: list[int] = []

    def response(hz: Frequencies) -> Factors:
        worked_out.append(len(hz))
        return (hz < 900).astype(np.complex128)

    sounds = [np.random.default_rng(n).normal(0, 0.1, (4 * _HZ, 1)).astype(np.float32) for n in range(2)]
    low = [filtered(sound, _HZ, response) for sound in (*sounds, sounds[0])]
    assert len(worked_out) == 1 and np.array_equal(low[0], low[2]) and not np.array_equal(low[0], low[1])
    assert high_pass(80.0) is high_pass(80.0) and high_pass(80.0) is not high_pass(8.0)


# The mix


def _phases(first: Levels, second: Levels) -> dict[str, tuple[Levels, Levels]]:
    silence = np.zeros_like(first)
    turned = np.fft.irfft(np.fft.rfft(first) * -1j, len(first)).astype(np.float32)
    halves = np.concatenate([first[: len(first) // 2], -first[len(first) // 2 :]])
    low = filtered(first[:, None], _HZ, lambda hz: (hz < 900).astype(np.complex128))[:, 0]
    return {
        "alike": (first, first),
        "opposite": (first, -first),
        "left alone": (first, silence),
        "right alone": (silence, first),
        "nearly opposite": (first, -0.8 * first),
        "a quarter turn apart": (first, turned),
        "opposite from the middle on": (first, halves),
        "opposite below 900 Hz": (first, first - 2 * low),
        "apart": (first, second),
        "opposite with an echo": (first, -0.9 * first + 0.3 * np.roll(first, 200)),
    }


_PHASES = list(_phases(np.ones(16, np.float32), np.ones(16, np.float32)))


def _surround(left: Levels, right: Levels, layout: str) -> Levels:
    """Left and right in front; behind them something else, quietly."""
    rest = {"FL": left, "FR": right, "FC": left * 0, "LFE": left * 0}
    columns = [rest.get(one, 0.05 * np.roll(left, 3_000 * place)) for place, one in enumerate(_LAYOUTS[layout])]
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.mark.parametrize("phase", _PHASES)
@pytest.mark.parametrize("layout", ["stereo", "quad", "5.1", "7.1"])
def test_a_mix_is_as_loud_as_its_channels_at_any_time_and_pitch(layout: str, phase: str) -> None:
    first = _voice()
    left, right = _phases(first, np.roll(first, 20_000))[phase]
    speakers = _LAYOUTS[layout]
    channels = _surround(left, right, layout)
    mix = mixed(Decoded(channels, _HZ, speakers))
    weights = [{"LFE": 0.0, "BL": 1.41, "BR": 1.41, "SL": 1.41, "SR": 1.41}.get(one, 1.0) for one in speakers]
    held = integrated_lufs(channels, _HZ, weights)
    assert heard_lufs(mix.mono, _HZ) == pytest.approx(held, abs=0.3)
    assert mix.heard_lufs == pytest.approx(held, abs=0.3)
    third = len(first) // 3
    for start in range(0, len(first) - third + 1, third):
        piece = integrated_lufs(channels[start : start + third], _HZ, weights)
        assert heard_lufs(mix.mono[start : start + third], _HZ) == pytest.approx(piece, abs=4)
    for low_hz, high_hz in ((150, 700), (1_000, 3_500)):

        def band(hz: NDArray[np.floating], low_hz: int = low_hz, high_hz: int = high_hz) -> NDArray[np.complex128]:
            return ((hz > low_hz) & (hz < high_hz)).astype(np.complex128)

        in_band = integrated_lufs(filtered(channels, _HZ, band), _HZ, weights)
        assert heard_lufs(filtered(mix.mono, _HZ, band), _HZ) == pytest.approx(in_band, abs=5)
    if mix.stereo is not None:
        assert sums_safely(mix.stereo, _HZ)
        assert heard_lufs(mix.stereo, _HZ) > held - 4.5


@given(
    layout=st.sampled_from([name for name in _LAYOUTS if name != "mono"]),
    gains=st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=8, max_size=8),
    shifts=st.lists(st.integers(0, 40), min_size=8, max_size=8),
)
@examples(15)
def test_whatever_the_channels_do_to_each_other_the_mix_is_heard(
    layout: str, gains: list[float], shifts: list[int]
) -> None:
    voice = _voice()[: 3 * _HZ]
    speakers = _LAYOUTS[layout]
    columns = [gain * np.roll(voice, shift) for gain, shift, _ in zip(gains, shifts, speakers, strict=False)]
    channels = np.stack(columns, axis=1).astype(np.float32)
    mix = mixed(Decoded(channels, _HZ, speakers))
    if not channels.any():
        assert not mix.mono.any()
        return
    heard = [one for one in range(len(speakers)) if speakers[one] != "LFE"] if channels[:, :2].any() else []
    loudest = max((integrated_lufs(channels[:, one : one + 1], _HZ) for one in heard), default=-100.0)
    assert heard_lufs(mix.mono, _HZ) > loudest - 1


def test_the_bass_channel_counts_where_there_is_nothing_else_and_is_told_where_it_is_left_out() -> None:
    voice = _voice()
    alone, beside = np.zeros((len(voice), 6), np.float32), np.zeros((len(voice), 6), np.float32)
    alone[:, 3] = beside[:, 3] = voice
    beside[:, 0] = voice
    assert heard_lufs(mixed(Decoded(alone, _HZ, _LAYOUTS["5.1"])).mono, _HZ) > -40
    assert any("bass" in note for note in mixed(Decoded(beside, _HZ, _LAYOUTS["5.1"])).notes)


# What is sent


@pytest.mark.parametrize("profile", ["smsglobal", "legacy-gsm"])
@pytest.mark.parametrize("phase", ["opposite", "left alone", "a quarter turn apart", "opposite from the middle on"])
@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_a_recording_is_sent_as_loud_as_its_channels_are(tmp_path: Path, layout: str, phase: str, profile: str) -> None:
    left, right = _phases(_voice(), _voice())[phase]
    data = _wav(_surround(left, right, layout), _HZ, _LAYOUTS[layout])
    part, path = _sent(tmp_path, data, profile, limit_bytes=60_000)
    lufs, peak = _metered(path)
    assert part.format == {"smsglobal": "mp3", "legacy-gsm": "amr"}[profile]
    assert _on_one_loudspeaker(path) == pytest.approx(lufs, abs=3.1)
    assert -19 <= lufs <= -13
    assert peak <= -0.9
    half = _metered(path, "atrim=start=3.5,")[0]
    assert half > lufs - 5


@pytest.mark.parametrize("profile", ["smsglobal", "legacy-gsm"])
@pytest.mark.parametrize("source_lufs", [-10.0, -25.0, -45.0, -58.0])
def test_speech_reaches_minus_16_to_minus_19_lufs_however_quiet_it_was(
    tmp_path: Path, source_lufs: float, profile: str
) -> None:
    voice = _voice() * np.float32(10 ** ((source_lufs - integrated_lufs(_voice()[:, None], _HZ)) / 20))
    _, path = _sent(tmp_path, _wav(voice[:, None], _HZ, ("FC",)), profile, limit_bytes=60_000)
    lufs, peak = _metered(path)
    assert -19 <= lufs <= (-13 if source_lufs > -16 else -16)
    assert peak <= -0.9


@pytest.mark.parametrize("profile", ["smsglobal", "legacy-gsm"])
@pytest.mark.parametrize("gain", [0.05, 0.7, 1.6])
def test_music_is_never_sent_quieter_than_it_was_nor_pumped(tmp_path: Path, gain: float, profile: str) -> None:
    source = _stored(tmp_path, _wav(_song() * np.float32(gain), 32_000, ("FL", "FR")))
    _, path = _sent(tmp_path, source.read_bytes(), profile, limit_bytes=100_000, best_effort=True)
    lufs, peak = _metered(path)
    before = _metered(source)[0]
    assert lufs > before - (1.5 if profile == "smsglobal" else 3.1) - (2 if before > -12 else 0)
    assert peak <= -0.9


def test_a_limiter_holds_true_peaks_and_leaves_what_is_below() -> None:
    levels = (_noise(_HZ, 5) * 0.05)[:, None]
    levels[8_000:8_010] = 0.9
    made = limited(levels, _HZ, -12.0)
    assert true_peak_dbtp(made, _HZ) <= -12
    assert np.array_equal(made[:4_000], levels[:4_000])
    assert np.abs(made[12_500:] / levels[12_500:]).min() > 0.5
    assert limited(levels, _HZ, 3.0) is levels


def _rung(format_slug: Literal["mp3", "aac"]) -> AudioStep:
    return AudioStep(format=format_slug, rate_kbps=96, sample_rate_hz=44_100)


def test_what_an_encoder_adds_to_the_peaks_is_taken_back_by_encoding_again() -> None:
    mix = Mix(_voice()[:, None], None, _HZ, 1, integrated_lufs(_voice()[:, None], _HZ))
    tries: list[Levels] = []

    def overshooting(samples: Levels) -> Levels:
        tries.append(samples)
        return samples * np.float32(1.4)

    made = Levelled(mix, Material.SPEECH).encoded(_rung("mp3"), overshooting, lambda one: Decoded(one, _HZ, ("FC",)))
    assert true_peak_dbtp(made, _HZ) <= PEAK_DBTP and len(tries) == 2


def test_where_an_encoder_searches_for_its_size_the_level_is_found_with_its_first_try() -> None:
    mix = Mix(_voice()[:, None], None, _HZ, 1, integrated_lufs(_voice()[:, None], _HZ))
    tries: list[Levels] = []
    fills: list[int] = []

    def overshooting(samples: Levels) -> Levels:
        tries.append(samples)
        return samples * np.float32(1.4)

    def fill() -> Levels:
        fills.append(len(tries))
        return tries[-1] * np.float32(1.41)

    sound = Levelled(mix, Material.SPEECH)
    made = sound.encoded(_rung("mp3"), overshooting, lambda one: Decoded(one, _HZ, ("FC",)), fill)
    assert true_peak_dbtp(made, _HZ) <= PEAK_DBTP and np.array_equal(made, fill())
    assert fills[0] == 2 and len(tries) <= 3


def test_an_encoder_that_takes_more_loudness_than_is_made_up_for_is_not_handed_the_same_again() -> None:
    mix = Mix(_voice()[:, None], None, _HZ, 1, integrated_lufs(_voice()[:, None], _HZ))
    tries: list[Levels] = []

    def dull(samples: Levels) -> Levels:
        tries.append(samples)
        return samples * np.float32(0.5)

    Levelled(mix, Material.SPEECH).encoded(_rung("aac"), dull, lambda one: Decoded(one, _HZ, ("FC",)))
    assert len(tries) > 1
    assert not any(np.array_equal(before, after) for before, after in pairwise(tries))


def test_a_whisper_48_db_down_is_kept_and_silence_that_goes_is_told(tmp_path: Path) -> None:
    voice, silence = _voice()[: 4 * _HZ], np.zeros(3 * _HZ, np.float32)
    whisper = voice * np.float32(10 ** (-48 / 20))
    whole = np.concatenate([whisper, voice, whisper])
    part, path = _sent(tmp_path, _wav(whole[:, None], _HZ, ("FC",)), limit_bytes=100_000)
    assert part.duration_s == pytest.approx(12, abs=0.3) and not part.notes
    assert _metered(path, "atrim=end=3.5,")[0] > -70
    part, _ = _sent(tmp_path, _wav(np.concatenate([silence, voice, silence])[:, None], _HZ, ("FC",)))
    assert part.duration_s == pytest.approx(4, abs=0.5)
    (note,) = part.notes
    assert re.fullmatch(r"silence is left out: [23]\.\d s at its start and [23]\.\d s at its end", note)


def test_what_is_too_short_to_hear_is_refused_before_anything_is_encoded() -> None:
    with pytest.raises(Damaged, match="too little to hear"):
        prepare([("nine.wav", _wav(np.full((9, 1), 0.3, np.float32), 8_000, ("FC",)))])
    assert prepare([("short.wav", _wav(_voice()[_HZ : _HZ + 1_600, None], _HZ, ("FC",)))]).parts


def test_an_original_whose_channels_cancel_each_other_is_mixed_though_it_would_fit(
    tmp_path: Path, make: Callable[[str, str], bytes]
) -> None:
    stereo = make("-f lavfi -i aevalsrc=0.3*sin(700*t)*sin(9*t)|-0.3*sin(700*t)*sin(9*t):d=3 -b:a 64k", "mp3")
    part, path = _sent(tmp_path, stereo)
    assert part.action is Action.TRANSCODE and "channels_cancel" in [reason.code for reason in part.reasons]
    assert _on_one_loudspeaker(path) > -25
    sound = make("-f lavfi -i aevalsrc=0.3*sin(700*t)*sin(9*t)|0.3*sin(700*t)*sin(9*t):d=3 -b:a 64k", "mp3")
    assert _sent(tmp_path, sound)[0].action is not Action.TRANSCODE


# Clips


def _clip(tmp_path: Path, channels: Levels, speakers: tuple[str, ...]) -> bytes:
    sound = _stored(tmp_path, _wav(channels, _HZ, speakers), "track.wav")
    clip = tmp_path / "clip.mkv"
    made = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=160x120:r=10",
        "-i",
        str(sound),
        "-shortest",
        "-c:v",
        "mpeg4",
        "-c:a",
        "flac",
    ]
    _ran([*made, "-y", str(clip)])
    return clip.read_bytes()


@pytest.mark.parametrize("profile", ["smsglobal", "legacy-gsm"])
@pytest.mark.parametrize(
    ("layout", "phase"), [("stereo", "opposite"), ("stereo", "left alone"), ("5.1", "opposite from the middle on")]
)
def test_the_sound_of_a_clip_goes_the_same_way(tmp_path: Path, layout: str, phase: str, profile: str) -> None:
    voice = _voice()[: 4 * _HZ] * np.float32(0.02)
    left, right = _phases(voice, voice)[phase]
    data = _clip(tmp_path, _surround(left, right, layout), _LAYOUTS[layout])
    part, path = _sent(tmp_path, data, profile, best_effort=True)
    assert part.format == "3gp"
    lufs, peak = _metered(path)
    assert -19 <= _on_one_loudspeaker(path) <= -14 and -19 <= lufs <= -14
    assert peak <= -0.9


def test_what_is_loud_and_all_peaks_is_sent_as_loud_as_its_peaks_allow(tmp_path: Path) -> None:
    """Bursts of noise at full scale, as of an engine: a limiter and AAC take 7 dB of it, nothing is wrong."""
    noise = np.random.default_rng(3).uniform(-1, 1, 6 * _HZ)
    bursts = (noise * (np.arange(6 * _HZ) * 52 / _HZ % 1 < 0.05)).astype(np.float32)[:, None]
    part, path = _sent(tmp_path, _clip(tmp_path, bursts, ("FC",)))
    assert part.format == "3gp"
    assert _metered(path)[0] >= integrated_lufs(bursts, _HZ) - 8


def test_peaks_that_a_coder_makes_at_any_level_do_not_silence_the_rest() -> None:
    """The lower its samples, the quieter it all is: from some loudness on the peaks are clipped instead."""
    noise = (_noise(4 * _HZ, 5) * np.float32(0.2))[:, None]
    mix = Mix(noise, None, _HZ, 1, integrated_lufs(noise, _HZ))

    def spiky(samples: Levels) -> Levels:
        made = samples.copy()
        made[:: _HZ // 2] = 1.5
        return made

    made = Levelled(mix, Material.MUSIC).encoded(_rung("aac"), spiky, lambda one: Decoded(one, _HZ, ("FC",)))
    assert integrated_lufs(made, _HZ) >= integrated_lufs(Levelled(mix, Material.MUSIC).samples(1), _HZ) - 6


def test_a_still_picture_with_a_voice_is_a_clip_as_long_as_the_voice(tmp_path: Path) -> None:
    voice = _voice()[:, None]
    part, path = _sent(tmp_path, _still_with_voice(tmp_path, voice))
    assert part.format == "3gp" and part.duration_s == pytest.approx(6, abs=0.3)
    assert -19 <= _metered(path)[0] <= -14
    raw = _ran(["-sseof", "-0.5", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]).stdout
    assert np.frombuffer(raw, np.uint8).std() > 20
    part, _ = _sent(tmp_path, _still_with_voice(tmp_path, voice), "image-basic")
    assert part.format == "jpeg" and any(re.search(r"its sound \(6\.\d s\) is left out", note) for note in part.notes)


def _still_with_voice(tmp_path: Path, voice: Levels) -> bytes:
    sound = _stored(tmp_path, _wav(voice, _HZ, ("FC",)), "voice.wav")
    clip = tmp_path / "still.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25", "-i", str(sound), "-vf", "trim=end_frame=1"]
    _ran([*picture, "-c:v", "mpeg4", "-c:a", "aac", "-y", str(clip)])
    return clip.read_bytes()


def test_tracks_and_files_that_are_left_out_are_told(tmp_path: Path, make: Callable[[str, str], bytes]) -> None:
    beside = tmp_path / "notes.txt"
    beside.write_text("words")
    inputs = "-f lavfi -i testsrc2=s=64x48:d=1 -f lavfi -i sine=d=1 -f lavfi -i sine=300:d=1 -map 0 -map 1 -map 2"
    data = make(f"{inputs} -c:v mpeg4 -attach {beside} -metadata:s:t mimetype=text/plain", "mkv")
    (part,) = prepare([("clip.mkv", data)]).parts
    assert "has 2 sound tracks; the first is sent" in part.notes
    assert "a file inside it is left out" in part.notes


# Verify listens


def _rendition(data: bytes, format_slug: str, heard: float) -> Rendition:
    return Rendition(
        data=data,
        format=format_slug,
        content_type="audio/mpeg",
        action=Action.TRANSCODE,
        quality=90,
        duration_s=6,
        heard_lufs=heard,
    )


def test_a_part_that_is_silent_or_6_db_quieter_than_its_source_is_found(tmp_path: Path, workspace: Workspace) -> None:
    def mp3(channels: Levels) -> bytes:
        path = _stored(tmp_path, _wav(channels, _HZ, ("FL", "FR")))
        return _ran(["-i", str(path), "-f", "mp3", "-write_xing", "0", "pipe:1"]).stdout

    voice = np.stack([_voice(), _voice()], axis=1)
    heard = integrated_lufs(voice, _HZ)
    assert not not_heard(_rendition(mp3(voice), "mp3", heard), workspace)
    assert "8 dB less" in not_heard(_rendition(mp3(voice * np.float32(0.42)), "mp3", heard), workspace)
    assert "silent" in not_heard(_rendition(mp3(voice * 0), "mp3", heard), workspace)
    opposite = voice * np.array([1, -1], np.float32)
    assert "less than" in not_heard(_rendition(mp3(opposite), "mp3", heard), workspace)
    assert not not_heard(replace(_rendition(mp3(voice * 0), "mp3", heard), heard_lufs=None), workspace)


def test_the_last_bit_of_a_silent_recording_is_no_sound_that_could_be_lost() -> None:
    """A dithered silence is sent as the silence that it is."""
    samples = np.where(np.arange(16_000) % 2, 1, -1).astype("<i2").tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 32_000, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16, b"data", 32_000
    )
    assert prepare(("hum.wav", header + samples), limit_bytes=20_000).parts[0].kind == "audio"


def test_an_encoder_that_loses_the_sound_is_an_error_and_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsprep.transcode.sound.recording import AudioSource

    floats = AudioSource._floats
    monkeypatch.setattr(AudioSource, "_floats", lambda source, samples: floats(source, samples * np.float32(0.05)))
    with pytest.raises(VerifyError, match="dB less than what it was made from"):
        prepare([("voice.wav", _wav(_voice()[:, None], _HZ, ("FC",)))], limit_bytes=60_000)


def test_a_complaint_of_the_decoder_is_the_same_from_run_to_run(make: Callable[[str, str], bytes]) -> None:
    data = bytearray(make("-f lavfi -i sine=d=6 -c:a flac", "flac"))
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    notes = [prepare([("broken.flac", bytes(data))]).parts[0].notes for _ in range(2)]
    assert notes[0] == notes[1] and notes[0] and not any("0x" in note or "@" in note for note in notes[0])


# Verify looks


def _blank(image: Image.Image) -> Image.Image:
    return Image.new(image.mode, image.size, 128 if image.mode == "L" else (128,) * len(image.getbands()))


def test_pictures_of_one_colour_are_told_from_all_others() -> None:
    drawing = Image.new("RGB", (600, 400), "white")
    ImageDraw.Draw(drawing).rectangle((100, 100, 300, 300), fill="navy")
    logo = Image.new("RGBA", (600, 400), (255, 255, 255, 0))
    ImageDraw.Draw(logo).ellipse((100, 100, 300, 300), fill=(255, 255, 255, 255))
    assert contrast(drawing) > 20 and contrast(drawing.convert("P")) > 20 and contrast(logo) > 20
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        assert contrast(Image.new(mode, (600, 400), 0)) == 0
    assert contrast(grain((1, 1), 50)) == 0


def test_a_picture_or_clip_that_became_one_colour_is_an_error_and_no_success(
    monkeypatch: pytest.MonkeyPatch, sample_media: Path
) -> None:
    from mmsprep.transcode.image.photo import PhotoSource
    from mmsprep.transcode.video import encode as video

    encode = PhotoSource._encode
    pictures = video._pictures
    monkeypatch.setattr(PhotoSource, "_encode", lambda self, image, *rest: encode(self, _blank(image), *rest))
    monkeypatch.setattr(video, "_pictures", lambda *given: pictures(*given).filter("lutyuv", y=90, u=128, v=128))
    for name in ("message/IMG_20260613_101502.jpg", "formats/mpeg4.mp4"):
        with pytest.raises(VerifyError, match="nothing but one colour"):
            prepare([sample_media / name], limit_bytes=40_000, best_effort=True)
    monkeypatch.undo()
    plain = io.BytesIO()
    Image.new("RGB", (400, 300), "teal").save(plain, "PNG")
    assert prepare([("teal.png", plain.getvalue())]).parts


def test_memory_is_taken_for_the_samples_that_there_are(sample_media: Path, workspace: Workspace) -> None:
    """Not for as many as there might be: that is more than some machines' address space holds."""
    more_than_any_machine_has = 1 << 55
    back = decoded(sample_media / "formats/song.mp3", "mp3", workspace, max_bytes=more_than_any_machine_has)
    assert back.samples.size > 0


def _seconds(count: float) -> NDArray[np.float64]:
    return np.arange(round(count * _WIDE_HZ)) / _WIDE_HZ


_WIDE_HZ = 44_100


def _tone(hz: float, seconds: float = 4.0, level: float = 0.5) -> Levels:
    return (level * np.sin(2 * np.pi * hz * _seconds(seconds))).astype(np.float32)


def _clicks(every_s: float, seconds: float = 4.0) -> Levels:
    samples = np.zeros(round(seconds * _WIDE_HZ), np.float32)
    samples[round(0.5 * _WIDE_HZ) :: round(every_s * _WIDE_HZ)] = 0.9
    return samples


def _wide_voice(seconds: float = 4.0) -> Levels:
    places = np.arange(round(seconds * _WIDE_HZ)) * (_HZ / _WIDE_HZ)
    samples: Levels = np.interp(places, np.arange(len(_voice())), _voice()).astype(np.float32)
    return samples


@pytest.mark.parametrize("profile", ["legacy-gsm", "image-basic", "smsglobal-old"])
@pytest.mark.parametrize(
    ("hz", "side"), [(17_000, "above"), (5_000, "above"), (3_900, "above"), (30, "below"), (50, "below")]
)
def test_what_a_voice_coder_cannot_carry_is_refused_before_anything_is_encoded(
    hz: float, side: str, profile: str
) -> None:
    flac = _as_flac(_tone(hz))
    with pytest.raises(
        Inaudible, match=rf"dial\.flac: what is heard in it lies {side} the 100 to 3,500 Hz that AMR carries"
    ) as caught:
        prepare([("dial.flac", flac)], profile=profile)
    assert profile in str(caught.value) and caught.value.exit_status == 4


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(lambda: _clicks(0.25), id="clicks"),
        pytest.param(lambda: _clicks(9.0), id="one click"),
        pytest.param(lambda: _wide_voice() + _tone(17_000, level=0.4), id="voice beside a whistle"),
        pytest.param(lambda: _wide_voice() + _tone(30, level=0.4), id="voice over a rumble"),
        pytest.param(lambda: _tone(440), id="tone"),
        pytest.param(lambda: _tone(100), id="hum"),
        pytest.param(lambda: 0.4 * np.sign(_tone(50)), id="buzz"),
    ],
)
def test_what_a_voice_coder_carries_is_heard_at_every_rate_of_it(sound: Callable[[], Levels], tmp_path: Path) -> None:
    """The part that it carries is as loud as it may be, whatever lies beside it."""
    samples = sound()
    data = _as_flac(samples)
    low_bytes = round(len(samples) / _WIDE_HZ * 5.2 * 125) + 1_700
    for limit_bytes in (low_bytes, round(low_bytes * 1.6)):
        (part,) = prepare([("sound.flac", data)], profile="legacy-gsm", best_effort=True, limit_bytes=limit_bytes).parts
        assert part.format == "amr"
        path = tmp_path / "part.amr"
        path.write_bytes(part.data)
        with Workspace(Settings()) as workspace:
            made = decoded(path, "amr", workspace, max_bytes=10_000_000)
        assert heard_lufs(made.samples, made.rate_hz) > -45


def test_a_whistle_takes_the_rungs_that_carry_it_and_says_so_where_they_do_not_fit() -> None:
    flac = _as_flac(_tone(15_000))
    (part,) = prepare([("whistle.flac", flac)]).parts
    assert part.format == "mp3"
    with pytest.raises(BelowFloor, match="--trim"):
        prepare([("whistle.flac", flac)], limit_bytes=25_000)


def test_a_clip_goes_without_a_sound_that_its_profile_cannot_carry_and_says_so(
    sample_media: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    command = [ffmpeg.executable(Settings()), "-v", "error", "-i", str(sample_media / "formats/mute.mp4")]
    tone = ["-f", "lavfi", "-i", "sine=frequency=15000:sample_rate=44100", "-t", "2", "-c:v", "copy", "-c:a", "aac"]
    subprocess.run([*command, *tone, "-b:a", "128k", str(clip)], check=True)
    (part,) = prepare([clip], profile="legacy-gsm").parts
    assert any("nothing that the profile's clips carry" in note for note in part.notes)
    (part,) = prepare([clip]).parts
    assert not any("left out" in note for note in part.notes)


def _as_flac(samples: Levels) -> bytes:
    command = [
        ffmpeg.executable(Settings()),
        "-v",
        "error",
        "-f",
        "f32le",
        "-ar",
        str(_WIDE_HZ),
        "-ac",
        "1",
        "-i",
        "pipe:0",
    ]
    raw = np.clip(samples, -1, 1).astype("<f4").tobytes()
    return subprocess.run([*command, "-f", "flac", "pipe:1"], input=raw, capture_output=True, check=True).stdout


def test_a_burst_that_damage_makes_does_not_turn_everything_else_down(sample_media: Path) -> None:
    """E-AC-3 that is broken decodes to any number, 20 dB above full scale at times."""
    damaged, place = bytearray((sample_media / "formats/song.eac3").read_bytes()), Random(1)
    for _ in range(6):
        damaged[place.randrange(64, len(damaged))] ^= 1 << place.randrange(8)
    (part,) = prepare([("song.eac3", bytes(damaged))]).parts
    assert any("slightly damaged" in note for note in part.notes)
