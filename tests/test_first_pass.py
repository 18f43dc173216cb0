"""One small first pass for every size, fewer frames where few bytes leave no choice, and what lies about afterwards."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ffmpeg as graph
import numpy as np
import pytest
from PIL import Image

from mmsprep import Job, forecast, inspect, prepare
from mmsprep.model import Attachment
from mmsprep.profile import Profile, load_profile
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video import clip, search, vmaf
from mmsprep.transcode.video.encode import PSY_RD, ClipSettings, encode, encode_finely, first_pass, is_first_pass
from mmsprep.transcode.video.forecast import Forecast
from mmsprep.transcode.video.mezzanine import Mezzanine, decode_mezzanine, mezzanine_of_pictures
from mmsprep.transcode.video.missed import missed, missed_by_scaling
from mmsprep.transcode.video.model import quantiser, usual_long_px
from mmsprep.transcode.video.pictures import Kernel, scaled

_FPS = 25
_MS = 1000 // _FPS
_KERNELS: tuple[Kernel, ...] = ("lanczos", "sharp", "soft")


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile("smsglobal")


def _panned(profile: Profile, workspace: Workspace, count: int) -> Mezzanine:
    """A camera that pans over soft noise."""
    noise = np.random.default_rng(15).integers(0, 255, (40, 100, 3), np.uint8)
    wide = Image.fromarray(noise).resize((1000, 400), Image.Resampling.BICUBIC)
    pictures = [(wide.crop((3 * n, n, 3 * n + 384, n + 216)), _MS) for n in range(count)]
    assert profile.video
    return mezzanine_of_pictures(pictures, profile.video, workspace)


def _files(workspace: Workspace) -> set[Path]:
    return set(workspace.new_path("").parent.iterdir())


def test_the_probe_is_a_first_pass_for_other_sizes_and_stays_what_it_is(profile: Profile, workspace: Workspace) -> None:
    mezzanine = _panned(profile, workspace, 160)
    logs = [mezzanine.probe.log.with_name(mezzanine.probe.log.name + end) for end in ("-0.log", "-0.log.mbtree")]
    before, files = [log.read_bytes() for log in logs], _files(workspace)
    assert profile.video
    for frame_px, rate_kbps in (((384, 216), 120.0), ((192, 108), 45.0)):
        assert frame_px != mezzanine.probe.size_px
        settings = ClipSettings(profile.video, None, frame_px, 1, mezzanine.picture_s)
        assert is_first_pass(mezzanine, settings, 32)
        made = encode(mezzanine, None, settings, (rate_kbps, PSY_RD), mezzanine.probe.log, workspace)
        # Two of them for the container.
        assert len(made.data) * 8 / 1000 / mezzanine.picture_s == pytest.approx(rate_kbps + 2, rel=0.05)
        assert made.qp and 20 < made.qp < 51 and 0 <= made.still <= 1
    assert [log.read_bytes() for log in logs] == before
    assert _files(workspace) == files


def test_few_frames_and_what_is_left_out_of_them_get_a_first_pass_of_their_own(
    profile: Profile, workspace: Workspace
) -> None:
    mezzanine = _panned(profile, workspace, 30)
    assert profile.video
    for every, seconds in ((1, mezzanine.picture_s), (2, mezzanine.picture_s), (1, 0.5)):
        settings = ClipSettings(profile.video, None, (192, 108), every, seconds)
        assert not is_first_pass(mezzanine, settings, 32)


def test_the_finer_probe_of_a_short_clip_is_a_first_pass_where_its_quantiser_is_near(
    profile: Profile, workspace: Workspace, make: Callable[[str, str], bytes]
) -> None:
    """A short clip of many bits had a first pass of its own, an eighth of all that it took."""
    drawn = "-f lavfi -i mandelbrot=size=384x216:rate=25:start_scale=1:end_scale=0.1:end_pts=600"
    data = make(f"{drawn} -t 2.4 -c:v libx264 -preset ultrafast -crf 18 -pix_fmt yuv420p", "mp4")
    clip = workspace.put(data, ".mp4")
    (found,) = inspect([clip])
    assert profile.video and found.info
    attachment = Attachment(0, clip.name, len(data), path=clip)
    mezzanine, coarse = (
        decode_mezzanine(attachment, found.info, profile.video, limit_bytes, workspace)
        for limit_bytes in (75_000, 45_000)  # of which other attachments may need the most
    )
    assert mezzanine.frame_count == 60
    assert max(mezzanine.probe.size_px) > max(coarse.probe.size_px)
    settings = ClipSettings(profile.video, None, (384, 216), 1, mezzanine.picture_s)
    assert [is_first_pass(mezzanine, settings, qp) for qp in (18, 22, 34, 38)] == [False, True, True, False]
    made = encode(mezzanine, None, settings, (150.0, PSY_RD), mezzanine.probe.log, workspace)
    assert len(made.data) * 8 / 1000 / mezzanine.picture_s == pytest.approx(152, rel=0.05)


@pytest.mark.parametrize("limit_bytes", [268_000, 180_000])
def test_two_passes_that_fill_the_bytes_are_no_second_encode_of_a_constant_quality(
    make: Callable[[str, str], bytes], monkeypatch: pytest.MonkeyPatch, limit_bytes: int
) -> None:
    """Of most short clips that were to get a constant quality it was too large, or no better than what was made."""
    encodes: list[float] = []

    def told(*arguments: Any) -> bytes:
        encodes.append(arguments[3])
        return encode_finely(*arguments)

    monkeypatch.setattr(clip, "encode_finely", told)
    drawn = "-f lavfi -i mandelbrot=size=256x144:rate=25:start_scale=1:end_scale=0.1:end_pts=600"
    data = make(f"{drawn} -t 2.4 -c:v libx264 -preset ultrafast -crf 18 -pix_fmt yuv420p", "mp4")
    (part,) = prepare([("clip.mp4", data)], limit_bytes=limit_bytes).parts
    assert encodes == []
    assert part.size_bytes > 0.95 * limit_bytes and part.width_px == 256


def test_what_the_probe_looks_like_counts_at_every_rate_once_it_was_looked_at(
    profile: Profile, workspace: Workspace
) -> None:
    """A curve that went by the looks at low rates and without them at high ones had a step in it, at which the sound
    got far more: bytes that other parts of the message then lacked."""
    of_clip = Forecast(_panned(profile, workspace, 60), workspace)
    plenty_kbps = 100_000.0
    assert of_clip.at(plenty_kbps) == of_clip.of_its_rate
    assert of_clip.hardness != of_clip.of_its_rate
    assert of_clip.at(plenty_kbps) == of_clip.hardness


def _short_clip(make: Callable[[str, str], bytes]) -> bytes:
    """2.2 s of many bits, in which all moves, at too few frames a second for half of them."""
    drawn = "-f lavfi -i mandelbrot=size=960x540:rate=23.9:start_scale=1:end_scale=0.1:end_pts=600"
    return make(f"{drawn} -t 2.2 -c:v libx264 -preset ultrafast -crf 18 -pix_fmt yuv420p", "mp4")


class _Look(NamedTuple):
    """One look at a clip: at its probe, or in half the places."""

    is_of_probe: bool
    is_hasty: bool


def _looks(monkeypatch: pytest.MonkeyPatch) -> list[_Look]:
    """Every look from now on."""
    looks: list[_Look] = []
    of = vmaf.vmaf_of

    def told(*arguments: Any, **how: Any) -> vmaf.Seen:
        looks.append(_Look(arguments[1] == "h264", bool(how.get("hasty"))))
        return of(*arguments, **how)

    monkeypatch.setattr(vmaf, "vmaf_of", told)
    return looks


def test_a_short_clip_of_many_bits_is_looked_at_once_and_beside_others_its_probe_is_too(
    make: Callable[[str, str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe was looked at even where nothing it could show would change what is made."""
    looks = _looks(monkeypatch)
    data = _short_clip(make)
    (alone,) = prepare([("clip.mp4", data)], limit_bytes=100_000).parts
    assert [look.is_of_probe for look in looks] == [False]
    assert (alone.width_px, alone.height_px) == (624, 352)
    looks.clear()
    prepare([("clip.mp4", data), ("text.txt", b"other")], limit_bytes=100_000)
    assert [look.is_of_probe for look in looks].count(True) == 1


def test_a_clip_alone_that_has_more_bytes_than_it_needs_is_looked_at_once(
    make: Callable[[str, str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its probe was looked at for a forecast that nothing went by; a dry run tells still what it has use for."""
    looks = _looks(monkeypatch)
    drawn = "-f lavfi -i mandelbrot=size=256x144:rate=25:start_scale=1:end_scale=0.1:end_pts=600"
    data = make(f"{drawn} -t 2.4 -c:v libx264 -preset ultrafast -crf 8 -pix_fmt yuv420p", "mp4")
    (made,) = prepare([("clip.mp4", data)], limit_bytes=len(data) - 1000).parts
    assert looks == [_Look(is_of_probe=False, is_hasty=True)] and made.width_px == 256
    (foretold,) = forecast(Job(attachments=[("clip.mp4", data)], limit_bytes=len(data) - 1000)).parts
    assert made.size_bytes < 0.9 * len(data) and foretold.size_bytes < 0.9 * len(data)


def test_only_what_has_few_pixels_looks_back_to_more_than_one_frame(profile: Profile, workspace: Workspace) -> None:
    """Of many it took a tenth of a pass, and looked no better."""
    mezzanine = _panned(profile, workspace, 160)
    assert profile.video
    for frame_px, frames in (((384, 216), b"1"), ((192, 108), b"3")):
        settings = ClipSettings(profile.video, None, frame_px, 1, mezzanine.picture_s)
        made = encode(mezzanine, None, settings, (120.0, PSY_RD), mezzanine.probe.log, workspace)
        command = [ffmpeg.executable(Settings()), "-f", "mov", "-i", "pipe:0", "-c", "copy"]
        command += ["-bsf:v", "trace_headers", "-f", "null", "-"]
        told = subprocess.run(command, input=made.data, capture_output=True, check=True).stderr
        assert set(re.findall(rb"max_num_ref_frames .* = (\d+)", told)) == {frames}


@pytest.mark.parametrize(("frames", "nearly"), [(60, 0.91), (160, 0.96)])
def test_where_the_largest_size_is_most_likely_no_probe_is_looked_at(
    frames: int, nearly: float, profile: Profile, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a clip of six seconds it was, wherever more than its rate could say another size."""
    looks = _looks(monkeypatch)
    of_clip = Forecast(_panned(profile, workspace, frames), workspace)
    hard, long_px = of_clip.of_its_rate, 384
    rates_kbps = [20 * 1.01**step for step in range(1000)]
    likely_kbps = next(kbps for kbps in rates_kbps if usual_long_px(hard, kbps, long_px) >= nearly * long_px)
    assert of_clip.is_certain_at(likely_kbps) and of_clip.at(likely_kbps) == hard and looks == []
    assert quantiser(hard, long_px, 1, likely_kbps) > 26.5
    unlikely_kbps = next(kbps for kbps in rates_kbps if usual_long_px(hard, kbps, long_px) >= (nearly - 0.03) * long_px)
    assert not of_clip.is_certain_at(unlikely_kbps) and of_clip.at(unlikely_kbps) != hard and len(looks) == 1


def test_a_short_clip_that_is_sure_to_be_sent_is_looked_at_in_fewer_places_unless_it_is_poor(
    make: Callable[[str, str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it looks like decided nothing then, and took a fifth of what the script takes."""
    looks = _looks(monkeypatch)
    data = _short_clip(make)
    (part,) = prepare([("clip.mp4", data)], limit_bytes=100_000).parts
    assert [look.is_hasty for look in looks] == [True]
    monkeypatch.setattr(search, "_SURELY_ENOUGH_VMAF", 100.0)
    looks.clear()
    (same,) = prepare([("clip.mp4", data)], limit_bytes=100_000).parts
    assert [look.is_hasty for look in looks] == [True, False]
    assert same.data == part.data and same.quality == pytest.approx(part.quality, abs=6)


def test_what_a_dry_run_tells_of_a_short_clip_alone_is_what_a_look_at_its_probe_foretells(
    make: Callable[[str, str], bytes],
) -> None:
    """It told what the probe's rate alone foretells: of this clip 23 points of quality too much."""
    data = _short_clip(make)
    (foretold,) = forecast(Job(attachments=[("clip.mp4", data)], limit_bytes=100_000)).parts
    (made,) = prepare([("clip.mp4", data)], limit_bytes=100_000).parts
    assert foretold.quality == pytest.approx(made.quality, abs=15)


@pytest.mark.parametrize(("every", "late"), [(1, {0}), (2, {0, 1}), (3, {-1, 0, 1})])
def test_a_frame_that_stands_in_for_others_is_at_most_one_early_or_late(
    every: int, late: set[int], profile: Profile, workspace: Workspace
) -> None:
    """Of every third one was up to two late, beside its sound."""
    shades = [(Image.new("RGB", (64, 48), (16 + 8 * n,) * 3), _MS) for n in range(28)]
    assert profile.video
    mezzanine = mezzanine_of_pictures(shades, profile.video, workspace)
    settings = ClipSettings(profile.video, None, (64, 48), every, mezzanine.picture_s)
    log = first_pass(mezzanine, settings, 100, workspace)
    made = encode(mezzanine, None, settings, (100, PSY_RD), log, workspace)
    command = [ffmpeg.executable(Settings()), "-v", "error", "-f", "mov", "-i", "pipe:0", "-vf"]
    command += [f"fps={_FPS}:start_time=0", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]
    raw = subprocess.run(command, input=made.data, capture_output=True, check=True).stdout
    shown = np.frombuffer(raw, np.uint8).reshape(-1, 48 * 64).mean(1)
    assert len(shades) <= len(shown) < len(shades) + every
    seen = np.array([round((level - 16) / 8) for level in shown[: len(shades)]])
    assert set(np.arange(len(shades)) - seen) == late
    assert vmaf.vmaf_of(workspace.put(made.data, ".3gp"), "mov", mezzanine, every, (64, 48), workspace).frames > 80


def test_a_look_goes_to_the_end_of_pictures_and_sound_and_leaves_what_it_cannot_vouch_for(
    profile: Profile, workspace: Workspace, make: Callable[[str, str], bytes]
) -> None:
    """Of two dozen frames it complained of its own output, whose frames it numbers."""
    mezzanine = _panned(profile, workspace, 144)
    assert profile.video
    settings = ClipSettings(profile.video, None, (384, 216), 1, mezzanine.picture_s)
    sound = workspace.put(make("-f lavfi -i sine=d=6.2:r=16000 -c:a aac", "mp4"), ".mp4")
    log = first_pass(mezzanine, settings, 100, workspace)
    made = encode(mezzanine, sound, settings, (100, PSY_RD), log, workspace).data

    def looked(data: bytes) -> vmaf.Seen:
        path, files = workspace.put(data, ".3gp"), _files(workspace)
        seen = vmaf.vmaf_of(path, "mov", mezzanine, 1, (384, 216), workspace, whole=data)
        assert _files(workspace) == files
        return seen

    seen = looked(made)
    assert seen.frames > 50 and seen.played is not None
    assert seen.played.data == made and not seen.played.complaint and (seen.played.contrast or 0) > 10
    # The sound goes on for longer than the pictures.
    assert seen.played.duration_s == pytest.approx(6.2, abs=0.15)
    broken = made[:-300] + bytes(300)
    again = looked(broken)
    assert again.frames == seen.frames and again.played is None


def test_a_clip_that_is_foretold_to_be_starved_has_half_its_frames_and_stays_legible(
    make: Callable[[str, str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was encoded with all of them first."""
    tried: list[int] = []
    of = search._Judge.tried

    def told(self: search._Judge, settings: ClipSettings, *fine_qp: float) -> search.Trial:
        tried.append(settings.every)
        return of(self, settings, *fine_qp)

    monkeypatch.setattr(search._Judge, "tried", told)
    drawn = "-f lavfi -i mandelbrot=size=640x360:rate=30:start_scale=1:end_scale=0.01:end_pts=600,noise=alls=12:allf=t"
    data = make(f"{drawn} -t 3 -c:v libx264 -preset ultrafast -crf 18 -pix_fmt yuv420p", "mp4")
    (part,) = prepare([("clip.mp4", data)], limit_bytes=27_000).parts
    assert part.notes == ("every 2nd frame kept",)
    assert tried == [2]
    assert part.quality >= 20


def _drawn(make: Callable[[str, str], bytes], options: str = "", rate: int = 30) -> bytes:
    """Five seconds of a slow zoom."""
    drawn = f"-f lavfi -i mandelbrot=size=640x360:rate={rate}:start_scale=1:end_scale=0.3:end_pts=1200{options}"
    return make(f"{drawn} -t 5 -c:v libx264 -preset ultrafast -crf 14 -pix_fmt yuv420p", "mp4")


@pytest.mark.parametrize(
    ("options", "limit_bytes", "tried"), [("", 40_000, {1, 2}), (",scroll=h=0.01", 80_000, {1})], ids=["slow", "quick"]
)
def test_half_the_frames_are_tried_where_two_in_a_row_are_nearly_alike(
    options: str, limit_bytes: int, tried: set[int], make: Callable[[str, str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tried them where all of the frames are no worse than fair, whatever moved."""
    of, seen = search._Judge.tried, set[int]()

    def told(self: search._Judge, settings: ClipSettings, *fine_qp: float) -> search.Trial:
        seen.add(settings.every)
        return of(self, settings, *fine_qp)

    monkeypatch.setattr(search._Judge, "tried", told)
    (part,) = prepare([("clip.mp4", _drawn(make, options))], limit_bytes=limit_bytes).parts
    assert seen == tried
    assert part.notes == (("every 2nd frame kept",) if 2 in tried else ())


def test_a_frame_that_is_there_twice_in_every_place_that_is_looked_at_does_not_hide_the_others(
    make: Callable[[str, str], bytes], profile: Profile, workspace: Workspace
) -> None:
    """A clip of 25 frames a second that was made one of 30 has every sixth twice, and VMAF looks at every sixth."""
    data = _drawn(make, ",fps=30,trim=start_frame=2,setpts=PTS-STARTPTS", rate=25)
    clip = workspace.put(data, ".mp4")
    (found,) = inspect([clip])
    assert profile.video and found.info
    attachment = Attachment(0, clip.name, len(data), path=clip)
    mezzanine = decode_mezzanine(attachment, found.info, profile.video, 80_000, workspace)
    of_it = missed(mezzanine, 80.0, workspace)
    assert of_it and of_it.looked_at < 0.05 < 0.2 < of_it.everywhere


def _turned(make: Callable[[str, str], bytes], options: str = "") -> bytes:
    """Six seconds of sharp edges and digits that turn, of few pixels."""
    drawn = f"-f lavfi -i testsrc2=size=426x240:rate=25,rotate=0.02*t{options}"
    return make(f"{drawn} -t 6 -c:v libx264 -preset ultrafast -crf 14 -pix_fmt yuv420p", "mp4")


def test_a_small_sharp_clip_keeps_its_own_size(make: Callable[[str, str], bytes]) -> None:
    """It was sent 304 px wide, 2.7 VMAF poorer: the model knows nothing of what scaling alone loses."""
    (part,) = prepare([("clip.mp4", _turned(make))], limit_bytes=182_000).parts
    assert (part.width_px, part.height_px) == (426, 240)


def test_what_scaling_loses_is_little_of_what_is_soft_and_nothing_where_no_pixel_is_lost(
    make: Callable[[str, str], bytes], profile: Profile, workspace: Workspace
) -> None:
    off = []
    for options in ("", ",gblur=sigma=2"):
        data = _turned(make, options)
        clip = workspace.put(data, ".mp4")
        (found,) = inspect([clip])
        assert profile.video and found.info
        attachment = Attachment(0, clip.name, len(data), path=clip)
        mezzanine = decode_mezzanine(attachment, found.info, profile.video, 180_000, workspace)
        assert missed_by_scaling(mezzanine, (426, 240), workspace) == 0
        off.append(missed_by_scaling(mezzanine, (304, 172), workspace))
    sharp, soft = off
    assert 0 < 10 * soft < sharp


def test_an_ffmpeg_that_cannot_scale_by_zimg_makes_nearly_the_same(
    make: Callable[[str, str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = "-f lavfi -i testsrc2=size=1280x720:rate=10"
    data = make(f"{drawn} -t 1 -c:v libx264 -preset ultrafast -crf 10 -pix_fmt yuv420p", "mp4")
    by_zimg = _middle(data)
    filters = ffmpeg.filters
    monkeypatch.setattr(ffmpeg, "filters", lambda settings: filters(settings) - {"zscale"})
    assert np.abs(_middle(data) - by_zimg).mean() < 2


@pytest.mark.parametrize("by_zimg", [True, False])
def test_what_is_sent_keeps_fine_detail_and_overshoots_no_more_than_lanczos(
    workspace: Workspace, by_zimg: bool
) -> None:
    """Stripes of three quarters of what a third of the pixels can show, and an edge."""
    stripes = 128 + 60 * np.sin(np.arange(960) / 3 * 2 * np.pi * 0.375)
    edge = np.where(np.arange(960) < 480, 60.0, 190.0)

    def shrunk(line: np.ndarray[Any, Any], kernel: Kernel) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        planes = np.repeat(line.round().astype(np.uint8)[None], 96, 0).tobytes() + bytes([128]) * (960 * 96 // 2)
        raw = graph.input("pipe:0", f="rawvideo", pix_fmt="yuv420p", s="960x96", r=1).video
        output = scaled(raw, (320, 32), kernel, by_zimg).output("pipe:1", f="rawvideo", pix_fmt="gray")
        made = np.frombuffer(ffmpeg.run(workspace, output, stdin=planes).stdout, np.uint8)
        return made.reshape(32, 320)[16, 20:-20].astype(np.float64)

    kept = {kernel: np.ptp(shrunk(stripes, kernel)) / 120 for kernel in _KERNELS}
    over = {kernel: shrunk(edge, kernel).max() - 190 for kernel in _KERNELS}
    assert kept["soft"] < kept["sharp"] - 0.02 < kept["lanczos"]
    assert kept["sharp"] >= 0.8
    assert 0 < over["sharp"] <= over["lanczos"] + 1


def _middle(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The picture half-way through what becomes of a clip, as RGB."""
    (part,) = prepare([("clip.mp4", data)], limit_bytes=150_000).parts
    command = [ffmpeg.executable(Settings()), "-v", "error", "-f", "mov", "-i", "pipe:0", "-vf", "select=eq(n\\,5)"]
    command += ["-s", "640x360", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    raw = subprocess.run(command, input=part.data, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).astype(np.float64)
