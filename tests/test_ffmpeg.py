"""Running ffmpeg: what it can do, and that strangers' files cannot make it do more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ffmpeg as graph
import pytest

from mmsprep import prepare
from mmsprep.doctor import diagnose
from mmsprep.errors import ToolError, ToolMissing, TypeNotAllowed
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace


def test_the_bundled_ffmpeg_has_every_encoder_that_profiles_use() -> None:
    """libx264, AAC, AMR, MP3, H.263 and MPEG-4 come with imageio-ffmpeg."""
    available = ffmpeg.encoders(Settings())
    assert {"libx264", "aac", "libopencore_amrnb", "libmp3lame", "h263", "mpeg4"} <= available
    assert "=" not in available


def test_filters_are_listed_by_name() -> None:
    """Filters that some builds lack can be asked for."""
    assert {"scale", "fps", "thumbnail"} <= ffmpeg.filters(Settings())


def test_version_is_one_word() -> None:
    """What doctor prints."""
    version = ffmpeg.version(Settings())
    assert version and " " not in version


@pytest.mark.posix("a shell script")
def test_the_doctor_says_what_a_build_of_ffmpeg_cannot_read_or_write(tmp_path: Path) -> None:
    """HEIC pictures are decoded by ffmpeg: one without HEVC opens none of them."""
    lacking = tmp_path / "ffmpeg"
    lacking.write_text(
        f'#!/bin/sh\n{ffmpeg.executable(Settings())} "$@" | grep -v -e " hevc " -e " libmp3lame "\n', encoding="utf-8"
    )
    lacking.chmod(0o755)
    whole = {check.name: check for check in diagnose(Settings())}
    checks = {check.name: check for check in diagnose(Settings(ffmpeg=str(lacking)))}
    missing = [name for name, check in checks.items() if whole[name].ok and not check.ok]
    assert missing == ["ffmpeg: libmp3lame", "ffmpeg: reads hevc"]
    assert checks["ffmpeg: reads hevc"].found == "missing: no HEIC pictures and HEVC clips"
    assert "MMSPREP_FFMPEG" in checks["ffmpeg: reads hevc"].advice


def test_a_missing_encoder_is_named_with_advice() -> None:
    """ToolMissing says which encoder, which ffmpeg and what to do."""
    silence = graph.input("anullsrc", f="lavfi", t=1)
    with Workspace(Settings()) as workspace, pytest.raises(ToolMissing, match=r"libnothing.*MMSPREP_FFMPEG"):
        ffmpeg.run(workspace, silence.output("pipe:1", f="null", acodec="libnothing"))


@pytest.mark.posix("a shell script")
def test_what_a_build_says_of_itself_is_no_complaint_about_the_media(tmp_path: Path) -> None:
    """Debian's ffmpeg warns of libgcrypt's memory at each start; a clip that plays is sent all the same."""
    wrapped = tmp_path / "ffmpeg"
    wrapped.write_text(
        f'#!/bin/sh\necho "Warning: using insecure memory!" >&2\nexec {ffmpeg.executable(Settings())} "$@"\n'
    )
    wrapped.chmod(0o755)
    tone = tmp_path / "tone.wav"
    settings = Settings(ffmpeg=str(wrapped))
    with Workspace(settings) as workspace:
        sound = graph.input("sine=frequency=500", f="lavfi", t=3)
        assert not ffmpeg.run(workspace, sound.output("pipe:1", f="wav")).stderr
        tone.write_bytes(ffmpeg.run(workspace, sound.output("pipe:1", f="wav")).stdout)
    (part,) = prepare([tone], settings=settings).parts
    assert part.content_type == "audio/mpeg"


def test_how_far_it_is_is_told_and_is_no_complaint() -> None:
    """Progress goes to whoever listens, numbered by run; what ffmpeg complains of stays what it was."""
    told: list[tuple[int, float]] = []
    picture = graph.input("testsrc=rate=10:size=64x48", f="lavfi", t=3)
    with Workspace(Settings()) as workspace:
        with ffmpeg.listening(lambda run, seconds: told.append((run, seconds))):
            done = [ffmpeg.run(workspace, picture.output("pipe:1", f="null")) for _ in range(2)]
        unheard = ffmpeg.run(workspace, picture.output("pipe:1", f="null"))
        empty = workspace.put(b"nothing that ffmpeg reads", ".wav")
        with pytest.raises(ToolError) as failed:
            ffmpeg.run(workspace, ffmpeg.safe_input(empty, "wav").output("pipe:1", f="null"))
    assert [one.frame_count for one in (*done, unheard)] == [30, 30, 30]
    assert not any(one.stderr for one in (*done, unheard))
    assert [max(seconds for run, seconds in told if run == number) for number in (0, 1)] == pytest.approx([3, 3])
    assert {run for run, _ in told} == {0, 1}
    assert "progress" not in str(failed.value) and "out_time" not in str(failed.value)


def test_a_missing_ffmpeg_is_a_missing_tool(tmp_path: Path) -> None:
    """A path in the settings that leads nowhere is told as such."""
    with pytest.raises(ToolMissing, match="cannot be started"):
        ffmpeg.encoders(Settings(ffmpeg=str(tmp_path / "ffmpeg")))


def test_a_playlist_named_as_a_clip_opens_nothing(tmp_path: Path) -> None:
    """The forced demuxer does not follow an HLS playlist to another file."""
    with Workspace(Settings()) as workspace:
        secret = workspace.new_path(".mp4")
        clip = graph.input("testsrc2=s=64x64:d=1", f="lavfi")
        ffmpeg.run(workspace, clip.output(str(secret), vcodec="libx264"))
        playlist = tmp_path / "holiday.mp4"
        playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n")
        stolen = workspace.new_path(".y4m")
        with pytest.raises(ToolError):
            ffmpeg.run(workspace, ffmpeg.safe_input(playlist, "mp4").output(str(stolen)))
        assert not stolen.exists() or stolen.stat().st_size == 0


@pytest.mark.parametrize(
    ("made", "extension", "entry", "other", "spoken"),
    [
        ("-f lavfi -i sine=duration=1 -c:a aac", "m4a", b"mp4a", b"ac-4", "its sound is AC-4,"),
        ("-f lavfi -i sine=duration=1 -c:a aac", "m4a", b"mp4a", b"mhm1", "its sound is MPEG-H 3D AUDIO,"),
        ("-f lavfi -i testsrc=size=64x64:duration=1 -c:v libx264", "mp4", b"avc1", b"ncl1", "its picture is NCL1,"),
    ],
)
def test_a_codec_that_nothing_decodes_is_named_and_no_damage(
    make: Callable[[str, str], bytes], made: str, extension: str, entry: bytes, other: bytes, spoken: str
) -> None:
    data = make(made, extension).replace(entry, other).replace(b"esds", b"free").replace(b"avcC", b"free")
    with pytest.raises(TypeNotAllowed, match=spoken) as error:
        prepare([(f"odd.{extension}", data)])
    assert "filtergraph" not in str(error.value)
