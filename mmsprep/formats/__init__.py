"""What mmsprep knows of file formats: how each is recognised, walked, stripped and strictly read back.

Comes in: bytes of strangers. Goes out: facts and bytes. Never: a program, a decoder, a decision about what to send.
"""

from __future__ import annotations

from mmsprep.formats.registry import FORMATS, Format

__all__ = ["FORMATS", "Format"]
