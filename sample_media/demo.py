"""``message/``: what somebody has on the phone after a day at the lake, to be sent as one message."""

from __future__ import annotations

import io

import pillow_heif
import sounds
from colour import DISPLAY_P3, converted, icc_profile
from PIL import Image
from recipe import Clip, Sample, encode, music_wav, speech_wav
from scenes import DAY, DUSK, landscape, logo, with_balloons

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" aux:SerialNumber="C39SAMPLE0412"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


def exif(orientation: int) -> Image.Exif:
    """What a phone writes: the camera, the time, the serial number and the place."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F], tags[0x0110], tags[0x0131] = "Samplephone", "Samplephone 12", "17.4"
    tags[0x0132] = "2026:06:13 10:15:02"
    tags.get_ifd(0x8769).update({0x9003: "2026:06:13 10:15:02", 0xA431: "C39SAMPLE0412", 0x829A: 0.004})
    place = {1: "N", 2: (46.0, 0.0, 12.6), 3: "E", 4: (8.0, 57.0, 4.1), 5: b"\0", 6: 272.0}
    tags.get_ifd(0x8825).update(place)
    return tags


def _heic() -> bytes:
    picture = landscape(2016, 1512, 15, DUSK, lake=True).resize((4032, 3024), Image.Resampling.BICUBIC)
    profile = icc_profile("Display P3", DISPLAY_P3, None)
    buffer = io.BytesIO()
    heif = pillow_heif.from_pillow(converted(picture, profile))
    heif.save(buffer, quality=50, exif=exif(1).tobytes(), xmp=XMP, icc_profile=profile)
    return buffer.getvalue()


def _sideways_jpeg() -> bytes:
    upright = with_balloons(landscape(1512, 2016, 7, DAY), 3).resize((3024, 4032), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    stored.save(buffer, "JPEG", quality=76, exif=exif(6), xmp=XMP, optimize=True)
    return buffer.getvalue()


def _logo() -> bytes:
    buffer = io.BytesIO()
    logo(640).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _portrait_mov() -> bytes:
    return encode(
        "-vf transpose=cclock -c:v libx264 -preset slow -crf 25 -pix_fmt yuv420p -c:a aac -b:a 64k -shortest"
        " -metadata com.apple.quicktime.make=Samplephone -metadata creation_time=2026-06-13T10:20:00Z"
        " -metadata com.apple.quicktime.location.ISO6709=+46.0035+008.9511+272/ -movflags use_metadata_tags",
        "clip.mov",
        clip=Clip(720, 1280, 144, 24),
        sound=speech_wav(sounds.NOTE, 5),
        rotation_deg=-90,
    )


def _voice_note() -> bytes:
    return encode("-c:a libopus -b:a 20k -application voip -ar 48000", "note.ogg", sound=speech_wav())


def _m4a() -> bytes:
    return encode(
        "-c:a aac -b:a 112k -metadata title=Lakeside -metadata artist='The Samples'",
        "song.m4a",
        sound=music_wav(9),
    )


NOTE = (
    "Saturday at the lake: the ferry leaves at 9:15, we meet at the café on the quay.\r\n"
    "Bring warm coats – it was only 14 °C last time – and some bread for Zoë’s picnic ☀\r\n"
)

SAMPLES = (
    Sample(
        "message/IMG_0412.HEIC",
        "heic",
        "a 12-megapixel photo of a lake at dusk, as an iPhone keeps it",
        "HEVC-coded, Display P3 colours, EXIF with GPS position and serial number, XMP",
        "Pillow, pillow-heif",
        _heic,
    ),
    Sample(
        "message/IMG_20260613_101502.jpg",
        "jpeg",
        "a 12-megapixel portrait photo of balloons over a meadow",
        "stored sideways with EXIF orientation 6, GPS position and serial number",
        "Pillow",
        _sideways_jpeg,
    ),
    Sample("message/logo.png", "png", "a logo with soft edges", "transparent ground (RGBA)", "Pillow", _logo),
    Sample(
        "message/IMG_0415.MOV",
        "mov",
        "a 6-second portrait clip with speech",
        "stored as 1280x720 with a rotation flag, position and time in its metadata, moov at the end",
        "ffmpeg: libx264, aac",
        _portrait_mov,
    ),
    Sample(
        "message/PTT-20260613-WA0003.ogg",
        "ogg",
        "a 13-second voice note, as messengers record it",
        "Opus in Ogg, mono",
        "ffmpeg: libopus",
        _voice_note,
    ),
    Sample(
        "message/song.m4a",
        "m4a",
        "nine seconds of music, stereo",
        "AAC, which is not supported as a part; title and artist tags",
        "ffmpeg: aac",
        _m4a,
    ),
    Sample(
        "message/note.txt",
        "text",
        "two sentences with an umlaut, a dash and a sun",
        "UTF-16 with byte order mark, CR LF",
        "Python",
        lambda: b"\xff\xfe" + NOTE.encode("utf-16-le"),
    ),
    Sample(
        "message/ringtone.mid",
        "midi",
        "a short tune",
        "none: Standard MIDI type 0",
        "mido",
        lambda: sounds.tune_midi(0),
    ),
)
