"""What tshark says of an MM1 PDU: the PDU as the body of an HTTP request, in a capture file made here."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

_SEGMENT_BYTES = 32_000
_RAW_IP = 101


def dissect(pdu: bytes, folder: Path) -> dict[str, Any]:
    """The layers that tshark's MMSE dissector finds; the test is skipped where there is no tshark."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("no tshark here (apt-get install tshark)")
    place = folder / "pdu.pcap"
    place.write_bytes(_capture(pdu))
    command = [
        tshark,
        "-n",
        "-r",
        str(place),
        "-Y",
        "mmse",
        "-T",
        "json",
        "--no-duplicate-keys",
        "-J",
        "mmse http _ws.malformed",
    ]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    packets = json.loads(done.stdout)
    assert packets, "tshark finds no MMSE message in it"
    layers: dict[str, Any] = packets[-1]["_source"]["layers"]
    return layers


def _capture(pdu: bytes) -> bytes:
    head = (
        "POST / HTTP/1.1",
        "Host: mmsc",
        "Content-Type: application/vnd.wap.mms-message",
        f"Content-Length: {len(pdu)}",
    )
    request = "\r\n".join((*head, "", "")).encode() + pdu
    packets = [_packet(1, b"", syn=True)]
    packets += [
        _packet(2 + start, request[start : start + _SEGMENT_BYTES]) for start in range(0, len(request), _SEGMENT_BYTES)
    ]
    records = b"".join(struct.pack("<IIII", 1, 0, len(packet), len(packet)) + packet for packet in packets)
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, _RAW_IP) + records


def _packet(sequence: int, data: bytes, *, syn: bool = False) -> bytes:
    tcp = struct.pack(">HHIIBBHHH", 40_000, 80, sequence, 0, 5 << 4, 0x02 if syn else 0x18, 65_535, 0, 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 1, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return ip + tcp + data
