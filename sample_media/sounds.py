"""Speech, music and melodies for the samples.

Comes in: words as phonemes, a seed. Goes out: sample arrays (-1..1) and Standard MIDI bytes. Never: a file,
or a recording of a person: the voice is a formant synthesizer (a pulse train and noise through resonators),
the music is additive synthesis over a chord progression.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import mido
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SPEECH_RATE_HZ = 16_000
MUSIC_RATE_HZ = 44_100


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One speech sound: formants in Hz, loudness of voice and breath, length in seconds.

    ``noise_hz`` is the centre of the hiss of a fricative or of a stop's burst.
    """

    formants_hz: tuple[float, float, float, float]
    voice: float
    breath: float
    length_s: float
    noise_hz: float = 0.0


def _vowel(first: float, second: float, third: float, length_s: float = 0.12) -> Phoneme:
    return Phoneme((first, second, third, 3500), 1.0, 0.02, length_s)


PHONEMES = {
    "a": _vowel(730, 1090, 2440, 0.13),
    "ae": _vowel(660, 1720, 2410, 0.14),
    "e": _vowel(530, 1840, 2480),
    "i": _vowel(390, 1990, 2550, 0.09),
    "ee": _vowel(270, 2290, 3010, 0.14),
    "o": _vowel(570, 840, 2410, 0.15),
    "oo": _vowel(300, 870, 2240, 0.13),
    "u": _vowel(640, 1190, 2390, 0.09),
    "er": _vowel(490, 1350, 1690, 0.14),
    "l": Phoneme((360, 1100, 2600, 3300), 0.55, 0.0, 0.07),
    "r": Phoneme((340, 1100, 1500, 3200), 0.55, 0.0, 0.07),
    "w": Phoneme((290, 650, 2200, 3300), 0.5, 0.0, 0.06),
    "y": Phoneme((270, 2200, 3000, 3500), 0.5, 0.0, 0.06),
    "m": Phoneme((250, 1000, 2200, 3300), 0.32, 0.0, 0.08),
    "n": Phoneme((250, 1500, 2500, 3300), 0.32, 0.0, 0.07),
    "s": Phoneme((320, 1400, 2500, 3500), 0.0, 0.42, 0.11, 5600),
    "sh": Phoneme((320, 1600, 2500, 3500), 0.0, 0.42, 0.11, 3000),
    "f": Phoneme((340, 1100, 2100, 3300), 0.0, 0.13, 0.09, 4200),
    "h": Phoneme((500, 1500, 2500, 3500), 0.0, 0.12, 0.06, 1700),
    "z": Phoneme((280, 1400, 2500, 3500), 0.3, 0.2, 0.08, 5400),
    "v": Phoneme((260, 1000, 2100, 3300), 0.34, 0.06, 0.06, 3800),
    "t": Phoneme((320, 1700, 2600, 3500), 0.0, 0.5, 0.08, 4300),
    "k": Phoneme((300, 1900, 2400, 3500), 0.0, 0.45, 0.08, 2000),
    "p": Phoneme((280, 900, 2100, 3300), 0.0, 0.3, 0.08, 900),
    "d": Phoneme((280, 1700, 2600, 3500), 0.15, 0.3, 0.06, 3900),
    "b": Phoneme((260, 900, 2100, 3300), 0.2, 0.2, 0.06, 800),
    "g": Phoneme((270, 1900, 2300, 3500), 0.18, 0.28, 0.06, 1900),
    ",": Phoneme((500, 1500, 2500, 3500), 0.0, 0.0, 0.28),
    ".": Phoneme((500, 1500, 2500, 3500), 0.0, 0.0, 0.5),
    "_": Phoneme((500, 1500, 2500, 3500), 0.0, 0.0, 0.03),
}
STOPS = frozenset("tkpdbg")

NOTE = (
    "h e l o oo , i t s _ m ee . w ee _ a r _ r u n i n g _ t e n _ m i n i t s _ l ae t , "
    "s o _ p l ee z _ s ae v _ u s _ t oo _ s ee t s _ b a i _ v . "
    "v u _ f e r ee _ l ee v z _ ae t _ n a i n , d o n t _ w ae t _ f o r _ m a i _ b r u v er . "
    "s ee _ y oo _ s oo n , b a i ."
)
"""Hello, it's me. We are running ten minutes late, so please save us two seats ..."""

SHORT_NOTE = "k o l _ m ee _ b ae k , v e r _ i z _ n oo z ."


def speech(text: str, seed: int, pitch_hz: float = 118.0) -> Samples:
    """``text`` (phonemes of :data:`PHONEMES`, parted by blanks) spoken, at :data:`SPEECH_RATE_HZ`.

    The pitch falls over each phrase and wavers; a little room noise lies under it all.
    """
    rng = np.random.default_rng(seed)
    names = text.split()
    sounds = [PHONEMES[name] for name in names]
    lengths = [max(1, round(sound.length_s * float(rng.uniform(0.88, 1.15)) * 200)) for sound in sounds]
    formants = _glided(np.repeat([sound.formants_hz for sound in sounds], lengths, axis=0), 5)
    voice = _glided(np.repeat([[sound.voice] for sound in sounds], lengths, axis=0), 3)[:, 0]
    breath = _glided(np.repeat([[_breath(name, s)] for name, s in zip(names, sounds, strict=True)], lengths, axis=0), 2)
    hiss_hz = np.repeat([sound.noise_hz or 2500.0 for sound in sounds], lengths)
    _close_stops(names, lengths, voice, breath[:, 0])
    pitch = _contour(names, lengths, rng, pitch_hz)
    wave = _resonate(formants, _glottis(pitch, voice, rng)) + _hissed(hiss_hz, breath[:, 0], rng)
    room = rng.normal(0, 0.0012, wave.size)
    return np.asarray(wave / np.abs(wave).max() * 0.7 + room, dtype=np.float32)


def _breath(name: str, sound: Phoneme) -> float:
    return 0.0 if name in STOPS else sound.breath


def _glided(steps: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Steps at 200 Hz made smooth over ``2 * width + 1`` frames: the mouth cannot jump."""
    window = np.hanning(2 * width + 3)[1:-1]
    window /= window.sum()
    padded = np.pad(steps, ((width, width), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, window, mode="valid") for column in padded.T], axis=1)


def _close_stops(names: list[str], lengths: list[int], voice: NDArray[np.float64], breath: NDArray[np.float64]) -> None:
    """A stop is silence and then a short burst."""
    start = 0
    for name, length in zip(names, lengths, strict=True):
        if name in STOPS:
            end = start + length
            voice[start : end - 3] *= 0.15
            breath[end - 4 : end] = PHONEMES[name].breath * np.array([1.0, 0.8, 0.45, 0.2])[: min(4, length)]
        start += length


def _contour(names: list[str], lengths: list[int], rng: np.random.Generator, base_hz: float) -> NDArray[np.float64]:
    """Pitch at 200 Hz: falling over each phrase, lifted on every stressed vowel."""
    total = sum(lengths)
    pitch = np.full(total, base_hz)
    start = phrase = 0
    for name, length in zip(names, lengths, strict=True):
        if name in ",.":
            span = np.linspace(1.3, 0.78 if name == "." else 1.04, start + length - phrase)
            pitch[phrase : start + length] *= span
            phrase = start + length
        elif len(name) == 2 and name not in ("sh",):
            bump = np.hanning(length + 12) * 0.2
            reach = min(total - start, length + 12)
            pitch[start : start + reach] *= 1 + bump[:reach]
        start += length
    waver = np.convolve(rng.standard_normal(total + 20), np.hanning(21) / 4, mode="valid")
    return pitch * (1 + 0.05 * waver + 0.008 * rng.standard_normal(total))


def _glottis(pitch: NDArray[np.float64], voice: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Rounded pulses: the vocal folds open slowly and close fast."""
    step = SPEECH_RATE_HZ // 200
    per_sample = np.interp(np.arange(pitch.size * step) / step, np.arange(pitch.size), pitch)
    level = np.interp(np.arange(voice.size * step) / step, np.arange(voice.size), voice)
    phase = np.cumsum(per_sample / SPEECH_RATE_HZ) % 1.0
    opening = np.where(
        phase < 0.6, 0.5 - 0.5 * np.cos(np.pi * phase / 0.6), np.cos(np.pi * (phase - 0.6) / 0.4) * 0.5 + 0.5
    )
    opening[phase > 0.85] = 0
    flow = np.diff(opening, prepend=opening[0])
    return level * (flow * 6 + 0.004 * rng.standard_normal(flow.size) * (phase < 0.6))


def _resonate(formants: NDArray[np.float64], source: NDArray[np.float64]) -> NDArray[np.float64]:
    """Four resonators in series whose centres move every 5 ms."""
    step = SPEECH_RATE_HZ // 200
    wave = source.tolist()
    for number, width_hz in enumerate((70.0, 90.0, 140.0, 220.0)):
        decay = math.exp(-math.pi * width_hz / SPEECH_RATE_HZ)
        back = -decay * decay
        before = earlier = 0.0
        for frame, centre in enumerate(formants[:, number].tolist()):
            forward = 2 * decay * math.cos(2 * math.pi * centre / SPEECH_RATE_HZ)
            gain = 1 - forward - back
            for at in range(frame * step, (frame + 1) * step):
                value = gain * wave[at] + forward * before + back * earlier
                earlier, before = before, value
                wave[at] = value
    return np.array(wave)


def _hissed(
    centre_hz: NDArray[np.float64], level: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Noise, shaped around each sound's centre frequency in overlapping 20 ms windows."""
    step = SPEECH_RATE_HZ // 200
    width = step * 4
    wave = np.zeros(level.size * step + width)
    window = np.hanning(width) / 2
    frequency = np.fft.rfftfreq(width, 1 / SPEECH_RATE_HZ)
    for frame in np.flatnonzero(level > 1e-3):
        spectrum = np.fft.rfft(rng.standard_normal(width))
        shape = np.exp(-(((frequency - centre_hz[frame]) / (0.28 * centre_hz[frame] + 300)) ** 2))
        burst = np.fft.irfft(spectrum * shape, width) * window * level[frame]
        wave[frame * step : frame * step + width] += burst * 0.5
    return wave[: level.size * step]


CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))
"""A minor, F, C, G: MIDI note numbers."""
TUNE = (69, 72, 76, 74, 72, 69, 67, 69, 72, 71, 67, 64, 67, 71, 74, 72)


def music(duration_s: float, seed: int, beats_per_minute: float = 108.0) -> Samples:
    """A little band, stereo at :data:`MUSIC_RATE_HZ`: bass, plucked chords, a tune, a brushed beat."""
    rng = np.random.default_rng(seed)
    beat_s = 60 / beats_per_minute
    mix = np.zeros((int(duration_s * MUSIC_RATE_HZ), 2), np.float64)
    for beat in range(math.ceil(duration_s / beat_s)):
        chord = CHORDS[beat // 4 % len(CHORDS)]
        at_s = beat * beat_s
        if beat % 2 == 0:
            _add(mix, at_s, _string(chord[0] - 12, 2 * beat_s, 6, 1.6), 0.30, 0.0)
        for number, note in enumerate(chord):
            _add(
                mix,
                at_s + number * beat_s / 4,
                _string(note + 12, beat_s * 1.5, 9, 3.5),
                0.12,
                (number - 1) * 0.5,
            )
        _add(mix, at_s, _string(TUNE[beat % len(TUNE)], beat_s * 1.8, 12, 2.2), 0.20, 0.25)
        for half in (0.0, 0.5):
            brush = rng.standard_normal(int(0.06 * MUSIC_RATE_HZ))
            brush = np.diff(brush, prepend=0) * np.exp(-np.linspace(0, 9, brush.size))
            _add(mix, at_s + half * beat_s, brush, 0.05 if half else 0.09, -0.3)
    fade = np.minimum(1, np.minimum(np.arange(len(mix)), np.arange(len(mix))[::-1]) / (0.03 * MUSIC_RATE_HZ))
    return np.asarray(mix / np.abs(mix).max() * 0.8 * fade[:, None], dtype=np.float32)


def _string(note: int, length_s: float, partials: int, decay: float) -> NDArray[np.float64]:
    """One plucked note: partials that are slightly sharp and die faster the higher they are."""
    frequency_hz = 440 * 2 ** ((note - 69) / 12)
    time = np.arange(int(length_s * MUSIC_RATE_HZ)) / MUSIC_RATE_HZ
    wave = np.zeros(time.size)
    for number in range(1, partials + 1):
        partial_hz = frequency_hz * number * math.sqrt(1 + 0.0004 * number * number)
        if partial_hz < MUSIC_RATE_HZ / 2.2:
            wave += np.sin(2 * np.pi * partial_hz * time) / number**1.2 * np.exp(-time * decay * (0.6 + 0.4 * number))
    attack = np.minimum(1, time / 0.004)
    release = np.minimum(1, time[::-1] / 0.02)
    return wave * attack * release


def _add(mix: NDArray[np.float64], at_s: float, wave: NDArray[np.float64], gain: float, pan: float) -> None:
    start = int(at_s * MUSIC_RATE_HZ)
    length = min(wave.size, len(mix) - start)
    if length > 0:
        mix[start : start + length, 0] += wave[:length] * gain * (1 - max(pan, 0))
        mix[start : start + length, 1] += wave[:length] * gain * (1 + min(pan, 0))


def pcm16(samples: Samples) -> bytes:
    """Little-endian signed 16-bit samples."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def tune_midi(file_type: int) -> bytes:
    """The tune of :func:`music` as a Standard MIDI File of type 0 (one track) or 1 (tempo, tune, chords)."""
    song = mido.MidiFile(type=file_type, ticks_per_beat=480)
    head = [
        mido.MetaMessage("track_name", name="Lakeside", time=0),
        mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(108), time=0),
        mido.MetaMessage("time_signature", numerator=4, denominator=4, time=0),
    ]
    melody = [mido.Message("program_change", channel=0, program=11, time=0)]
    for note in TUNE:
        melody.append(mido.Message("note_on", channel=0, note=note, velocity=92, time=0))
        melody.append(mido.Message("note_off", channel=0, note=note, velocity=64, time=480))
    if file_type == 0:
        song.tracks.append(mido.MidiTrack(head + melody))
        return _saved(song)
    chords = [mido.Message("program_change", channel=1, program=24, time=0)]
    for chord in CHORDS:
        chords += [mido.Message("note_on", channel=1, note=note, velocity=70, time=0) for note in chord]
        chords += [
            mido.Message("note_off", channel=1, note=note, velocity=64, time=0 if number else 1920)
            for number, note in enumerate(chord)
        ]
    song.tracks.extend([mido.MidiTrack(head), mido.MidiTrack(melody), mido.MidiTrack(chords)])
    return _saved(song)


def _saved(song: mido.MidiFile) -> bytes:
    buffer = io.BytesIO()
    song.save(file=buffer)
    return buffer.getvalue()
