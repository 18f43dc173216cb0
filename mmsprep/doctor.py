"""What is installed here, which ffmpeg is used, what is missing and how to get it.

Comes in: settings. Goes out: checks for ``mmsprep doctor``. Never: a change to anything.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import metadata

from mmsprep.errors import MmsprepError
from mmsprep.settings import Settings, load_settings
from mmsprep.tools.extras import install, reinstall

_ENCODED = {
    "libx264": "H.264 clips",
    "aac": "sound of clips",
    "libmp3lame": "MP3 recordings",
    "libopencore_amrnb": "AMR recordings",
    "h263": "clips for old handsets",
    "mpeg4": "clips for MPEG-4 handsets",
}
_DECODED = {
    "h264": "H.264 clips",
    "hevc": "HEIC pictures and HEVC clips",
    "av1": "AV1 clips",
    "vp9": "WebM clips",
    "aac": "sound of clips and recordings",
    "opus": "voice notes",
    "amr_nb": "AMR recordings",
}
_REQUIRED = re.compile(r"([\w.-]+)[^;]*")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked for; ``advice`` says how to get it when it is not there."""

    name: str
    found: str
    ok: bool
    needed: bool
    advice: str = ""


def diagnose(settings: Settings | None = None) -> list[Check]:
    """Look at everything that mmsprep stands on."""
    settings = settings or load_settings()
    checks = [Check("Python", sys.version.split()[0], sys.version_info >= (3, 11), True, "3.11 or newer")]
    checks += [_package(name) for name in _packages()]
    checks += _pillow()
    checks += _mediainfo()
    return checks + _ffmpeg(settings) + _defences(settings)


def _packages() -> list[str]:
    """What mmsprep requires wherever it runs, by its own metadata."""
    try:
        required = metadata.requires("mmsprep") or []
    except metadata.PackageNotFoundError:
        return []
    return [found[1] for one in required if (found := _REQUIRED.fullmatch(one))]


def _package(name: str) -> Check:
    try:
        return Check(name, metadata.version(name), True, True)
    except metadata.PackageNotFoundError:
        return Check(name, "not installed", False, True, install(name))


def _pillow() -> list[Check]:
    try:
        from PIL import features
    except ImportError:
        return []  # It was just said that there is no Pillow.
    advice = f"'{reinstall('pillow')}' brings a complete one"
    return [
        Check(f"Pillow: {title}", "yes" if ok else "no", ok, needed, advice)
        for name, title, needed in (
            ("jpg", "JPEG", True),
            ("littlecms2", "colour profiles", True),
            ("webp", "WebP", False),
            ("avif", "AVIF", False),
            ("jpg_2000", "JPEG 2000", False),
        )
        for ok in [bool(features.check(name))]
    ]


def _mediainfo() -> list[Check]:
    try:
        from pymediainfo import MediaInfo
    except ImportError:
        return []
    ok = bool(MediaInfo.can_parse())
    advice = "install the system's libmediainfo (for example 'apt-get install libmediainfo0v5')"
    return [Check("libmediainfo", "yes" if ok else "no", ok, True, advice)]


def _defences(settings: Settings) -> list[Check]:
    """What keeps the decoders of strangers' files in their place here."""
    from mmsprep.tools import budget, confine, defences, isolation

    isolated = isolation.can_isolate(settings)
    title = "pictures are decoded in worker processes" if isolated else "off: pictures are decoded in this process"
    checks = [Check("isolation", title, isolated, False, "unset MMSPREP_ISOLATE for input that is not trusted")]
    if not isolated:
        return checks
    total, kept = f"{settings.total_memory_bytes:,} bytes for all that work at once", budget.is_kept()
    advice = "needs Linux, which says what a process holds; elsewhere MMSPREP_JOBS bounds how many work at once"
    checks.append(Check("isolation: memory", total if kept else "not measured on this system", kept, False, advice))
    held = defences.defences()
    for defence in defences.ALL:
        ok = defence.name in held
        use = defence.use + (f", version {confine.landlock_abi()}" if defence.name == confine.FILES else "")
        shown = use if ok else "not on this system"
        checks.append(Check(f"isolation: {defence.name}", shown, ok, False, f"needs {defence.needs}"))
    return checks


def _ffmpeg(settings: Settings) -> list[Check]:
    from mmsprep.tools import ffmpeg

    advice = f"'{reinstall('imageio-ffmpeg')}' brings a complete ffmpeg; MMSPREP_FFMPEG names another one"
    try:
        where, version = ffmpeg.executable(settings), ffmpeg.version(settings)
        encoders, decoded = ffmpeg.encoders(settings), ffmpeg.decoded_codecs(settings)
    except MmsprepError as error:
        return [Check("ffmpeg", str(error), False, True, advice)]
    checks = [Check("ffmpeg", f"{version} ({where})", True, True)]
    asked = [(name, use, name in encoders) for name, use in _ENCODED.items()]
    asked += [(f"reads {name}", use, name in decoded) for name, use in _DECODED.items()]
    checks += [
        Check(f"ffmpeg: {name}", use if ok else f"missing: no {use}", ok, False, advice) for name, use, ok in asked
    ]
    return checks
