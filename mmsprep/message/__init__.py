"""The message: its parts and presentation, its exact size, its folder and ``message.json``."""

from __future__ import annotations

from mmsprep.message.message import Forecast, Message, read_message, write_messages

__all__ = ["Forecast", "Message", "read_message", "write_messages"]
