"""Melodies: every rule of iMelody and eMelody, where an error stands, and the same notes in the MIDI made of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import mido
import msgspec
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mmsprep.errors import Damaged
from mmsprep.formats.emelody import parse_emelody
from mmsprep.formats.imelody import ENDLESS_S, parse_imelody
from mmsprep.formats.melody import MOST_TONES, MelodyError
from mmsprep.formats.midi import TICKS_A_QUARTER, as_one_track, from_melody, read_song
from mmsprep.model import Action, MediaInfo
from mmsprep.pipeline import prepare
from mmsprep.pipeline.classify import classify
from mmsprep.profile import Profile, Use

Look = Callable[..., MediaInfo]
SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


def imelody(notes: str, *headers: str) -> str:
    lines = ["BEGIN:IMELODY", "VERSION:1.2", "FORMAT:CLASS1.0", *headers, f"MELODY:{notes}", "END:IMELODY"]
    return "\r\n".join(lines) + "\r\n"


def emelody(notes: str) -> str:
    return f"BEGIN:EMELODY\r\nNAME:x\r\nCOMPOSER:y\r\nVERSION:1.0\r\nMELODY:{notes}\r\nEND:EMELODY\r\n"


def played(data: bytes) -> list[tuple[int, int, int, int]]:
    """Pitch, start and length in ticks, velocity of every note, as mido reads them back."""
    now, started, notes = 0, {}, []
    for event in mido.MidiFile(file=io.BytesIO(data)).tracks[0]:
        now += event.time
        if event.type == "note_on" and event.velocity:
            started[event.note] = (now, event.velocity)
        elif event.type in ("note_off", "note_on"):
            begin, velocity = started.pop(event.note)
            notes.append((event.note, begin, now - begin, velocity))
    assert not started
    return notes


def test_octaves_accidentals_and_lengths_are_as_the_grammar_says() -> None:
    """The A of octave 0 has 55 Hz (MIDI 33); a prefix holds for one note alone; *4 is the default."""
    melody = parse_imelody(imelody("*0a2a2#c3.&e1:r2c5;"))
    assert [tone.pitch for tone in melody.tones] == [33, 81, 73, 75, None, 72]
    assert [tone.quarters for tone in melody.tones] == pytest.approx([1, 1, 0.75, 3.5, 1, 0.125 * 2 / 3])


def test_what_midi_cannot_play_is_an_octave_lower_and_told() -> None:
    melody = parse_imelody(imelody("*8g2*8b2*8&a2"))
    assert [tone.pitch for tone in melody.tones] == [127, 119, 116]
    assert "octave lower" in melody.notes[0]


def test_volume_is_a_state_that_goes_on_through_repeats() -> None:
    """V+ and V- are one step, inside a repeat at every play; the repeat's own change comes between the plays."""

    def volumes(notes: str, *headers: str) -> list[int]:
        return [tone.volume for tone in parse_imelody(imelody(notes, *headers)).tones]

    assert volumes("c2V+c2V15c2V+c2V0c2V-c2") == [7, 8, 15, 15, 0, 0]
    assert volumes("(c2@3V+)d2") == [7, 8, 9, 9]
    assert volumes("(c2@3V-)") == [7, 6, 5]
    assert volumes("(c2V+d2@2)") == [7, 8, 8, 9]
    assert volumes("c2", "VOLUME:V12") == [12]
    assert volumes("c2", "VOLUME:V-") == [6]
    assert volumes("V3(@20V+)c2") == [15]


def test_a_repeat_for_ever_ends() -> None:
    melody = parse_imelody(imelody("(c2d2@0)", "BEAT:120"))
    assert ENDLESS_S <= melody.duration_s <= ENDLESS_S + 1 and "for ever" in melody.notes[0]
    long = parse_imelody(imelody("(" + "c0" * 40 + "@0)"))
    assert len(long.tones) == 80
    endless = parse_imelody(imelody("(c5@999999)"))
    assert len(endless.tones) == MOST_TONES and "left out" in endless.notes[0]


def test_lights_and_vibration_are_understood_and_told() -> None:
    melody = parse_imelody(imelody("ledonc2ledoffvibeond2vibeoffbackone2backoff"))
    assert [tone.pitch for tone in melody.tones] == [72, 74, 76]
    assert melody.notes == ("its lights and vibration are left out",)


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN:IMELODY\nMELODY:c2d2\nEND:IMELODY",
        "Begin:imelody\r\nversion:1.0\r\nformat:class2.0\r\nmelody: c2 d2 \r\nend:imelody\r\nand more",
        "\r\nBEGIN:IMELODY\r\nCOPYRIGHT:c: d\r\nNAME:x\r\n y\r\nMELODY:c\r\n 2d\r\n 2\r\nEND:IMELODY\r\n",
        "BEGIN:IMELODY\r\nMELODY:c2\r\nd2\r\n\r\nEND:IMELODY\r\n",
        "BEGIN:IMELODY\r\nMELODY:c2d2\r\nBEAT:60\r\nEND:IMELODY\r\n",
    ],
)
def test_headers_are_read_leniently(text: str) -> None:
    """Any line end, order and case; required headers may lack; folded lines, also without their blank."""
    assert [tone.pitch for tone in parse_imelody(text).tones] == [72, 74]


@pytest.mark.parametrize(
    ("notes", "where", "what"),
    [
        ("c2h2", 10, "found 'h2'"),
        ("c2#e2", 10, "expected one of #c #d #f #g #a"),
        ("c2&c2", 10, "expected one of &d &e &g &a &b"),
        ("c2 *9c2", 11, "found '*9c2'"),
        ("c9", 8, "length"),
        ("c2r", 10, "length"),
        ("c2)", 10, "expected '@'"),
        ("(c2)", 11, "expected '@'"),
        ("c2@2)", 10, "without a '('"),
        ("c2(d2", 10, "not closed"),
        ("(c2(d2@2)@2)", 11, "inside a repeat"),
        ("c2V16", 12, "found '6'"),
        ("r2", 8, "no note"),
        ("", 8, "no note"),
    ],
)
def test_an_error_says_where_and_what(notes: str, where: int, what: str) -> None:
    with pytest.raises(MelodyError) as caught:
        parse_imelody(imelody(notes, "BEAT:100", "STYLE:S1"))
    assert str(caught.value).startswith(f"line 6, column {where}: ") and what in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (imelody("c2", "BEAT:20"), "line 4, column 6: found '20', expected 25 to 900"),
        (imelody("c2", "BEAT: fast"), "line 4, column 7: found 'fast', expected 25 to 900"),
        (imelody("c2", "STYLE:S3"), "line 4, column 7: found 'S3', expected S0, S1 or S2"),
        (imelody("c2", "VOLUME:V16"), "line 4, column 8: found 'V16', expected V0 to V15, V+ or V-"),
        (imelody("c2").replace("1.2", "2.0"), "line 2, column 9: found '2.0', expected 1.2 or an earlier one"),
        (imelody("c2").replace("CLASS", "KLASS"), "line 3, column 8: found 'KLASS1.0', expected CLASS1.0 or CLASS2.0"),
        (imelody("c2", "MELODY:d2"), "line 5, column 1: MELODY: stands there twice"),
        (imelody("c2").replace("MELODY:c2", "NAME:x"), "line 5: the line MELODY: is missing before the end"),
        (imelody("c2").replace("END:IMELODY", ""), "line 6: the line END:IMELODY is missing"),
        (imelody("c2").replace("END:I", "END:E"), "line 5, column 5: found 'EMELODY', expected IMELODY"),
        (imelody("c2", "what is this"), "line 4, column 1: found 'what is this', expected a header such as MELODY:"),
        ("NAME:x\r\n" + imelody("c2"), "line 1, column 1: found 'NAME:x', expected BEGIN:IMELODY"),
    ],
)
def test_a_wrong_header_is_an_error_with_line_and_column(text: str, message: str) -> None:
    with pytest.raises(MelodyError) as caught:
        parse_imelody(text)
    assert str(caught.value) == message


def test_the_place_of_an_error_is_right_in_folded_lines() -> None:
    """Counted in the file as it is: the blank that folds a line takes a column too."""
    with pytest.raises(MelodyError, match=r"^line 6, column 4: found 'x2'"):
        parse_imelody(imelody("c2d2e2\r\n f2g2\r\n a2x2"))
    with pytest.raises(MelodyError, match=r"^line 4, column 10: found '\*9c2'"):
        parse_imelody(imelody("c2*\r\n9c2"))
    with pytest.raises(MelodyError, match=r"^line 6, column 2: found 'H'"):
        parse_emelody(emelody("CDE\r\n H"))


def test_an_emelody_has_short_and_long_tones() -> None:
    melody = parse_emelody(emelody("cC+d#fp(b)e+(b)BP"))
    assert [tone.pitch for tone in melody.tones] == [72, 72, 86, 78, None, 75, 94, None]
    assert [tone.quarters for tone in melody.tones] == [0.5, 1, 0.5, 0.5, 0.5, 0.5, 1, 1]


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("cde#E", "line 5, column 11: found '#e', expected one of #c #d #f #g #a"),
        ("c(b)c", r"line 5, column 9: found '(b)c', expected one of (b)d (b)e (b)g (b)a (b)b"),
        ("c4", "line 5, column 9: found '4', expected a tone (a to g, #c, (b)d, +c) or the pause p"),
        ("ppp", "line 5, column 8: there is no tone in the melody"),
    ],
)
def test_a_broken_emelody_is_an_error_with_line_and_column(notes: str, message: str) -> None:
    with pytest.raises(MelodyError) as caught:
        parse_emelody(emelody(notes))
    assert str(caught.value) == message


@pytest.mark.parametrize(("style", "sounding"), [("S0", Fraction(20, 21)), ("S1", Fraction(1)), ("S2", Fraction(1, 2))])
def test_the_style_is_the_gap_between_tones(style: str, sounding: Fraction) -> None:
    notes = played(from_melody(parse_imelody(imelody("c2c1", f"STYLE:{style}"))))
    assert [(start, length) for _, start, length, _ in notes] == [
        (0, round(480 * sounding)),
        (480, round(960 * sounding)),
    ]


LENGTHS = {"": Fraction(1), ".": Fraction(3, 2), ":": Fraction(7, 4), ";": Fraction(2, 3)}


@dataclass(frozen=True)
class Written:
    """A piece of a melody as text, and what it should do: tones as (pitch, ticks), or a change of volume."""

    text: str
    pitch: int | None = None
    ticks: int = 0
    volume: str = ""


@st.composite
def written_notes(draw: st.DrawFn) -> Written:
    octave = draw(st.none() | st.integers(0, 7))
    shift = draw(st.sampled_from(["", "#", "&"]))
    name = draw(st.sampled_from({"": "cdefgab", "#": "cdfga", "&": "degab"}[shift]))
    length, dot = draw(st.integers(0, 5)), draw(st.sampled_from(list(LENGTHS)))
    prefix = "" if octave is None else f"*{octave}"
    pitch = 24 + 12 * (4 if octave is None else octave) + SEMITONES[name] + {"": 0, "#": 1, "&": -1}[shift]
    ticks = Fraction(4 * TICKS_A_QUARTER, 2**length) * LENGTHS[dot]
    return Written(f"{prefix}{shift}{name}{length}{dot}", pitch, int(ticks))


@st.composite
def written_rests(draw: st.DrawFn) -> Written:
    length, dot = draw(st.integers(0, 5)), draw(st.sampled_from(list(LENGTHS)))
    return Written(f"r{length}{dot}", None, int(Fraction(4 * TICKS_A_QUARTER, 2**length) * LENGTHS[dot]))


VOLUMES = st.sampled_from([*(f"V{step}" for step in range(16)), "V+", "V-"]).map(
    lambda text: Written(text, volume=text)
)
SIGNALS = st.sampled_from(["ledon", "ledoff", "vibeon", "vibeoff", "backon", "backoff"]).map(Written)
PIECES = st.lists(written_notes() | written_rests() | VOLUMES | SIGNALS, min_size=1, max_size=8)
BLOCKS = st.tuples(PIECES, st.integers(1, 4), st.sampled_from(["", "V+", "V-"]))


def stepped(volume: int, change: str) -> int:
    wanted = {"": volume, "V+": volume + 1, "V-": volume - 1}.get(change)
    return min(15, max(0, int(change[1:]) if wanted is None else wanted))


@examples(60)
@given(
    st.lists(st.tuples(st.booleans(), BLOCKS), min_size=1, max_size=4),
    st.integers(25, 900),
    st.integers(0, 15),
    st.integers(7, 40),
    st.sampled_from(["\r\n", "\n", "\r"]),
)
def test_any_melody_of_the_grammar_is_the_same_notes_at_the_same_times_in_midi(
    blocks: list[tuple[bool, tuple[list[Written], int, str]]], beat: int, volume: int, width: int, line_end: str
) -> None:
    """Text of the whole grammar, folded anywhere, to MIDI, read back with mido: pitch, time, length, loudness."""
    text, expected, now = "", [], 0
    start = volume
    for repeated, (pieces, count, change) in blocks:
        body = "".join(piece.text for piece in pieces)
        text += f"({body}@{count}{change})" if repeated else body
        for play in range(count if repeated else 1):
            volume = stepped(volume, change) if play else volume
            for piece in pieces:
                volume = stepped(volume, piece.volume)
                if piece.pitch is not None and volume:
                    expected.append((piece.pitch, now, piece.ticks, 7 + 8 * volume))
                now += piece.ticks
    folded = f"{line_end} ".join(text[at : at + width] for at in range(0, len(text), width))
    lines = imelody(folded, f"BEAT:{beat}", "STYLE:S1", f"VOLUME:V{start}").replace("\r\n", line_end)
    if not any(piece.pitch is not None for _, (pieces, _, _) in blocks for piece in pieces):
        with pytest.raises(MelodyError, match="no note"):
            parse_imelody(lines)
        return
    data = from_melody(parse_imelody(lines))
    assert played(data) == expected
    assert read_song(data).duration_s == pytest.approx(now / TICKS_A_QUARTER * 60 / beat, rel=1e-3, abs=2e-3)


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(["", "#", "(b)"]), st.integers(0, 4), st.booleans()), min_size=1)
)
def test_any_emelody_is_the_same_notes_at_the_same_times_in_midi(tones: list[tuple[bool, str, int, bool]]) -> None:
    text, expected, now = "", [], 0
    for is_high, shift, place, is_long in tones:
        name = {"": "cdefg", "#": "cdfga", "(b)": "degab"}[shift][place]
        pitch = 72 + SEMITONES[name] + {"": 0, "#": 1, "(b)": -1}[shift] + 12 * is_high
        ticks = TICKS_A_QUARTER // (1 if is_long else 2)
        text += f"{'+' * is_high}{shift}{name.upper() if is_long else name}"
        expected.append((pitch, now, ticks))
        now += ticks
    notes = played(from_melody(parse_emelody(emelody(text))))
    assert [(pitch, start) for pitch, start, _, _ in notes] == [(pitch, start) for pitch, start, _ in expected]


@given(st.text(alphabet="cdefgabr*#&012345.:;V+-()@ledonvib \r\n", max_size=80))
def test_any_text_is_a_melody_or_a_melody_error(notes: str) -> None:
    for parse, text in ((parse_imelody, imelody(notes)), (parse_emelody, emelody(notes))):
        try:
            assert parse(text).tones
        except MelodyError as error:
            assert str(error).startswith("line ")


def test_a_melody_is_looked_at_whole(look: Look) -> None:
    """Inspecting already names the line; an intact one has a duration."""
    assert look(imelody("c2d2", "BEAT:60").encode()).duration_s == 2.0
    assert look(emelody("CD").encode()).duration_s == 1.0
    with pytest.raises(Damaged, match=r"tune: is a damaged iMelody: line 4, column 10: found 'x2'"):
        look(imelody("c2x2").encode(), "tune")


def with_use(profile: Profile, kept_row: str) -> Profile:
    """The profile with one row of its table kept."""
    table = tuple(msgspec.structs.replace(row, use=Use.KEEP) if row.row == kept_row else row for row in profile.table)
    return msgspec.structs.replace(profile, table=table)


@pytest.mark.parametrize(
    ("text", "row", "content_type"),
    [
        (imelody("c2d2"), "IMY, eMY", "audio/imelody"),
        (imelody("c2d2"), "X-IMeLODY", "text/x-imelody"),
        (emelody("CD"), "X-eMeLODY", "text/x-emelody"),
    ],
)
def test_a_kept_melody_is_of_its_rows_type(profile: Profile, text: str, row: str, content_type: str) -> None:
    """Partial support will do where a row says keep: the text goes as it is, labelled as that row says."""
    part = prepare([("tune.txt", text.encode())], profile=with_use(profile, row)).parts[0]
    assert (part.action, part.content_type, part.data) == (Action.KEEP, content_type, text.encode())
    assert part.duration_s == 1.0


def test_a_kept_melody_gets_the_line_ends_and_encoding_of_the_grammar(profile: Profile) -> None:
    text = imelody("c2d2", "NAME:é")
    part = prepare(
        [("tune.imy", b"\xff\xfe" + text.replace("\r\n", "\n").encode("utf-16-le"))],
        profile=with_use(profile, "X-IMeLODY"),
    ).parts[0]
    assert (part.action, part.data) == (Action.REWRAP, text.encode())
    assert [reason.code for reason in part.reasons] == ["encoding", "line_ends"]


def test_a_converted_melody_is_midi_of_its_duration(profile: Profile) -> None:
    part = prepare([("tune.imy", imelody("c2(d2@2)").encode())], profile=profile).parts[0]
    assert (part.action, part.content_type, part.duration_s) == (Action.TRANSCODE, "audio/midi", 1.5)
    assert [pitch for pitch, *_ in played(part.data)] == [72, 74, 74]


def smf(form: int, *tracks: bytes) -> bytes:
    chunks = b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)
    return b"MThd" + struct.pack(">IHHH", 6, form, len(tracks), 96) + chunks


NOTE = bytes.fromhex("00903c40 60803c00 00ff2f00")
HIGHER = bytes.fromhex("00904840 30804800 00ff2f00")


@pytest.mark.parametrize("form", [0, 1])
def test_midi_of_format_0_and_1_goes_as_it_is(profile: Profile, form: int) -> None:
    data = smf(form, *((NOTE,) if form == 0 else (NOTE, HIGHER)))
    part = prepare([("tune.mid", data)], profile=profile).parts[0]
    assert (part.action, part.data, part.duration_s) == (Action.KEEP, data, 0.5)


def test_midi_of_format_2_becomes_format_0_with_its_patterns_in_order(profile: Profile) -> None:
    part = prepare([("tune.mid", smf(2, NOTE, HIGHER))], profile=profile).parts[0]
    assert (part.action, read_song(part.data).form, part.duration_s) == (Action.TRANSCODE, 0, 0.75)
    assert [(pitch, start) for pitch, start, *_ in played(part.data)] == [(60, 0), (72, 96)]
    assert read_song(as_one_track(smf(2, NOTE, HIGHER))).note_count == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (smf(0, bytes.fromhex("00ff2f00")), "without a note"),
        (smf(0, bytes.fromhex("003c40 00903c40")), "no event"),
        (smf(1, NOTE)[:-3], "cut short"),
    ],
)
def test_broken_midi_is_refused_by_a_look(look: Look, data: bytes, message: str) -> None:
    with pytest.raises(Damaged, match=message):
        look(data)


def test_the_row_that_keeps_goes_first(profile: Profile, look: Look) -> None:
    """Else the one that names the fewest formats: eMelody is text/x-emelody, not audio/imelody."""
    both = with_use(with_use(profile, "IMY, eMY"), "X-eMeLODY")
    row = both.row_of("emelody")
    assert row is not None and row.content_type == "text/x-emelody"
    plan = classify("a", look(imelody("c2").encode()), with_use(profile, "IMY, eMY"))
    assert (plan.action, plan.row, plan.target) == (Action.KEEP, "IMY, eMY", "imelody")
