"""Recordings: what is heard in them, what is done to them, and which rung they become."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymediainfo import MediaInfo as Read

from mmsprep import Job, forecast, prepare
from mmsprep.errors import BelowFloor
from mmsprep.formats.amr import AMR_MAGIC, amr_bytes, amr_frame_bytes, amr_frames
from mmsprep.model import Attachment, MediaInfo, Part
from mmsprep.pipeline import run
from mmsprep.profile import AudioStep, load_profile, profile_names
from mmsprep.settings import Settings
from mmsprep.sniff import sniff
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound import recording
from mmsprep.transcode.sound.amr import joined
from mmsprep.transcode.sound.mp3 import Landing
from mmsprep.transcode.sound.pcm import decode_pcm
from mmsprep.transcode.sound.recording import sound_bytes
from mmsprep.transcode.sound.speech import Material, material, measure
from mmsprep.transcode.sound.spliced import Tried, with_header
from mmsprep.transcode.sound.worth import rung_quality, side_share

Levels = NDArray[np.float32]
_HZ = 16_000


def _decoded(data: bytes, hz: int = _HZ) -> Levels:
    """The first channel of a file, -1..1."""
    command = [ffmpeg.executable(Settings()), "-v", "error", "-i", "pipe:0", "-ac", "1", "-ar", str(hz)]
    raw = subprocess.run([*command, "-f", "s16le", "pipe:1"], input=data, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.int16).astype(np.float32) / np.float32(32_768)


@pytest.fixture(scope="module")
def voice(sample_media: Path) -> Levels:
    return _decoded((sample_media / "message/PTT-20260613-WA0003.ogg").read_bytes())


@pytest.fixture(scope="module")
def song(sample_media: Path) -> Levels:
    return _decoded((sample_media / "formats/song.flac").read_bytes())


def _wave(samples: Levels, hz: int = _HZ) -> bytes:
    import wave

    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(samples.ndim)
        writer.setsampwidth(2)
        writer.setframerate(hz)
        writer.writeframes((samples.clip(-1, 1) * 32_767).astype("<i2").tobytes())
    return out.getvalue()


def _for(seconds: float, samples: Levels) -> Levels:
    return np.resize(samples, round(seconds * _HZ))


def _one_part(data: bytes, profile: str = "smsglobal", **options: object) -> Part:
    (part,) = prepare([("recording", data)], profile=profile, **options).parts  # type: ignore[arg-type]
    return part


def _noise(count: int, level: float) -> Levels:
    return (np.random.default_rng(3).standard_normal(count) * level).astype(np.float32)


def _loudness(samples: Levels) -> float:
    return float(np.sqrt(np.square(samples).mean()))


def test_a_voice_is_speech_with_noise_behind_it_with_bursts_and_when_it_is_quiet(voice: Levels) -> None:
    noisy = voice + _noise(len(voice), _loudness(voice) * 10 ** (-10 / 20))
    knocks = voice.copy()
    for start in range(8_000, len(voice) - 8_000, 24_000):
        knocks[start : start + 800] += _noise(800, 0.5)
    for sounds in (voice, noisy, knocks, voice * 0.02):
        assert material(sounds, _HZ) is Material.SPEECH


def test_a_song_is_music_however_loud_or_short(song: Levels) -> None:
    assert material(song, _HZ) is Material.MUSIC
    assert material(song * 0.02, _HZ) is Material.MUSIC
    assert material(song[: 2 * _HZ], _HZ) is Material.MUSIC


def _tune(notes_a_second: int, drums: float) -> Levels:
    """Twelve seconds of plucked notes, a drum on each: a pitch where a voice has one, and never a long note."""
    rng = np.random.default_rng(1)
    time = np.arange(_HZ // notes_a_second) / _HZ
    made = []
    for hz in rng.choice([110, 131, 147, 165, 196, 220, 262, 294], 12 * notes_a_second):
        note = sum(np.sin(2 * np.pi * hz * partial * time) / partial for partial in range(1, 20)) * np.exp(-6 * time)
        made.append(note + drums * rng.standard_normal(len(time)) * np.exp(-40 * time))
    return (np.concatenate(made) * 0.1).astype(np.float32)


@pytest.mark.parametrize(
    ("notes_a_second", "drums"), [(4, 0), (6, 0), (8, 0), (10, 0), (6, 1), (10, 1), (10, 2), (10, 4), (10, 8), (8, 8)]
)
def test_a_quick_tune_and_what_is_played_over_drums_are_music(notes_a_second: int, drums: float) -> None:
    assert material(_tune(notes_a_second, drums), _HZ) is Material.MUSIC


@pytest.mark.parametrize("noise_db", [-20, -10, -3])
@pytest.mark.parametrize("height", [0.85, 1.0, 1.3, 1.6])
def test_a_low_and_a_high_voice_in_noise_are_speech(voice: Levels, height: float, noise_db: float) -> None:
    said = np.interp(np.arange(0, len(voice), height), np.arange(len(voice)), voice).astype(np.float32)
    noisy = said + _noise(len(said), _loudness(said) * 10 ** (noise_db / 20))
    assert material(noisy, _HZ) is not Material.MUSIC
    assert material(noisy * 0.001, _HZ) is not Material.MUSIC


def test_noise_bursts_with_pauses_and_beeps_are_not_speech() -> None:
    gate = np.repeat(np.tile([1.0, 0.0, 0.0], 20), 4_000).astype(np.float32)
    bursts = gate * _noise(len(gate), 0.3)
    beeps = gate * np.sin(np.arange(len(gate)) * 2 * np.pi * 1_000 / _HZ).astype(np.float32)
    assert material(bursts, _HZ) is Material.MUSIC
    assert material(beeps, _HZ) is Material.MUSIC


def test_silence_and_next_to_nothing_are_measured_without_a_complaint() -> None:
    assert measure(np.zeros(_HZ, np.float32), _HZ).carried_pitch == 0
    assert measure(np.zeros(10, np.float32), _HZ).steadiness == 0


def test_speech_from_a_telephone_is_known_as_such(sample_media: Path) -> None:
    told = _decoded((sample_media / "formats/note.amr").read_bytes())
    assert material(told, _HZ) is Material.NARROW_SPEECH


_MP3_STEPS = [AudioStep(format="mp3", rate_kbps=rate, sample_rate_hz=22_050) for rate in (24, 32, 48, 64)]
_AMR = AudioStep(format="amr", rate_kbps=12.2, sample_rate_hz=8_000)


def test_a_higher_rung_is_worth_more_and_music_suffers_more_from_a_low_one() -> None:
    speech = [rung_quality(step, Material.SPEECH) for step in _MP3_STEPS]
    music = [rung_quality(step, Material.MUSIC) for step in _MP3_STEPS]
    assert speech == sorted(speech) and music == sorted(music)
    assert all(spoken > played for spoken, played in zip(speech, music, strict=True))
    assert rung_quality(_AMR, Material.MUSIC) < min(music)
    assert rung_quality(_AMR, Material.NARROW_SPEECH) > rung_quality(_AMR, Material.SPEECH)


def test_the_size_of_an_amr_is_known_to_the_byte_a_second() -> None:
    assert sound_bytes(_AMR, 61) - sound_bytes(_AMR, 60) == 50 * 32


@pytest.mark.parametrize("name", ["smsglobal", "legacy-gsm"])
def test_a_minute_of_voice_is_mp3_or_amr_as_the_profile_says(voice: Levels, name: str) -> None:
    part = _one_part(_wave(_for(60, voice)), name)
    expected = {"smsglobal": "audio/mpeg", "legacy-gsm": "audio/amr"}[name]
    assert part.content_type == expected
    assert (part.duration_s or 0) > 55
    decoded = _decoded(part.data)
    assert len(decoded) / _HZ == pytest.approx(part.duration_s or 0, abs=0.3)


def test_music_becomes_mp3_as_long_as_any_fits_and_is_no_speech_codec_s_prey(song: Levels) -> None:
    assert _one_part(_wave(_for(20, song)), limit_bytes=97_000).content_type == "audio/mpeg"
    long = _wave(_for(66, song))
    with pytest.raises(BelowFloor, match="--trim"):
        _one_part(long, limit_bytes=97_000)
    trimmed = _one_part(long, limit_bytes=97_000, trim=True)
    assert trimmed.content_type == "audio/mpeg"
    assert any("cut to its first" in note for note in trimmed.notes)


def test_silent_ends_go_and_a_quiet_voice_is_kept_whole(voice: Levels) -> None:
    spoken = voice[: 4 * _HZ]
    quiet = np.concatenate([np.zeros(3 * _HZ, np.float32), spoken * 0.01, np.zeros(2 * _HZ, np.float32)])
    part = _one_part(_wave(quiet), limit_bytes=100_000)
    assert (part.duration_s or 0) == pytest.approx(4, abs=0.5)
    assert np.abs(_decoded(part.data)).max() > 5 * np.abs(spoken * 0.01).max()


def test_a_knock_on_the_microphone_neither_keeps_the_voice_low_nor_clips(voice: Levels) -> None:
    low = voice[: 6 * _HZ] * 0.05
    low[3 * _HZ : 3 * _HZ + 40] = 0.9
    decoded = _decoded(_one_part(_wave(low), limit_bytes=100_000).data)
    assert _loudness(decoded) > 2 * _loudness(low)
    assert (np.abs(decoded) > 0.999).mean() < 1e-4


def test_the_same_recording_gives_the_same_bytes(voice: Levels) -> None:
    data = _wave(_for(8, voice))
    assert _one_part(data).data == _one_part(data).data


def _info(data: bytes, workspace: Workspace) -> tuple[Attachment, MediaInfo]:
    attachment = Attachment(0, "recording", len(data), data=data)
    return attachment, sniff(attachment, workspace.settings, workspace)


def test_pcm_keeps_rate_and_channels_and_a_long_recording_is_bounded(
    workspace: Workspace, make: Callable[[str, str], bytes]
) -> None:
    short = make("-f lavfi -i sine=440:sample_rate=48000:duration=1 -ac 2", "wav")
    pcm = decode_pcm(*_info(short, workspace), workspace)
    assert (pcm.sound.rate_hz, pcm.sound.channels, round(pcm.duration_s, 2)) == (48_000, 2, 1.0)
    long = make("-f lavfi -i anullsrc=r=44100:cl=stereo:d=1000 -c:a flac", "flac")
    pcm = decode_pcm(*_info(long, workspace), workspace)
    assert pcm.sound.channels == 2 and pcm.sound.samples.nbytes < 160_000_000
    assert pcm.duration_s == pytest.approx(1_000, rel=0.01) and pcm.is_whole
    pcm = decode_pcm(*_info(long, workspace), workspace, longest_s=20)
    assert pcm.sound.duration_s == pytest.approx(20, abs=0.1)
    assert pcm.duration_s == pytest.approx(1_000, rel=0.01) and not pcm.is_whole


def test_evrc_is_decoded(sample_media: Path, workspace: Workspace) -> None:
    data = (sample_media / "formats/noise.evc").read_bytes()
    pcm = decode_pcm(*_info(data, workspace), workspace)
    assert pcm.sound.rate_hz == 8_000 and pcm.duration_s > 0.1


def test_every_audio_rung_of_every_profile_is_worth_something() -> None:
    for name in ("smsglobal", "video-rich", "legacy-gsm", "image-basic"):
        profile = load_profile(name)
        steps = [*profile.audio.ladder, *(profile.video.audio_ladder if profile.video else ())]
        assert all(0 < rung_quality(step, heard) <= 100 for step in steps for heard in Material)


@pytest.mark.parametrize("seconds", [61, *(pytest.param(one, marks=pytest.mark.slow) for one in (36, 95, 107))])
def test_an_mp3_of_a_voice_fills_what_there_is_and_says_how_long_it_is(voice: Levels, seconds: int) -> None:
    message = prepare([("voice.wav", _wave(_for(seconds, voice)))])
    (part,) = message.parts
    assert part.format == "mp3"
    assert 0.982 * (message.limit_bytes - 600) <= message.total_bytes <= message.limit_bytes - 600
    told = Read.parse(io.BytesIO(part.data)).general_tracks[0]
    assert float(told.duration) / 1000 == pytest.approx(part.duration_s or 0, abs=0.2)
    assert len(_decoded(part.data)) / _HZ == pytest.approx(part.duration_s or 0, abs=0.3)


@pytest.mark.parametrize("way", [("q:a", "6", "6.6"), ("q:a", "2", "2.3"), ("b:a", "45k", "43k")])
@pytest.mark.parametrize(("rate_hz", "channels"), [(24_000, 1), (44_100, 1), (32_000, 2)])
def test_two_encodes_make_one_that_sounds_like_either_up_to_and_from_where_they_meet(
    song: Levels, way: tuple[str, str, str], rate_hz: int, channels: int
) -> None:
    """Nothing is heard of the seam: outside of the frames at it every sample is that of one of the two."""
    option, *values = way
    samples = _wave(np.stack([_for(8, song)] * channels, axis=1) if channels == 2 else _for(8, song))
    made = sorted(
        (_lame(samples, rate_hz, {option: value, "abr": str(int("b" in option))}) for value in values), key=len
    )
    low, high = made
    for share in (0.35, 0.8):
        most_bytes = round(len(with_header(low)) + share * (len(high) - len(low)))
        tried = Tried(most_bytes)
        for one in (high, low):
            tried.add(one)
        assert 0.99 * most_bytes <= len(tried.best) <= most_bytes and tried.is_filled
        got, better, rest = (_decoded(one, rate_hz) for one in (tried.best, with_header(high), with_header(low)))
        assert len(got) == len(rest)
        changes = np.flatnonzero(np.abs(got - better[: len(got)]) > 2 / 32_768)
        returns = np.flatnonzero(np.abs(got - rest) > 2 / 32_768)
        assert 0.1 * len(got) < changes[0] < 0.95 * len(got)
        assert returns[-1] - changes[0] < 3 * 1_152
        around = slice(changes[0] - 1_152, changes[0] + 3 * 1_152)
        nearest = np.minimum(np.abs(got - better[: len(got)]), np.abs(got - rest))
        assert nearest[around].max() <= np.abs(better[: len(got)] - rest).max()


def test_encodes_too_unlike_are_not_put_together(song: Levels) -> None:
    low, high = (_lame(_wave(_for(5, song)), 24_000, {"b:a": rate, "abr": "1"}) for rate in ("20k", "40k"))
    tried = Tried((len(low) + len(high)) // 2)
    for one in (low, high):
        tried.add(one)
    assert tried.best == with_header(low) and not tried.is_filled


def _lame(wave: bytes, rate_hz: int, options: dict[str, str]) -> bytes:
    command = [ffmpeg.executable(Settings()), "-v", "error", "-i", "pipe:0", "-ar", str(rate_hz), "-c:a", "libmp3lame"]
    given = [word for name, value in options.items() for word in (f"-{name}", value)]
    plain = ["-f", "mp3", "-write_xing", "0", "-id3v2_version", "0", "pipe:1"]
    return subprocess.run([*command, *given, *plain], input=wave, capture_output=True, check=True).stdout


def test_wide_music_is_stereo_where_there_is_room_and_narrow_music_never(song: Levels) -> None:
    left, right = _for(17, song), _for(17, np.roll(song, _HZ // 2))
    wide, narrow = np.stack([left, right], axis=1), np.stack([left, left], axis=1)
    parts = [_one_part(_wave(levels)) for levels in (wide, narrow)]
    found = [Read.parse(io.BytesIO(part.data)).audio_tracks[0].channel_s for part in parts]
    assert found == [2, 1]


@pytest.mark.parametrize(("limit_bytes", "expected"), [(35_000, "amr"), (290_000, "mp3")])
def test_a_dry_run_tells_which_coder_the_bytes_of_a_recording_lead_to(
    voice: Levels, limit_bytes: int, expected: str
) -> None:
    job = Job(attachments=[("voice.wav", _wave(_for(40, voice)))], limit_bytes=limit_bytes)
    (foretold,), (part,) = forecast(job).parts, run(job).parts
    assert foretold.format == part.format == expected


@pytest.mark.parametrize(
    "limit_bytes", [40_000, *(pytest.param(one, marks=pytest.mark.slow) for one in (55_000, 70_000))]
)
def test_amr_fills_what_there_is_between_its_rates_and_never_more(voice: Levels, limit_bytes: int) -> None:
    """The higher of two rungs goes first, each frame whole; nothing but rungs of the profile."""
    message = prepare([("voice.wav", _wave(_for(50, voice)))], profile="smsglobal-old", limit_bytes=limit_bytes)
    (part,) = message.parts
    assert part.format == "amr"
    assert 0.98 * (limit_bytes - 600) <= message.total_bytes <= limit_bytes
    sizes = [len(frame) for frame in amr_frames(part.data)]
    assert len(set(sizes)) == 2 and sizes == sorted(sizes, reverse=True)
    rungs = {amr_frame_bytes(step.rate_kbps) for step in load_profile("smsglobal-old").audio.ladder}
    assert set(sizes) <= rungs
    assert len(_decoded(part.data)) / _HZ == pytest.approx(50, abs=0.1)


def test_the_highest_rate_of_amr_is_encoded_once_whatever_room_is_left(
    voice: Levels, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[AudioStep] = []
    options = recording.encoder_options

    def counted(step: AudioStep) -> dict[str, str | int]:
        encoded.append(step)
        return options(step)

    monkeypatch.setattr(recording, "encoder_options", counted)
    message = prepare([("voice.wav", _wave(_for(30, voice)))], limit_bytes=60_000)
    assert [part.format for part in message.parts] == ["amr"]
    assert len(encoded) == 1


def test_amr_changes_its_rate_where_it_is_quietest() -> None:
    samples = np.full((8_000 * 20, 1), 0.5, np.float32)
    samples[8_000 * 10 - 1_600 : 8_000 * 10 - 1_440] = 0
    low, high = (AMR_MAGIC + bytes((kind << 3, *bytes(size - 1))) * 1_000 for kind, size in ((2, 16), (5, 21)))
    made = joined(low, lambda: high, (16, 21), len(low) + 5 * 500, (samples, 8_000))
    sizes = [len(frame) for frame in amr_frames(made)]
    assert sizes == [21] * 490 + [16] * 510
    assert joined(low, lambda: high, (16, 21), len(high), (samples, 8_000)) == high
    assert joined(low, lambda: high, (16, 21), len(low), (samples, 8_000)) == low


@given(rate_kbps=st.floats(4.75, 12.2), frames=st.integers(1, 20_000))
def test_a_mean_rate_of_amr_takes_between_what_its_neighbours_take(rate_kbps: float, frames: int) -> None:
    rates = (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)
    low = max(rate for rate in rates if rate <= rate_kbps)
    high = min(rate for rate in rates if rate >= rate_kbps)
    exact = [6 + amr_frame_bytes(rate) * frames for rate in (low, high)]
    assert exact[0] <= amr_bytes(rate_kbps, frames) <= exact[1]
    assert [amr_bytes(rate, frames) for rate in (low, high)] == exact


@pytest.mark.parametrize(
    ("side", "rate_kbps", "wins"),
    [(0.5, 100, True), (0.1, 100, True), (0.5, 90, False), (0.05, 100, False), (0.05, 115, True), (0.001, 128, False)],
)
def test_two_channels_win_where_they_differ_and_there_are_bytes_enough(
    side: float, rate_kbps: float, wins: bool
) -> None:
    one, two = (AudioStep(format="mp3", rate_kbps=rate_kbps, sample_rate_hz=32_000, channels=n) for n in (1, 2))
    assert (rung_quality(two, Material.MUSIC, side) > rung_quality(one, Material.MUSIC, side)) is wins


@pytest.mark.parametrize("name", profile_names())
def test_mp3_is_preferred_to_amr_wherever_a_profile_has_both_but_for_what_a_telephone_carried(name: str) -> None:
    """Music of 16 kbit/s and more, speech of 19; AMR loses nothing of what a telephone has cut off."""
    ladder = [step for step in load_profile(name).audio.ladder if step.channels == 1]
    lowest = min((step for step in ladder if step.format == "mp3"), key=lambda step: step.rate_kbps, default=None)
    highest = max((step for step in ladder if step.format == "amr"), key=lambda step: step.rate_kbps, default=None)
    if lowest is None or highest is None:
        assert {step.format for step in ladder} < {"mp3", "amr", "wav", "wav-ima"}
        return
    assert lowest.rate_kbps <= 16
    nineteen = msgspec.structs.replace(lowest, rate_kbps=19)
    for heard, mp3, better in (
        (Material.MUSIC, lowest, lowest),
        (Material.SPEECH, lowest, highest),
        (Material.SPEECH, nineteen, nineteen),
        (Material.NARROW_SPEECH, nineteen, highest),
    ):
        assert max((mp3, highest), key=lambda step: rung_quality(step, heard)) is better


def test_the_difference_of_two_channels_is_a_share_of_their_power() -> None:
    left, right = _noise(8_000, 0.1), np.roll(_noise(8_000, 0.1), 4_000)
    shares = [side_share(np.stack(pair, axis=1)) for pair in ((left, left), (left, right), (left, -left))]
    assert shares == pytest.approx([0, 0.5, 1], abs=0.05)
    assert side_share(left[:, None]) == 0


def test_a_rate_is_expected_between_those_that_were_found_nearest_to_it() -> None:
    landing = Landing()
    assert landing.place(6.0) > landing.place(5.0)
    landing.rates += [(5.0, -0.3), (6.0, 0.7), (4.0, -0.6)]
    assert landing.place(5.5) == pytest.approx(0.2) and landing.place(6.1) == pytest.approx(0.8)
    assert landing.place(4.5) == pytest.approx(-0.45)
