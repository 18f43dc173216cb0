"""Running ffmpeg on files that strangers made.

Comes in: a path, the format that *our* sniffing found, a graph built with ffmpeg-python. Goes out: bytes or
files in the workspace. Never: a demuxer that ffmpeg chose by itself, or a protocol other than file and pipe.

A playlist in a file named .mp4 makes a plain ``ffmpeg -i`` open other files and addresses; a protocol
whitelist alone does not stop it, a forced demuxer does. Both are set here, for every input.
"""

from __future__ import annotations

import math
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from mmsprep.errors import (
    Damaged,
    MmsprepError,
    OverInputLimit,
    ToolError,
    ToolMissing,
    ToolOverLimit,
    ToolTimeout,
    TypeNotAllowed,
)
from mmsprep.formats import FORMATS
from mmsprep.formats.orientation import UNIT_TYPES
from mmsprep.model import MediaInfo, Span
from mmsprep.settings import Settings
from mmsprep.tools.complaints import in_words
from mmsprep.tools.process import ProcessGroup
from mmsprep.tools.workspace import Workspace, no_room

_ENCODER_OPTIONS = ("-c:v", "-c:a", "-vcodec", "-acodec")
_COMPLETE_FFMPEG = "unset MMSPREP_FFMPEG to use the one of imageio-ffmpeg, which has it, or name a complete one there"
_UNDECODABLE_ADVICE = {"sound": "save it as AAC, MP3 or WAV", "picture": "save it as H.264"}
_QUESTION_TIMEOUT_S = 20.0
_PROGRESS = re.compile(
    rb"(frame|fps|stream_\d+_\d+_q|bitrate|total_size|out_time(?:_[mu]s)?|dup_frames|drop_frames|speed|progress)="
    rb"\s*(\S*)\s*"
)
"""A line of what ``-progress`` says."""
_ASIDES = ("Warning: using insecure memory!\n",)
"""What the libraries of some builds say at their start (libgcrypt, where no memory may be locked): not of media."""
_TRANSPOSES = {90: "clock", 270: "cclock"}
_HANDS_OVER = sys.platform == "linux" and Path("/proc/self/fd").is_dir()


def executable(settings: Settings) -> str:
    """The ffmpeg to use: the one in the settings, else the one of imageio-ffmpeg, else the one on the PATH.

    Raises:
        ToolMissing: there is none.
    """
    return settings.ffmpeg or _bundled()


@lru_cache(maxsize=1)
def _bundled() -> str:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if found:
        return found
    from mmsprep.tools.extras import reinstall

    raise ToolMissing(
        f"ffmpeg: not found; '{reinstall('imageio-ffmpeg')}' brings one, or MMSPREP_FFMPEG names one that is installed"
    )


def version(settings: Settings) -> str:
    """The version of the ffmpeg in use, as it names itself.

    Raises:
        ToolError: there is none, or it does not start.
    """
    first_line = _answer(executable(settings), "-version").partition("\n")[0]
    return first_line.removeprefix("ffmpeg version ").partition(" ")[0]


def encoders(settings: Settings) -> frozenset[str]:
    """The names of the encoders that the ffmpeg in use was built with.

    Raises:
        ToolError: there is no ffmpeg, or it does not start.
    """
    return frozenset(re.findall(r"^ [VAS][\w.]{5} (\w\S*)", _answer(executable(settings), "-encoders"), re.M))


def decoded_codecs(settings: Settings) -> frozenset[str]:
    """The names of the codecs that the ffmpeg in use decodes.

    Raises:
        ToolError: there is no ffmpeg, or it does not start.
    """
    return frozenset(re.findall(r"^ D[\w.]{5} (\w+)", _answer(executable(settings), "-codecs"), re.M))


def filters(settings: Settings) -> frozenset[str]:
    """The names of the filters that the ffmpeg in use was built with.

    Raises:
        ToolError: there is no ffmpeg, or it does not start.
    """
    return frozenset(re.findall(r"^ [\w.]{2,3} (\w+) +\S+->", _answer(executable(settings), "-filters"), re.M))


def refuse_undecodable(name: str, what: str, codec: str | None, settings: Settings) -> None:
    """Say of content that did not decode that it could not, where the ffmpeg in use has no decoder for its codec.

    ``what`` is it that is of ``codec``: "sound" or "picture".

    Raises:
        TypeNotAllowed: it has none.
        ToolError: there is no ffmpeg, or it does not start.
    """
    decoded = decoded_codecs(settings)
    # Some of our names are of a whole family ("pcm").
    if codec and decoded and not any(known.startswith(codec) for known in decoded):
        spoken = codec.replace("_", " ").upper()
        raise TypeNotAllowed(
            name,
            f"its {what} is {spoken}, which nothing here decodes; {_UNDECODABLE_ADVICE.get(what, 'convert it first')}",
        )


@lru_cache(maxsize=8)
def _answer(program: str, question: str) -> str:
    """What a program says about itself; asked once a process."""
    with ProcessGroup(_QUESTION_TIMEOUT_S) as processes:
        done = processes.run([program, "-hide_banner", question])
    return done.stdout.decode("utf-8", "replace")


def safe_input(path: Path, format_slug: str, **options: str | float | None) -> Any:
    """An ffmpeg-python input whose demuxer is the one of ``format_slug`` and no other.

    ``options`` are further input options (``ss``, ``t``, ...), ``None`` for those that have no value.
    """
    demuxer = FORMATS[format_slug].demuxer
    assert demuxer is not None, format_slug
    import ffmpeg as graph

    return graph.input(
        f"file:{path}",
        f=demuxer,
        format_whitelist=demuxer,
        protocol_whitelist="file,pipe",
        **options,
    )


@dataclass(frozen=True, slots=True)
class Completed:
    """A run that ended well: its standard output, its complaints, the frames of its first output with pictures."""

    stdout: bytes
    stderr: bytes
    frame_count: int


_Tell = Callable[[int, float], None]
_listener: ContextVar[_Listening | None] = ContextVar("mmsprep-ffmpeg", default=None)


@contextmanager
def listening(tell: _Tell) -> Iterator[None]:
    """Have ``tell(run, seconds)`` called, from another thread, while ffmpeg runs for this thread.

    ``run`` counts its runs from 0, ``seconds`` are those of the media that this one has behind it.
    """
    token = _listener.set(_Listening(tell))
    try:
        yield
    finally:
        _listener.reset(token)


@dataclass(slots=True)
class _Listening:
    """Who wants to know how far ffmpeg is, and which run it is."""

    tell: _Tell
    run_count: int = 0


@dataclass(slots=True)
class _Ear:
    """Takes what ``-progress`` says out of what ffmpeg says on standard error."""

    tell: Callable[[float], None] | None
    frame_count: int = 0
    _rest: bytes = field(default=b"", repr=False)

    def __call__(self, chunk: bytes) -> bytes:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        complaints = [line + b"\n" for line in lines if not self._is_progress(line)]
        if not chunk:
            complaints.append(self._rest)
        return b"".join(complaints)

    def _is_progress(self, line: bytes) -> bool:
        found = _PROGRESS.fullmatch(line)
        if found is None:
            return False
        key, value = found[1], found[2]
        if key == b"frame" and value.isdigit():
            self.frame_count = int(value)
        if key == b"out_time_us" and value.isdigit() and self.tell is not None:
            self.tell(int(value) / 1_000_000)
        return True


def pictures_of(path: Path, info: MediaInfo, span: Span | None = None, **options: str | float) -> Any:
    """The first picture stream of :func:`safe_input` that is no cover, of ``span`` alone (``None``: all of it).

    Its first frame is the one of the span's beginning, whatever key frames and indexes say: what decoding needs from
    before it is decoded and dropped. ``options`` may have a ``t``, the longest that is wanted. The frames are whole
    and upright.
    """
    source, cut = _up_to_the_end(path, info.format, span, as_coded(info) | options)
    pictures = source["V:0"]
    pictures = pictures.filter("trim", **cut).filter("setpts", f"PTS-{cut['start']:.6f}/TB") if cut else pictures
    return upright(pictures, info)


def as_coded(info: MediaInfo) -> dict[str, str | float | None]:
    """Options of an input for pictures just as they were coded, which :func:`upright` turns once.

    ffmpeg would turn by what the container says or by what the pictures themselves say, begin anew where only some of
    them do, and give up where both do: their own word is taken out. AV1 under Dolby's name is no codec to its demuxer
    of MP4 until a decoder is named.
    """
    options: dict[str, str | float | None] = {"noautorotate": None}
    if info.video_codec == "dav1":
        options["c:v"] = "libdav1d"
    if info.coded_orientation:
        options["bsf:v"] = f"filter_units=remove_types={UNIT_TYPES[info.video_codec or '']}"
    return options


def upright(pictures: Any, info: MediaInfo) -> Any:
    """Whole frames, which stand as a player shows them, of pictures that were read :func:`as_coded`."""
    if info.interlaced:
        pictures = pictures.filter("bwdif", mode="send_frame", deint="interlaced")
    if info.mirrored or info.rotation_deg:
        # What was to be done is done: an encoder would write it down for the player to do once more.
        pictures = pictures.filter("sidedata", mode="delete", type="DISPLAYMATRIX")
    if info.mirrored:
        pictures = pictures.filter("hflip")
    if info.rotation_deg == 180:
        return pictures.filter("hflip").filter("vflip")
    return (
        pictures.filter("transpose", _TRANSPOSES[info.rotation_deg]) if info.rotation_deg in _TRANSPOSES else pictures
    )


def sound_of(path: Path, format_slug: str, span: Span | None = None, **options: str | float) -> Any:
    """The first sound stream, as :func:`pictures_of` gives the pictures: to the sample."""
    source, cut = _up_to_the_end(path, format_slug, span, options)
    sound = source["a:0"]
    return sound.filter("atrim", **cut).filter("asetpts", f"PTS-{cut['start']:.6f}/TB") if cut else sound


def _up_to_the_end(
    path: Path, format_slug: str, span: Span | None, options: Mapping[str, str | float | None]
) -> tuple[Any, dict[str, float]]:
    """An input that ends where ``span`` does, and what of it is still to be cut away."""
    if span is None:
        return safe_input(path, format_slug, **options), {}
    options = {**options}
    if span.length_s is not None:
        options["t"] = min(span.length_s, float(options.get("t") or math.inf))
    if FORMATS[format_slug].indexed:
        return safe_input(path, format_slug, ss=span.from_s, **options), {}
    cut = {"start": span.from_s}
    if "t" in options:
        cut["end"] = options["t"] = span.from_s + float(options["t"] or 0)
    return safe_input(path, format_slug, **options), cut


def run(workspace: Workspace, output: Any, *, stdin: bytes | None = None, into: IO[bytes] | None = None) -> Completed:
    """Run the ffmpeg-python ``output`` node to its end; ``into`` is a file that its standard output goes to.

    It may read its inputs and write into the workspace, nothing else, as far as the system can see to that. Inputs are
    opened here; on Linux it is handed what is open, so that nothing can be put in their place.

    Raises:
        NotFound, Unreadable: an input went away, or is another file than the one that was taken in.
        ToolMissing: there is no ffmpeg, or it lacks an encoder.
        OutputError: there is no room for temporary files.
        ToolTimeout: it took longer than the settings allow.
        ToolOverLimit: it needed more memory, processor time, disk or output than the settings allow.
        ToolError: it failed.
    """
    settings, arguments = workspace.settings, output.get_args()
    command = [executable(settings), "-hide_banner", "-nostdin", "-v", "error", "-progress", "pipe:2"]
    command += ["-max_alloc", str(settings.max_memory_bytes // 2), "-y"]
    listener, ear = _listener.get(), _Ear(None)
    if listener is not None:
        ear.tell = partial(listener.tell, listener.run_count)
        listener.run_count += 1
    with ExitStack() as inputs:
        handed: dict[int, str] = {}
        for place in [before + 1 for before, word in enumerate(arguments) if word == "-i"]:
            path = arguments[place].removeprefix("file:")
            if not Path(path).is_absolute():  # a pipe, or something that ffmpeg makes itself
                continue
            descriptor = inputs.enter_context(workspace.open(path)).fileno()
            handed[descriptor] = path
            arguments[place] = f"file:{_place_of(descriptor, path)}"
        try:
            done = workspace.processes.run(
                [*command, *arguments],
                stdin=stdin,
                descriptors=[*handed] if _HANDS_OVER else (),
                cage=workspace.cage([_place_of(*one) for one in handed.items()]),
                max_output_bytes=settings.max_decoded_bytes,
                watch=workspace.check_disk,
                hear=ear,
                into=into,
            )
        except ToolError as error:
            raise _meaning(type(error)(_by_name(str(error), handed)), settings, arguments) from error
    complaints = _by_name(done.stderr.decode("utf-8", "replace"), handed).encode()
    return Completed(done.stdout, complaints, ear.frame_count)


def _place_of(descriptor: int, path: str) -> str:
    """Where ffmpeg finds what is open here."""
    return f"/proc/self/fd/{descriptor}" if _HANDS_OVER else path


def _by_name(words: str, handed: dict[int, str]) -> str:
    """What ffmpeg says, with the names of its inputs, without where its parts lie in memory: that differs each time."""
    words = re.sub(r"/proc/self/fd/(\d+)", lambda found: handed.get(int(found[1]), found[0]), words)
    for aside in _ASIDES:
        words = words.replace(aside, "")
    return re.sub(r"\[[^][]* @ (?:0x)?[0-9a-fA-F]+\] ?", "", words)


def _meaning(error: ToolError, settings: Settings, arguments: Sequence[str]) -> MmsprepError:
    """What ffmpeg's last words say about this machine; they say nothing about the attachment then."""
    words = str(error)
    if "No space left on device" in words:
        return no_room("No space left on device")
    if "Unknown encoder" in words or "Encoder not found" in words:
        asked = [value for option, value in pairwise(arguments) if option in _ENCODER_OPTIONS]
        return ToolMissing(
            f"ffmpeg ({executable(settings)}) lacks an encoder, one of {', '.join(asked)} ({words}); {_COMPLETE_FFMPEG}"
        )
    return error


@contextmanager
def decoding(name: str, problem: str = "does not decode") -> Iterator[None]:
    """Runs of ffmpeg on what ``name`` calls; its failures become errors about that attachment.

    Raises:
        OverInputLimit: it needs more than the settings allow.
        Damaged: ffmpeg gave up on it.
        ToolMissing: there is no ffmpeg, or it lacks an encoder.
    """
    try:
        yield
    except ToolMissing:
        raise
    except (ToolOverLimit, ToolTimeout) as error:
        raise OverInputLimit(name, f"is more than this machine may spend on one file ({error})") from error
    except ToolError as error:
        raise Damaged(name, f"{problem}: {in_words(str(error))}; copy or download it again") from error
