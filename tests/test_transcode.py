"""Sources: what they promise, what they make, and that they never make it too large."""

from __future__ import annotations

import io
import random

import mido
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mmsprep.profile import AudioStep
from mmsprep.transcode.audio import is_speech, rung_quality, sound_bytes
from mmsprep.transcode.imelody import MOST_TONES, MelodyError, parse
from mmsprep.transcode.jpeg import encode
from mmsprep.transcode.melody import TICKS_A_QUARTER, to_midi
from mmsprep.transcode.photo import PhotoSource
from mmsprep.transcode.score import Reference


def _picture(seed: int = 1, size: tuple[int, int] = (640, 480)) -> Image.Image:
    noise = random.Random(seed)
    coarse = Image.frombytes("RGB", (40, 30), noise.randbytes(3600)).resize(size, Image.Resampling.BICUBIC)
    fine = Image.frombytes("RGB", size, noise.randbytes(size[0] * size[1] * 3))
    picture = Image.blend(coarse, fine, 0.15)
    ImageDraw.Draw(picture).ellipse((100, 80, 400, 380), outline="white", width=5)
    return picture


def test_a_jpeg_is_baseline_without_metadata_and_shrinks_with_its_scale() -> None:
    sizes = [len(encode(_picture(), scale)) for scale in (0.1, 0.3, 0.9, 2.7)]
    assert sizes == sorted(sizes, reverse=True)
    image = Image.open(io.BytesIO(encode(_picture(), 0.5)))
    assert not image.info.get("progressive") and not image.getexif()


def test_the_score_falls_with_every_loss() -> None:
    picture = _picture()
    reference = Reference(picture)
    scores = [reference.score(Image.open(io.BytesIO(encode(picture, scale)))) for scale in (0.05, 0.4, 1.5, 4)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 75 > scores[-1]


@pytest.mark.parametrize("max_bytes", [3_000, 9_000, 27_000, 80_000])
def test_a_photo_fills_what_it_is_given_and_never_more(max_bytes: int) -> None:
    rendition = PhotoSource(_picture(), floor_quality=20).render(max_bytes)
    assert 0.985 * max_bytes <= rendition.size_bytes <= max_bytes


def test_few_bytes_make_a_smaller_picture_rather_than_a_ruined_one() -> None:
    source = PhotoSource(_picture(), floor_quality=20)
    small, large = source.render(5_000), source.render(90_000)
    assert (small.width_px or 0) < (large.width_px or 0) <= 640


_WAVE_STEPS = [AudioStep(format="mp3", rate_kbps=rate, sample_rate_hz=22_050) for rate in (24, 32, 48, 64)]


def test_a_higher_rung_is_worth_more_and_music_suffers_more_from_a_low_one() -> None:
    speech = [rung_quality(step, is_speech=True) for step in _WAVE_STEPS]
    music = [rung_quality(step, is_speech=False) for step in _WAVE_STEPS]
    assert speech == sorted(speech) and music == sorted(music)
    assert all(spoken > played for spoken, played in zip(speech, music, strict=True))
    amr = AudioStep(format="amr", rate_kbps=12.2, sample_rate_hz=8_000)
    assert rung_quality(amr, is_speech=False) < min(music)


def test_the_size_of_an_amr_is_known_to_the_byte_a_second() -> None:
    step = AudioStep(format="amr", rate_kbps=12.2, sample_rate_hz=8_000)
    assert sound_bytes(step, 61) - sound_bytes(step, 60) == 50 * 32


def test_what_pauses_is_speech_and_what_does_not_is_music() -> None:
    from pydub import AudioSegment

    chance = random.Random(2)
    loud = b"".join(chance.randint(-9000, 9000).to_bytes(2, "little", signed=True) for _ in range(4_000))
    quiet = bytes(len(loud))

    def sound(data: bytes) -> object:
        return AudioSegment(data=data, sample_width=2, frame_rate=8_000, channels=1)

    assert is_speech(sound((loud + quiet) * 6))
    assert not is_speech(sound(loud * 12))


def _imelody(notes: str, *, beat: int = 120, style: str = "S1") -> str:
    lines = ["BEGIN:IMELODY", "VERSION:1.2", "FORMAT:CLASS1.0", f"BEAT:{beat}", f"STYLE:{style}"]
    return "\r\n".join([*lines, f"MELODY:{notes}", "END:IMELODY", ""])


def _played(data: bytes) -> list[tuple[int, int, int]]:
    """Pitch, start and length in ticks of every note in a MIDI file."""
    now, started, notes = 0, {}, []
    for event in mido.MidiFile(file=io.BytesIO(data)).tracks[0]:
        now += event.time
        if event.type == "note_on" and event.velocity:
            started[event.note] = now
        elif event.type in ("note_off", "note_on"):
            notes.append((event.note, started[event.note], now - started.pop(event.note)))
    return notes


def test_octaves_accidentals_and_lengths_are_as_the_grammar_says() -> None:
    """The A of octave 0 has 55 Hz (MIDI 33); a prefix holds for one note alone; *4 is the default."""
    melody = parse(_imelody("*0a2a2#c3.&e1:r2c5;"))
    assert [tone.pitch for tone in melody.tones] == [33, 81, 73, 75, None, 72]
    assert [tone.quarters for tone in melody.tones] == pytest.approx([1, 1, 0.75, 3.5, 1, 0.125 * 2 / 3])


def test_repeats_are_finite_and_volume_changes_with_them() -> None:
    assert [tone.volume for tone in parse(_imelody("(c2@3V+)")).tones] == [7, 8, 9]
    assert len(parse(_imelody("(c2d2@0)")).tones) == 6
    assert len(parse(_imelody("(c2@9999)")).tones) <= MOST_TONES


@pytest.mark.parametrize("notes", ["&h2", "#e2", "c2(d2", "(c2(d2@2)@2)", "c9", "c2)", "r2"])
def test_a_broken_melody_is_an_error_with_its_line(notes: str) -> None:
    with pytest.raises(MelodyError, match="line 6"):
        parse(_imelody(notes))


def test_an_emelody_has_short_and_long_tones() -> None:
    melody = parse("BEGIN:EMELODY\r\nVERSION:1.0\r\nMELODY:cC+d#fp(b)e\r\nEND:EMELODY\r\n")
    assert [tone.pitch for tone in melody.tones] == [72, 72, 86, 78, None, 75]
    assert [tone.quarters for tone in melody.tones] == [0.5, 1, 0.5, 0.5, 0.5, 0.5]


@hypothesis_settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from("cdefgab"), st.integers(0, 5), st.sampled_from(["", ".", ":"])),
        min_size=1,
        max_size=30,
    ),
    st.integers(25, 900),
)
def test_any_melody_plays_the_same_notes_at_the_same_times(notes: list[tuple[int, str, int, str]], beat: int) -> None:
    semitones = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
    text = "".join(f"*{octave}{name}{length}{dot}" for octave, name, length, dot in notes)
    expected, now = [], 0
    for octave, name, length, dot in notes:
        ticks = round(TICKS_A_QUARTER * 4 / 2**length * {"": 1, ".": 1.5, ":": 1.75}[dot])
        expected.append((min(127, 24 + 12 * octave + semitones[name]), now, ticks))
        now += ticks
    assert _played(to_midi(parse(_imelody(text, beat=beat)))) == expected
