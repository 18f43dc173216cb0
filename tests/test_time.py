"""How long something plays: counted, whatever a header says; and what players are tolerant of is sent and told."""

from __future__ import annotations

import io
import struct
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmsprep import Message, prepare
from mmsprep.errors import Damaged, TypeNotAllowed
from mmsprep.formats.mp3 import mpeg_audio_frame
from mmsprep.message.message import build_smil
from mmsprep.model import Action
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg

Make = Callable[..., bytes]

VOICE = "-f lavfi -i aevalsrc=0.5*sin(700*t)*(0.6+0.4*sin(9*t)):d={seconds}:s=22050"
CLIP = "-f lavfi -i testsrc2=size=320x240:rate=10:duration={seconds}"


def plays_s(data: bytes, tmp_path: Path) -> float:
    """Seconds that ffmpeg decodes of a part, by its samples or frames."""
    path = tmp_path / "part"
    path.write_bytes(data)
    program = ffmpeg.executable(Settings())
    done = subprocess.run(
        [program, "-v", "error", "-i", str(path), "-f", "null", "-progress", "pipe:1", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int([line for line in done.stdout.splitlines() if line.startswith("out_time_us=")][-1].split("=")[1]) / 1e6


def told_and_played(data: bytes, name: str, tmp_path: Path) -> tuple[float, Message]:
    """Prepare one file; what is told, what the SMIL shows and what plays are the same; how long that is."""
    message = prepare([(name, data)])
    (part,) = message.parts
    assert part.duration_s is not None
    assert abs(part.duration_s - plays_s(part.data, tmp_path)) < 0.05
    shown = build_smil(message.parts, "").decode().split('dur="')[1].split("ms")[0]
    assert int(shown) / 1000 >= part.duration_s - 0.05
    return part.duration_s, message


def without_length(data: bytes) -> bytes:
    """A Matroska file as browsers record it: segment and clusters of unknown length, no duration."""
    out = bytearray(data)
    for name, size_length in ((b"\x18\x53\x80\x67", 8), (b"\x1f\x43\xb6\x75", None)):
        at = out.find(name)
        while at >= 0:
            length = size_length or 9 - out[at + 4].bit_length()
            out[at + 4 : at + 4 + length] = bytes([(1 << 8 - length) | (1 << 8 - length) - 1]) + b"\xff" * (length - 1)
            at = out.find(name, at + 4) if size_length is None else -1
    at = out.find(b"\x44\x89")  # Duration
    if at >= 0:
        out[at : at + 2] = b"\xec" + bytes([0x80 | (out[at + 2] & 0x7F) + 1])[:1]
    return bytes(out)


@pytest.mark.parametrize("seconds", [2, 6])
def test_a_browsers_recording_without_lengths_is_sent_whole(make: Make, tmp_path: Path, seconds: int) -> None:
    live = make(f"{VOICE.format(seconds=seconds)} -c:a libopus -live 1 -cluster_time_limit 500", "webm")
    duration_s, message = told_and_played(live, "note.webm", tmp_path)
    assert duration_s == pytest.approx(seconds, abs=0.2)
    assert message.parts[0].source.duration_s == pytest.approx(seconds, abs=0.1)


def wav(seconds: float, length: int | None = None, extra: int = 0) -> bytes:
    """A WAV with another length in its header than it has."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        tone = 8_000 * np.sin(np.arange(round(16_000 * seconds)) / 5)
        file.writeframes(tone.astype("<i2").tobytes())
    data = bytearray(out.getvalue())
    true = len(data) - 44
    data[40:44] = struct.pack("<I", true + extra if length is None else length)
    return bytes(data)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFFFDB])
def test_a_wav_from_a_pipe_is_as_long_as_its_samples(tmp_path: Path, length: int) -> None:
    duration_s, message = told_and_played(wav(2, length), "piped.wav", tmp_path)
    assert duration_s == pytest.approx(2, abs=0.06)
    assert message.parts[0].source.duration_s == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("extra", [2, 16, 44, 1024])
def test_a_wav_whose_length_slipped_is_sent(tmp_path: Path, extra: int) -> None:
    """What is more than a header that counts itself is missing, and told."""
    duration_s, message = told_and_played(wav(2, extra=extra), "slipped.wav", tmp_path)
    assert duration_s == pytest.approx(2, abs=0.06)
    assert ("slipped.wav: lacks the last 1,024 bytes" in message.warnings) == (extra == 1024)


@pytest.mark.parametrize(("at", "number"), [(28, 3), (32, 3)], ids=["bytes a second", "bytes a sample"])
def test_a_wav_whose_header_contradicts_itself_keeps_its_samples(at: int, number: int) -> None:
    """Bits and channels are what players go by; they get the rest as it follows from these."""
    right = wav(1)
    (part,) = prepare([("odd.wav", right[:at] + bytes([number, 0]) + right[at + 2 :])]).parts
    assert part.action is Action.REWRAP and part.data == right
    assert [(reason.code, reason.found) for reason in part.reasons] == [("metadata", "contradictions")]


def test_a_sound_too_short_to_go_as_it_is_is_not_called_too_large() -> None:
    (part,) = prepare([("click.wav", wav(0.05) + b"TAG")]).parts
    assert part.action is Action.TRANSCODE
    assert "over_limit_bytes" not in [reason.code for reason in part.reasons]


def test_a_wav_that_lost_half_of_what_it_knows_is_damaged() -> None:
    data = wav(4)
    with pytest.raises(Damaged, match="cut short"):
        prepare([("half.wav", data[: len(data) // 2])])


@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_joined_mp3s_play_and_say_both_parts(make: Make, tmp_path: Path, rate: int) -> None:
    """The header of the first part counts its own frames alone; at another rate the second part is no frame of it."""
    first = make(f"{VOICE.format(seconds=4)} -c:a libmp3lame -b:a 32k", "mp3")
    second = make(f"{VOICE.format(seconds=3)} -ar {rate} -c:a libmp3lame -b:a 32k", "mp3")
    duration_s, message = told_and_played(first + second, "joined.mp3", tmp_path)
    assert duration_s == pytest.approx(7, abs=0.3)
    assert message.parts[0].source.duration_s == pytest.approx(7, abs=0.3)


def test_an_mp3_of_varying_rate_without_a_header_is_timed_by_its_frames(make: Make, tmp_path: Path) -> None:
    sound = "-f lavfi -i aevalsrc=if(lt(t\\,4)\\,0\\,0.4*random(0)):d=10:s=22050"
    data = make(f"{sound} -c:a libmp3lame -q:a 4 -write_xing 0", "mp3")
    duration_s, _ = told_and_played(data, "vbr.mp3", tmp_path)
    assert duration_s == pytest.approx(10, abs=0.2) or duration_s == pytest.approx(6, abs=0.4)


@pytest.mark.parametrize(
    "junk", [b"\0" * 211, b"\0" * 5000, bytes(range(256)) * 300, b"<html>not found</html>\r\n" * 40]
)
def test_an_mp3_behind_junk_is_found(make: Make, tmp_path: Path, junk: bytes) -> None:
    data = make(f"{VOICE.format(seconds=3)} -c:a libmp3lame -b:a 32k", "mp3")
    duration_s, message = told_and_played(junk + data, "radio.mp3", tmp_path)
    assert duration_s == pytest.approx(3, abs=0.2)
    assert mpeg_audio_frame(message.parts[0].data[:4]) is not None


@pytest.mark.parametrize("slip", [-12, 30])
def test_an_mp3_whose_tag_has_a_wrong_length_is_sent(make: Make, tmp_path: Path, slip: int) -> None:
    sound = make(f"{VOICE.format(seconds=3)} -c:a libmp3lame -b:a 32k", "mp3")
    body = b"TIT2" + struct.pack(">IH", 90, 0) + b"\0" + b"x" * 89
    length = len(body) + slip
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    duration_s, _ = told_and_played(b"ID3\3\0\0" + size + body + sound, "tagged.mp3", tmp_path)
    assert duration_s == pytest.approx(3, abs=0.6)


def test_a_clip_whose_first_frame_comes_late_is_as_long_as_what_plays(make: Make, tmp_path: Path) -> None:
    late = make(f"{CLIP.format(seconds=4)} -c:v libx264 -pix_fmt yuv420p -output_ts_offset 10", "mp4")
    assert told_and_played(late, "late.mp4", tmp_path)[0] == pytest.approx(4, abs=0.3)


def test_a_chain_of_ogg_plays_all_its_links(make: Make, tmp_path: Path) -> None:
    links = [make(f"{VOICE.format(seconds=seconds)} -c:a libopus -b:a 24k", "ogg") for seconds in (2, 3)]
    duration_s, message = told_and_played(b"".join(links), "chained.opus", tmp_path)
    assert duration_s == pytest.approx(5, abs=0.3)
    assert message.parts[0].source.duration_s == pytest.approx(5, abs=0.3)


def test_a_gif_whose_frames_ask_for_no_time_is_as_long_as_viewers_show_it() -> None:
    frames = [Image.new("RGB", (40, 30), (40 * step, 255 - 40 * step, 90)) for step in range(6)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=0, loop=0)
    (part,) = prepare([("fast.gif", out.getvalue())]).parts
    assert part.source.duration_s == pytest.approx(0.1 * (part.source.frame_count or 0))


AMR_FRAME = b"\x3c" + bytes(range(31))


@pytest.mark.parametrize(
    "bad", [b"\x74", b"\x74" + bytes(31), b"\xbc" + bytes(range(31))], ids=["type", "long", "bits"]
)
def test_one_bad_frame_does_not_cost_a_voice_note(bad: bytes, tmp_path: Path) -> None:
    """A frame of a type that does not exist becomes one without data and is told; bits that must be 0 are cleared."""
    data = b"#!AMR\n" + AMR_FRAME * 200 + bad + AMR_FRAME * 300
    duration_s, message = told_and_played(data, "note.amr", tmp_path)
    assert duration_s == pytest.approx(501 * 0.02, abs=0.03)
    (part,) = message.parts
    assert part.format == "amr"
    assert any("damaged" in note for note in part.notes) == (bad[0] == 0x74)
    assert not any(part.data[6 + 32 * number] & 0x83 for number in range(200))


def midi(*chunks: tuple[bytes, bytes], tracks: int = 1) -> bytes:
    """A MIDI file of chunks."""
    head = b"MThd" + struct.pack(">IHHH", 6, 0, tracks, 96)
    return head + b"".join(name + struct.pack(">I", len(body)) + body for name, body in chunks)


NOTES = b"\0\x90\x3c\x40\x60\x80\x3c\x40\0\xff\x2f\0"


@pytest.mark.parametrize(
    "data",
    [
        midi((b"XFIH", b"abc"), (b"MTrk", NOTES)),
        midi((b"MTrk", NOTES), (b"XFKM", b"abcd")),
        midi((b"MTrk", NOTES), tracks=2),
        midi((b"MTrk", NOTES)) + b"\r\n",
    ],
    ids=["alien in front", "alien behind", "a track too many counted", "trailing"],
)
def test_midi_with_alien_chunks_or_a_wrong_count_is_cleaned_and_sent(data: bytes) -> None:
    (part,) = prepare([("tune.mid", data)]).parts
    assert part.data == midi((b"MTrk", NOTES))
    assert part.duration_s == pytest.approx(0.5)


_WRITINGS = (
    "您好，您的快递已到达，请及时领取。谢谢！",
    "こんにちは、元気ですか",
    "안녕하세요 반갑습니다",
    "Привет, как дела",
    "مرحبا كيف حالك",
)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", _WRITINGS)
def test_utf_16_without_a_mark_is_read_in_any_script(text: str, encoding: str) -> None:
    (part,) = prepare([("note.txt", text.encode(encoding))]).parts
    assert part.data.decode() == text


def test_a_stray_zero_byte_does_not_cost_a_text() -> None:
    (part,) = prepare([("note.txt", b"Meet me at the lake\0 at noon, and bring the boat.")]).parts
    assert part.data == b"Meet me at the lake at noon, and bring the boat."


def test_a_name_keeps_its_own_ideograph() -> None:
    """U+FA19 looks like another character and is canonically the same; in names it is not."""
    (part,) = prepare([("note.txt", "\ufa19田さんへ e\u0301".encode())]).parts
    assert part.data.decode() == "\ufa19田さんへ é"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.ics", b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"),
        ("a.eml", b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n\r\nHi\r\n"),
        (
            "a.mhtml",
            b"From: <Saved by Blink>\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related\r\n",
        ),
    ],
)
def test_what_is_text_only_for_programs_is_refused_with_advice(name: str, data: bytes) -> None:
    with pytest.raises(TypeNotAllowed, match="send"):
        prepare([(name, data)])


@pytest.mark.parametrize("extension", ["au", "wv", "tta", "w64", "voc"])
def test_recordings_of_other_programs_are_sent(make: Make, tmp_path: Path, extension: str) -> None:
    duration_s, message = told_and_played(make(VOICE.format(seconds=2), extension), f"a.{extension}", tmp_path)
    assert duration_s == pytest.approx(2, abs=0.06)
    assert message.parts[0].source.duration_s == pytest.approx(2, abs=0.06)


@pytest.mark.parametrize("kind", ["TGA", "PCX", "DDS"])
def test_pictures_of_other_programs_are_sent(kind: str) -> None:
    picture = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
    out = io.BytesIO()
    picture.save(out, kind)
    (part,) = prepare([(f"a.{kind.lower()}", out.getvalue())]).parts
    with Image.open(io.BytesIO(part.data)) as sent:
        difference = np.abs(np.asarray(sent.convert("RGB"), np.int16) - np.asarray(picture, np.int16))
    assert (part.width_px, part.height_px) == (90, 60)
    assert difference.mean() < 4


def test_a_clip_that_lacks_a_few_bytes_of_its_end_is_sent_and_told(make: Make, tmp_path: Path) -> None:
    whole = make(f"{CLIP.format(seconds=3)} -c:v libx264 -pix_fmt yuv420p -movflags +faststart", "mp4")
    duration_s, message = told_and_played(whole[:-40], "short.mp4", tmp_path)
    assert duration_s == pytest.approx(3, abs=0.2)
    assert any("lacks the last 40 bytes" in note for note in message.parts[0].notes)
