"""What goes over the wire and what comes back, as values.

Comes in: nothing. Goes out: :class:`WireRequest`, :class:`WireResponse` and :class:`Receipt`. Never: a connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

RAW_REPLY_CHARACTERS = 4000
"""How much of a reply is kept: all of an honest one, the beginning of an error page."""


class Via(StrEnum):
    """The gateway's two doors: the HTTP form and MM7."""

    HTTP = "http"
    MM7 = "mm7"


def is_message_id(text: str) -> bool:
    """Whether it can be an id of the form's: "a unique 16-digit integer"."""
    return len(text) == 16 and text.isascii() and text.isdigit() and bool(text.strip("0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One request, ready to go: a POST of ``body`` to ``url``. Headers and body hold secrets: no repr shows them.

    ``pieces`` are the body's, in order; requests that share a piece share its memory. ``secrets`` are the spellings of
    the account's secrets that are blotted out of whatever comes back.
    """

    via: Via
    url: str
    recipient: str
    transaction_id: str
    headers: Mapping[str, str] = field(repr=False)
    pieces: tuple[bytes, ...] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    proxy: str = field(default="", repr=False)

    @property
    def body(self) -> bytes:
        """The whole of it, put together."""
        return b"".join(self.pieces)

    @property
    def body_bytes(self) -> int:
        """How long the body is."""
        return sum(map(len, self.pieces))

    def blot(self, text: str) -> str:
        """``text`` without the account's secrets, each of which may be a part of another or of what stands for them."""
        return re.sub("|".join(map(re.escape, self.secrets)), "[secret]", text) if self.secrets else text

    def raw(self, body: bytes) -> str:
        """A reply's body as it may be kept: decoded, blotted, its beginning."""
        return self.blot(body.decode("utf-8", "replace"))[:RAW_REPLY_CHARACTERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireResponse:
    """A whole answer. ``retry_after_s`` is what the server asks to wait; ``None`` where it said nothing.

    ``before_body``: it came although nothing of the request's body had begun to go out.
    """

    status: int
    body: bytes
    content_type: str = ""
    retry_after_s: float | None = None
    before_body: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The gateway accepted the message, which is not yet delivered.

    ``status_code`` is the gateway's (``None``: the HTTP form has none), ``attempts`` how many requests it took,
    ``earlier`` true where the journal says that an earlier run sent it and nothing went out now.
    """

    recipient: str
    message_id: str
    transaction_id: str
    via: Via
    status_code: int | None = None
    status_text: str = ""
    raw_reply: str = ""
    attempts: int = 1
    earlier: bool = False
