"""AMR and EVRC files as ffmpeg reads them.

Comes in: an attachment in the storage format of RFC 4867 or RFC 4788. Goes out: a file in the workspace. Never: a
decode.

At an AMR frame of no known type ffmpeg stops, and one that is not marked as good it leaves out: its file gets whole
frames with exact headers. EVRC's frames stay, the header becomes that of a QCP file: both formats put the same byte
before each frame (0 blank, 1 eighth, 3 half, 4 full rate), so the body is copied as it is. RFC 4788, 9 and 10: the
magic numbers; RFC 3625: QCP.
"""

from __future__ import annotations

import struct
from pathlib import Path

from mmsprep.errors import Damaged, OverInputLimit, TypeNotAllowed
from mmsprep.formats import FORMATS
from mmsprep.model import Attachment, MediaInfo
from mmsprep.tools.isolation import isolated
from mmsprep.tools.untrusted import content_of, read_bytes
from mmsprep.tools.workspace import Workspace

_MAGIC = b"#!EVRC\n"
_EVRC_GUID = bytes.fromhex("8dd489e67690b54691ef736a5100ceb4")
_FRAME_BYTES = {0: 0, 1: 2, 3: 10, 4: 22}
_FRAMES_A_SECOND = 50


def whole_frames(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> Path:
    """Where an AMR or AMR-WB file lies, or a copy of it whose frames are all as they should be.

    Raises:
        Damaged: there is no frame in it.
    """
    if not info.metadata:
        return workspace.path_of(attachment)
    return workspace.put(isolated(workspace, stripped, attachment, info.format), f".{info.format}")


def stripped(attachment: Attachment, format_slug: str) -> bytes:
    """The frames alone, in this process: for a worker; raises as :func:`whole_frames`."""
    strip = FORMATS[format_slug].strip
    assert strip is not None
    with content_of(attachment) as content:
        try:
            return strip(content)
        except ValueError as error:
            raise Damaged(attachment.name, f"has no sound in it ({error}); get the file again") from error


def as_qcp(attachment: Attachment, workspace: Workspace) -> Path:
    """Write the QCP file and say where.

    Raises:
        TypeNotAllowed: EVRC-B, -WB or -NW, which ffmpeg does not decode.
        OverInputLimit: longer than ``settings.max_duration_s`` at full rate.
    """
    data = read_bytes(attachment)
    if not data.startswith(_MAGIC):
        raise TypeNotAllowed(attachment.name, "is a kind of EVRC that ffmpeg does not decode; send it as WAV or M4A")
    body = data[len(_MAGIC) :]
    most_bytes = workspace.settings.max_duration_s * _FRAMES_A_SECOND * (1 + max(_FRAME_BYTES.values()))
    if len(body) > most_bytes:
        raise OverInputLimit(attachment.name, "holds more voice frames than MMSPREP_MAX_DURATION_S lets in")
    return workspace.put(_qcp(body), ".qcp")


def _qcp(body: bytes) -> bytes:
    largest = max(_FRAME_BYTES.values())
    rates = b"".join(bytes((size, code)) for code, size in sorted(_FRAME_BYTES.items(), reverse=True))
    fmt = struct.pack("<BB16sH80s", 1, 0, _EVRC_GUID, 1, b"")
    fmt += struct.pack("<HHHHHI16s20s", 9_600, largest, 160, 8_000, 16, len(_FRAME_BYTES), rates, b"")
    vrat = struct.pack("<II", 1, 0)
    chunks = b"".join(
        name + struct.pack("<I", len(chunk)) + chunk + b"\0" * (len(chunk) % 2)
        for name, chunk in ((b"fmt ", fmt), (b"vrat", vrat), (b"data", body))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"QLCM" + chunks
