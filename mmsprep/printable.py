"""Text of strangers on its way out: to a terminal, into a page, a log or JSON.

Comes in: a file's name, what a file says of itself, a gateway's words, a pushed subject. Goes out: the same to
read, without what commands a terminal, forges a line or turns the reading direction. Never: letters, emoji
families, flags or right-to-left text made unreadable.

Errors, reports and stores hold the exact text; the exits call this: the command line's console, its lines and
its JSON (``cli/printing.py``), pages that stand alone (:func:`html_text`), the sandbox's pages and answers.
"""

from __future__ import annotations

import json
import re
from typing import Any

_ELLIPSIS = "…"
_KEPT = (
    "\U0001f3f4(?:"
    + "|".join("".join(chr(0xE0000 + ord(letter)) for letter in region) for region in ("gbeng", "gbsct", "gbwls"))
    + ")\U000e007f"
)
"""The flags of England, Scotland and Wales: the only ones that are spelled with tag characters."""
_NONCHARACTERS = "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: escape sequences, bells, forged lines
    "\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c"  # line ends, and marks that turn the direction
    # What takes no room and hides or splits words (Default_Ignorable_Code_Point), but for U+200C and U+200D,
    # which Persian, Hindi and emoji families are spelled with, and for variation selectors.
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
    "\ud800-\udfff"  # half characters: bytes of a file name that are no text
    "\ufdd0-\ufdef"
) + _NONCHARACTERS
_FOUND = re.compile(f"({_KEPT})|[{_UNSAFE}]")


def printable(text: str, *, lines: bool = False, most: int | None = None) -> str:
    """``text``, harmless wherever it is shown; every character of it is one afterwards.

    Control characters become their pictures (``␛``, ``␊``), everything else that is unsafe U+FFFD.

    Args:
        text: anybody's.
        lines: line ends and tabs stay, for what may take several lines; otherwise one line comes out.
        most: how many characters it may have; what is longer ends in an ellipsis.
    """
    if lines:
        text = text.replace("\r\n", "\n")
    if most is not None and len(text) > most:
        text = text[: most - 1] + _ELLIPSIS

    def shown(found: re.Match[str]) -> str:
        char = found[0]
        if found[1] or (lines and char in "\n\t"):
            return char
        if char <= "\x1f":
            return chr(0x2400 + ord(char))
        return "␡" if char == "\x7f" else "\ufffd"

    return _FOUND.sub(shown, text)


def html_text(text: str) -> str:
    """``text``, harmless inside an HTML element or a quoted attribute; line ends stay."""
    from html import escape

    return escape(printable(text, lines=True))


def content_policy(script: str) -> str:
    """The Content-Security-Policy of a page that stands alone: nothing is loaded, no script but ``script`` runs."""
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; media-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def html_page(title: str, *, style: str, script: str, body: str) -> str:
    """A page that stands alone, under :func:`content_policy`. ``body`` is HTML already, ``title`` is anybody's text."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{html_text(content_policy(script))}">'
        f"<title>{html_text(title)}</title><style>{style}</style>{body}<script>{script}</script></html>\n"
    )


def json_text(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    r"""``value`` as JSON that reads back exactly and is harmless on a terminal.

    What :func:`printable` replaces is escaped (``\u202e``), half characters too, so that the text always
    encodes; ``ascii_only`` escapes everything else beyond ASCII, for a stream that takes nothing else.
    """
    # Strings have no raw control character then, so line ends and all else of ASCII are JSON's own.
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    return _FOUND.sub(lambda found: found[0] if found[1] or found[0] == "\n" else _escaped(found[0]), text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))
