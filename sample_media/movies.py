"""``formats/``: one clip of each container, codec and oddity."""

from __future__ import annotations

from functools import lru_cache

import sounds
from jpegs import saved, view
from recipe import Clip, Sample, encode, music_wav, speech_wav

SMALL = Clip(320, 240, 30, 15, lake=True)
WIDE = Clip(426, 240, 45, 15, lake=True)
QCIF = Clip(176, 144, 30, 15)
X264 = "-c:v libx264 -preset medium -crf 27 -pix_fmt yuv420p"
AAC = "-c:a aac -b:a 48k"


@lru_cache(maxsize=2)
def _sound(music: bool) -> bytes:
    return music_wav(3) if music else speech_wav(sounds.SHORT_NOTE, 8)


def _clip(
    name: str,
    file_format: str,
    odd: str,
    options: str,
    *,
    clip: Clip = SMALL,
    sound: bool = True,
    music: bool = False,
) -> Sample:
    """A clip that one run of ffmpeg makes."""
    codec = options.split("-c:v ")[1].split(maxsplit=1)[0]
    return Sample(
        f"formats/{name}",
        file_format,
        "a sailing boat and balloons" if clip.lake else "balloons over a meadow",
        odd,
        f"ffmpeg: {codec}",
        lambda: encode(f"-shortest {options}", name, clip=clip, sound=_sound(music) if sound else None),
    )


def _two_tracks() -> bytes:
    return encode(
        f"-map 0:v -map 1:a -map 2:a {X264} -c:a libvorbis -q:a 2 -t 2"
        " -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu",
        "clip.mkv",
        clip=SMALL,
        sound=_sound(False),
        files={"music.wav": _sound(True)},
    )


def _silent_track() -> bytes:
    silence = encode("-af volume=0 -c:a pcm_s16le", "silence.wav", sound=_sound(False))
    return encode(f"-shortest {X264} {AAC} -movflags +faststart", "clip.mp4", clip=SMALL, sound=silence)


def _cover() -> bytes:
    """A song whose picture looks like a video stream."""
    return encode(
        "-map 0:a -map 1:v -c:a aac -b:a 64k -c:v copy -disposition:v attached_pic -f ipod",
        "song.m4a",
        sound=_sound(True),
        files={"cover.jpg": saved(view(200, 150), "JPEG", quality=75)},
    )


HDR = (
    "-vf setparams=color_primaries=bt709:color_trc=bt709,format=gbrp,zscale=transfer=linear,"
    "format=gbrpf32le,zscale=transfer={curve}:npl=203:primaries=bt2020:matrix=bt2020nc:range=limited,format=yuv420p10le"
    " -c:v libx265 -preset medium -crf 28 -tag:v hvc1 "
    "-x265-params log-level=none:pools=none:frame-threads=1:info=0"
    " -color_trc {curve} -color_primaries bt2020 -colorspace bt2020nc"
)

SAMPLES = (
    _clip("clip.mp4", "mp4", "moov at the end", f"{X264} {AAC}", clip=WIDE),
    _clip("hdr-hlg.mp4", "mp4", "HEVC, 10 bits, HDR (HLG)", HDR.format(curve="arib-std-b67") + f" {AAC}"),
    _clip("hdr-pq.mov", "mov", "HEVC, 10 bits, HDR (PQ), no sound", HDR.format(curve="smpte2084"), sound=False),
    _clip("av1.mp4", "mp4", "AV1 and Opus", "-c:v libaom-av1 -cpu-used 6 -crf 42 -c:a libopus -b:a 32k"),
    _clip("mpeg4.mp4", "mp4", "MPEG-4 part 2", f"-c:v mpeg4 -q:v 8 {AAC}"),
    _clip(
        "legacy.3gp",
        "3gp",
        "H.263 QCIF and AMR, as old phones recorded",
        "-c:v h263 -q:v 6 -c:a libopencore_amrnb -b:a 7.95k -ar 8000 -ac 1 -brand 3gp4",
        clip=QCIF,
    ),
    _clip(
        "ready.3gp",
        "3gp",
        "within every limit already: H.264 Baseline, AAC, moov first",
        "-c:v libx264 -profile:v baseline -level 1.3 -crf 27 -pix_fmt yuv420p -c:a aac -b:a 32k -ac 1"
        " -brand 3gp5 -movflags +faststart -metadata title='private words'",
    ),
    _clip("clip.3g2", "3g2", "CDMA phones' container", f"-c:v mpeg4 -q:v 8 {AAC} -ac 1", clip=QCIF),
    _clip(
        "prores.mov",
        "mov",
        "ProRes, 10 bits 4:2:2",
        "-c:v prores_ks -profile:v 0 -c:a pcm_s16le -ar 16000 -frames:v 6",
        clip=QCIF,
    ),
    _clip("xvid.avi", "avi", "MPEG-4 ASP and MP3", "-c:v libxvid -q:v 7 -c:a libmp3lame -b:a 48k"),
    _clip(
        "camera.avi",
        "avi",
        "Motion JPEG and 8-bit PCM, as pocket cameras recorded",
        "-c:v mjpeg -q:v 7 -pix_fmt yuvj420p -c:a pcm_u8 -ar 11025",
        clip=Clip(320, 240, 8, 15, lake=True),
    ),
    Sample(
        "formats/two-tracks.mkv",
        "mkv",
        "a sailing boat and balloons",
        "two audio tracks in two languages",
        "ffmpeg: libx264, libvorbis",
        _two_tracks,
    ),
    _clip(
        "variable-rate.mkv",
        "mkv",
        "variable frame rate: dropped and late frames",
        "-vf \"settb=1/1000,select='not(between(mod(n,10),3,6))',setpts='PTS+20*mod(N,3)'\""
        f" -fps_mode vfr -enc_time_base 1:1000 {X264} {AAC}",
        clip=WIDE,
    ),
    _clip("vp9.webm", "webm", "VP9 and Opus", "-c:v libvpx-vp9 -crf 40 -b:v 0 -c:a libopus -b:a 32k"),
    _clip("vp8.webm", "webm", "VP8 and Vorbis", "-c:v libvpx -crf 30 -b:v 300k -c:a libvorbis -q:a 1"),
    _clip("flash.flv", "flv", "Sorenson Spark and MP3", "-c:v flv -q:v 8 -c:a libmp3lame -b:a 32k -ar 22050"),
    _clip(
        "dvd.mpg",
        "mpeg-ps",
        "MPEG-2 and MP2 in a programme stream, anamorphic 4:3 to 16:9",
        "-c:v mpeg2video -q:v 9 -aspect 16:9 -r 25 -c:a mp2 -b:a 64k",
    ),
    _clip("vcd.mpg", "mpeg-ps", "MPEG-1", "-c:v mpeg1video -q:v 9 -r 25 -f mpeg -c:a mp2 -b:a 64k"),
    _clip("broadcast.ts", "mpeg-ts", "H.264 and AC-3 in a transport stream", f"{X264} -c:a ac3 -b:a 64k"),
    _clip("stream.m2v", "mpeg-video", "MPEG-2 without container", "-c:v mpeg2video -q:v 9 -r 25", sound=False),
    _clip("windows.wmv", "wmv", "WMV 8 and WMA 2", "-c:v wmv2 -q:v 8 -c:a wmav2 -b:a 48k"),
    _clip("theora.ogv", "ogv", "Theora and Vorbis", "-c:v libtheora -q:v 4 -c:a libvorbis -q:a 1"),
    _clip(
        "anamorphic.mp4",
        "mp4",
        "pixels 4:3, so a 240 px wide frame is shown 320 wide",
        f"-vf scale=240:240,setsar=4/3 {X264} {AAC}",
    ),
    _clip(
        "odd-size.mp4",
        "mp4",
        "321x241, 4:4:4 (High 4:4:4 Predictive), which no phone plays",
        "-vf scale=321:241 -c:v libx264 -crf 30 -pix_fmt yuv444p",
        sound=False,
    ),
    _clip(
        "interlaced.ts",
        "mpeg-ts",
        "interlaced MPEG-2, 25 frames, top field first",
        "-vf fps=50,interlace -c:v mpeg2video -q:v 9 -flags:v +bitexact+ildct+ilme -c:a mp2 -b:a 64k",
    ),
    _clip("mute.mp4", "mp4", "no sound", f"{X264} -movflags +faststart", sound=False),
    Sample(
        "formats/silent-track.mp4",
        "mp4",
        "a sailing boat and balloons",
        "its sound is nothing but silence",
        "ffmpeg: libx264, aac",
        _silent_track,
    ),
    _clip(
        "one-frame.mp4",
        "mp4",
        "a clip of a single frame",
        f"{X264}",
        clip=Clip(320, 240, 1, 15, lake=True),
        sound=False,
    ),
    Sample("formats/cover.m4a", "m4a", "music", "cover art that looks like a video stream", "ffmpeg: aac", _cover),
)
