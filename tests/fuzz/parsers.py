"""The parsers that mmsprep wrote itself, each fed damaged input of the kind that it reads.

Comes in: a seed and a time. Goes out: what was found. Never: a finding for an error that the parser promises.

Where atheris is installed (``pip install atheris``), ``python -m tests.fuzz --parser NAME`` lets it look for new ways
through the code; without it, mutations of good input must do.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from mmsprep.errors import MmsprepError
from mmsprep.formats import FORMATS
from mmsprep.formats.aac import adts_facts
from mmsprep.formats.amr import read_voice
from mmsprep.formats.caf import caf_pcm_duration_s
from mmsprep.formats.content import Content
from mmsprep.formats.emelody import parse_emelody
from mmsprep.formats.heif.facts import read_picture_facts
from mmsprep.formats.heif.layout import read_layout
from mmsprep.formats.imelody import parse_imelody
from mmsprep.formats.isobmff import read_movie
from mmsprep.formats.jxl import jxl_size_px
from mmsprep.formats.matroska import read_matroska
from mmsprep.formats.melody import MelodyError
from mmsprep.formats.midi import read_song
from mmsprep.formats.readers import read_structure
from mmsprep.formats.registry import by_look
from mmsprep.formats.signatures import foreign_format, recognised
from mmsprep.formats.tagged import extent_of
from mmsprep.formats.text import clean, decode, oddities, text_format
from mmsprep.formats.wav import wave_layout
from mmsprep.message.mime import Entity, parse_multipart
from mmsprep.mm1 import encode_retrieved, unpack
from mmsprep.mm7 import parse_push, parse_reply, parse_submit
from mmsprep.model import Attachment
from mmsprep.profile import load_profile, profile_folder
from mmsprep.sender import Via, WireRequest, WireResponse, form, soap
from mmsprep.tools.untrusted import content_of

from .mutations import mutate, stretched

_SAMPLES = Path(__file__).parents[2] / "sample_media"
_SLOW_S = 20.0
_SMALL_BYTES, _GROWTH = 40_000, 4
_GROWN = 0.2
_WORTH_A_LOOK_S = 0.5
_MORE_LOOKS = 3
_MOST_S_A_BYTE = 40e-6
"""mido takes 15 microseconds for a byte of MIDI; nothing else takes a tenth of that."""
_WORDS = 1_500


@dataclass(frozen=True, slots=True)
class Parser:
    """What reads, which of its errors are promised, and good input to begin with."""

    name: str
    read: Callable[[bytes], object]
    promised: tuple[type[Exception], ...]
    seeds: Sequence[bytes]


def _on_content(read: Callable[[Content], object]) -> Callable[[bytes], object]:
    def reading(data: bytes) -> object:
        with content_of(Attachment(0, "file", len(data), data=data)) as content:
            return read(content)

    return reading


def _sniffed(content: Content) -> object:
    slug = recognised(content)
    return slug, foreign_format(content), extent_of(content, slug) if slug else None


def _framed(content: Content) -> object:
    return [looks_like(content) for looks_like, _ in by_look()], adts_facts(content)


def _composed(content: Content) -> None:
    read_picture_facts(content)
    read_layout(content, 50_000_000)


def _structured(content: Content) -> object:
    found = []
    for slug in (slug for slug, entry in FORMATS.items() if entry.structure):
        try:
            found.append(read_structure(content, slug, 500))
        except MmsprepError as error:
            found.append(error)  # type: ignore[arg-type]
    return found


def _sounding(content: Content) -> object:
    found: list[object] = [caf_pcm_duration_s(content)]
    for read in (
        lambda: wave_layout(content),
        lambda: read_voice(content, "amr"),
        lambda: read_voice(content, "evrc"),
    ):
        # These are read where the head says so, and only there.
        try:
            found.append(read())
        except (MmsprepError, ValueError) as error:
            found.append(error)
    return found


def _cleaned(data: bytes) -> object:
    text = _text(data)
    once = clean(text, "lf")
    assert clean(once, "lf") == once
    return once, oddities(text), text_format(text)


def _profiled(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.toml")
        path.write_bytes(data)
        return load_profile(path)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _files(*patterns: str) -> list[bytes]:
    paths = [path for pattern in patterns for path in sorted(_SAMPLES.glob(pattern))]
    return [path.read_bytes() for path in paths if path.stat().st_size < 300_000]


_MULTIPART = (
    b"--b\r\nContent-Type: application/smil\r\nContent-ID: <s>\r\n\r\n<smil/>\r\n"
    b'--b\r\nContent-Type: image/jpeg; name="a"\r\nContent-ID: <a>\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n/9j/2Q==\r\n--b--\r\n"
)
_ENVELOPE = (
    b'<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"'
    b' xmlns:m="http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"><e:Header>'
    b'<m:TransactionID e:mustUnderstand="1">t1</m:TransactionID></e:Header><e:Body>%s</e:Body></e:Envelope>'
)
_REPLY = _ENVELOPE % (
    b"<m:SubmitRsp><m:MM7Version>6.8.0</m:MM7Version><m:Status><m:StatusCode>1000</m:StatusCode>"
    b"<m:StatusText>Success</m:StatusText></m:Status><m:MessageID>1234</m:MessageID></m:SubmitRsp>"
)
_FAULT = _ENVELOPE % (
    b"<e:Fault><faultcode>e:Client</faultcode><faultstring>no</faultstring><detail><m:RSErrorRsp>"
    b"<m:Status><m:StatusCode>2001</m:StatusCode></m:Status></m:RSErrorRsp></detail></e:Fault>"
)
_PUSH = _ENVELOPE % (
    b"<m:DeliverReq><m:MM7Version>6.8.0</m:MM7Version><m:LinkedID>l</m:LinkedID><m:Sender><m:Number>61400000000"
    b"</m:Number></m:Sender><m:Subject>a & b</m:Subject><m:Content href='cid:c'/></m:DeliverReq>"
)
_SUBMIT = _ENVELOPE % (
    b"<m:SubmitReq><m:MM7Version>6.8.0</m:MM7Version><m:Recipients><m:To><m:Number>6140</m:Number></m:To>"
    b"</m:Recipients><m:Subject>s</m:Subject><m:Content href='cid:c'/></m:SubmitReq>"
)
_HEADER = (("Content-Type", 'multipart/related; boundary="b"'),)
_OURS = (MmsprepError,)

_ACCEPTED = b"Success. ID = {1234567890123456}"
_FAILURE = b"FAILURE: 2004 Multimedia, larger than 300kb"
_REQUEST = WireRequest(via=Via.HTTP, url="", recipient="61409317436", transaction_id="t", headers={}, pieces=())
_RETRIEVED = encode_retrieved(
    Entity(_HEADER, _MULTIPART), message_id="m", sent_at_s=1_800_000_000, sender="61400000000", subject="Grüße"
)
_SEND_CONF = b"\x8c\x81\x98T1\0\x8d\x90\x92\xe3\x93\x0e\xeaNo such user\0\x8bid\0"


def _answer(data: bytes) -> WireResponse:
    return WireResponse(status=200, body=data, content_type="text/xml")


PARSERS: tuple[Parser, ...] = (
    Parser("sniffer", _on_content(_sniffed), _OURS, _files("formats/*", "bad/*")),
    Parser("boxes", _on_content(read_movie), _OURS, _files("formats/*.mp4", "formats/*.3gp", "formats/*.heic")),
    Parser("heif", _on_content(_composed), _OURS, _files("formats/*.heic")),
    Parser("matroska", _on_content(read_matroska), _OURS, _files("formats/*.mka", "formats/*.webm", "formats/*.mkv")),
    Parser("structure", _on_content(_structured), _OURS, _files("formats/*.jpg", "formats/*.png", "formats/*.webp")),
    Parser("frames", _on_content(_framed), _OURS, _files("formats/*.mp3", "formats/*.aac", "formats/*.ac3")),
    Parser("jxl", _on_content(jxl_size_px), _OURS, _files("formats/*.jxl")),
    Parser("sound", _on_content(_sounding), _OURS, _files("formats/*.wav", "formats/*.caf", "formats/*.amr")),
    Parser("midi", read_song, (ValueError,), _files("formats/*.mid")),
    Parser("text", decode, (), _files("formats/*.txt")),
    Parser("clean text", _cleaned, (), _files("formats/*.txt", "formats/*.imy")),
    Parser("imelody", lambda data: parse_imelody(_text(data)), (MelodyError,), _files("formats/*.imy")),
    Parser("emelody", lambda data: parse_emelody(_text(data)), (MelodyError,), _files("formats/*.emy")),
    Parser("multipart", lambda data: parse_multipart(Entity(_HEADER, data)), _OURS, [_MULTIPART]),
    Parser("mm1", lambda data: unpack(data, "pdu"), _OURS, [_RETRIEVED, _SEND_CONF]),
    Parser("mm7 reply", parse_reply, _OURS, [_REPLY, _FAULT]),
    Parser("form answer", lambda data: form.parse_response(_answer(data), _REQUEST), _OURS, [_ACCEPTED, _FAILURE]),
    Parser("mm7 answer", lambda data: soap.parse_response(_answer(data), _REQUEST), _OURS, [_REPLY, _FAULT]),
    Parser("mm7 push", parse_push, _OURS, [_PUSH]),
    Parser("mm7 submit", parse_submit, _OURS, [_SUBMIT]),
    Parser("profile", _profiled, _OURS, [path.read_bytes() for path in sorted(profile_folder().glob("*.toml"))]),
)


def try_parser(parser: Parser, data: bytes) -> str:
    """What is wrong with how ``parser`` takes ``data``; empty when nothing is."""
    return _tried(parser, data)[0]


def _tried(parser: Parser, data: bytes) -> tuple[str, float]:
    """What is wrong, and the seconds of processor time that it took: the clock's depend on who else works here."""
    start = time.thread_time()
    try:
        parser.read(data)
    except parser.promised:
        pass
    except Exception:
        return traceback.format_exc()[-_WORDS:], 0.0
    took_s = time.thread_time() - start
    return f"took {took_s:.0f} s" if took_s > _SLOW_S else "", took_s


def try_growth(parser: Parser, grown: Callable[[int], bytes]) -> tuple[str, bytes]:
    """What is wrong with the time that ``parser`` takes for input of a kind that gets longer, and that input.

    Input four times as long may take four times as long, and a bit; sixteen times is a square. What looks like one is
    measured again: memory and caches shared with others make one measurement up to twice too long.
    """
    small, large = grown(_SMALL_BYTES), grown(_SMALL_BYTES * _GROWTH)
    problem, large_s = _tried(parser, large)
    if problem or large_s < _WORTH_A_LOOK_S:
        return problem, large
    small_s = _tried(parser, small)[1]
    most_s = 2 * len(large) / len(small) * max(small_s, 0.01)
    for _ in range(_MORE_LOOKS):
        if large_s > most_s:
            large_s = min(large_s, _tried(parser, large)[1])
    if large_s > most_s:
        return f"took {small_s:.2f} s for {len(small):,} bytes, {large_s:.2f} s for {len(large):,}: a square", large
    if large_s > _MOST_S_A_BYTE * len(large):
        return f"took {large_s:.1f} s for {len(large):,} bytes", large
    return "", large


def _grown(data: bytes, number: int, size_bytes: int) -> bytes:
    return stretched(data, size_bytes, Random(number))


def fuzz_parsers(seed: int, duration_s: float) -> Iterator[tuple[str, bytes, str]]:
    """Each parser in turn with mutated input, until the time is up: its name, the input, what is wrong."""
    chance = Random(seed)
    deadline = time.monotonic() + duration_s
    while time.monotonic() < deadline:
        parser = chance.choice(PARSERS)
        if not parser.seeds:
            continue
        if chance.random() < _GROWN:
            grown = partial(_grown, chance.choice(parser.seeds), chance.randrange(1 << 40))
            problem, data = try_growth(parser, grown)
        else:
            _, data = mutate(chance.choice(parser.seeds), chance.choice(parser.seeds), chance)
            problem = try_parser(parser, data)
        if problem:
            yield parser.name, data, problem


def fuzz_with_atheris(name: str, duration_s: float) -> None:
    """Coverage-guided: atheris ends this process when the time is up, or at the first finding, which it saves."""
    import atheris

    parser = next(one for one in PARSERS if one.name == name)

    def one_input(data: bytes) -> None:
        problem = try_parser(parser, data)
        if problem:
            raise AssertionError(problem)

    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(parser.seeds):
            Path(corpus, str(number)).write_bytes(data)
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], f"-max_total_time={duration_s:.0f}", corpus], one_input)
        atheris.Fuzz()
