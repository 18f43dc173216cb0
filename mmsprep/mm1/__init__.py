"""MM1, the interface between a phone and its relay: a message as one binary PDU, written and read.

Comes in: a prepared message, or the bytes of a PDU. Goes out: the other. Never: a request to anybody. Modems,
``mmsd`` and relays exchange such files (``application/vnd.wap.mms-message``).
"""

from mmsprep.mm1.packed import pack_message
from mmsprep.mm1.pdu import Pdu, decode, encode_retrieved, encode_send
from mmsprep.mm1.unpacked import Unpacked, UnpackedPart, document, read_pdu, unpack, write_unpacked

__all__ = [
    "Pdu",
    "Unpacked",
    "UnpackedPart",
    "decode",
    "document",
    "encode_retrieved",
    "encode_send",
    "pack_message",
    "read_pdu",
    "unpack",
    "write_unpacked",
]
