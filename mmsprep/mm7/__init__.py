"""MM7 (3GPP TS 23.140): envelopes written and read, what its schema allows, and the gateway's status table."""

from __future__ import annotations

from mmsprep.mm7.envelope import (
    PUSH_REPLIES,
    REL_5,
    REL_6,
    SOAP,
    VERSIONS,
    Asked,
    Push,
    Reply,
    Submit,
    asked_in,
    build_push,
    build_reply,
    build_submit,
    parse_push,
    parse_reply,
    parse_submit,
    request_kind,
)
from mmsprep.mm7.xml import holdable

__all__ = [
    "PUSH_REPLIES",
    "REL_5",
    "REL_6",
    "SOAP",
    "VERSIONS",
    "Asked",
    "Push",
    "Reply",
    "Submit",
    "asked_in",
    "build_push",
    "build_reply",
    "build_submit",
    "holdable",
    "parse_push",
    "parse_reply",
    "parse_submit",
    "request_kind",
]
