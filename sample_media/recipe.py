"""What a sample is, and how ffmpeg is asked to encode one.

Comes in: raw pictures and sounds. Goes out: encoded bytes, the same on every run of the same ffmpeg. Never:
a file outside a temporary folder.
"""

from __future__ import annotations

import shlex
import tempfile
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sounds
from clips import raw

from mmsprep.settings import Settings
from mmsprep.tools.ffmpeg import executable
from mmsprep.tools.process import ProcessGroup


@dataclass(frozen=True, slots=True)
class Sample:
    """One file: where it goes, what it is, what is odd about it, how it is made.

    ``format`` is a slug of ``mmsprep.formats``, or, in ``bad/``, the code of the error that it should cause.
    """

    path: str
    format: str
    what: str
    odd: str
    made: str
    make: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames to encode: a size, how many, how many a second, and which scene."""

    width_px: int
    height_px: int
    count: int
    rate_fps: float
    lake: bool = False


def speech_wav(text: str = sounds.NOTE, seed: int = 3) -> bytes:
    """Synthetic speech as a plain 16 kHz mono WAV."""
    return wav(sounds.speech(text, seed), sounds.SPEECH_RATE_HZ)


def music_wav(duration_s: float, seed: int = 1) -> bytes:
    """Synthetic music as a plain 44.1 kHz stereo WAV."""
    return wav(sounds.music(duration_s, seed), sounds.MUSIC_RATE_HZ)


def wav(samples: sounds.Samples, rate_hz: int) -> bytes:
    """Samples as a plain 16-bit WAV."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sound.wav")
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
            file.setsampwidth(2)
            file.setframerate(rate_hz)
            file.writeframes(sounds.pcm16(samples))
        return path.read_bytes()


def encode(
    options: str,
    name: str,
    *,
    clip: Clip | None = None,
    sound: bytes | None = None,
    files: Mapping[str, bytes] | None = None,
    rotation_deg: int = 0,
) -> bytes:
    """Run ffmpeg and return what it wrote to ``name``.

    Inputs come in this order: the clip's frames, the sound, then ``files``, which ``options`` may name too.
    ``rotation_deg`` is written as the clip's rotation flag; the pixels stay as they are.
    """
    with tempfile.TemporaryDirectory() as folder, ProcessGroup(300) as processes:
        command = [executable(Settings()), "-hide_banner", "-nostdin", "-v", "error", "-y"]
        if clip is not None:
            frames = Path(folder, "frames.rgb")
            frames.write_bytes(raw(clip.width_px, clip.height_px, clip.count, clip.rate_fps, lake=clip.lake))
            command += ["-noautorotate", "-display_rotation", str(rotation_deg)] if rotation_deg else []
            command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{clip.width_px}x{clip.height_px}"]
            command += ["-r", str(clip.rate_fps), "-i", str(frames)]
        if sound is not None:
            Path(folder, "sound.wav").write_bytes(sound)
            command += ["-i", str(Path(folder, "sound.wav"))]
        for other, data in (files or {}).items():
            Path(folder, other).write_bytes(data)
            command += ["-i", str(Path(folder, other))]
        command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-threads", "1"]
        processes.run([*command, *shlex.split(options), str(Path(folder, name))])
        return Path(folder, name).read_bytes()
