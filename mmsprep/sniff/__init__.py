"""What an attachment really is, by its content and never by its name: bytes in, :class:`MediaInfo` out."""

from __future__ import annotations

from mmsprep.sniff.recognise import identify, sniff

__all__ = ["identify", "sniff"]
