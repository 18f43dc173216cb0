"""Whether a request to a server on this machine comes from a program, or from somebody's web page.

Comes in: a request's headers. Goes out: yes or no. Never: an answer, or a look at what is asked for.

A page on the internet can post to a server on the visitor's machine without reading the answer, and can let its own
name point to 127.0.0.1 (DNS rebinding). Browsers say so in headers that no page can change; programs send none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

_BROWSER_FIELDS = ("origin", "referer")
_TYPED_BY_A_PERSON = "none"


def is_own_name(host: str, listening_on: str = "") -> bool:
    """Whether ``host`` (a Host header) is an address, ``localhost``, or the name that we listen on.

    A page's own name in the header is what DNS rebinding looks like.
    """
    name = host.lower().rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host.lower()
    name = name.removeprefix("[").removesuffix("]")
    if name == "localhost" or name.endswith(".localhost") or (listening_on and name == listening_on.lower()):
        return True
    return is_address(name)


def is_foreign_origin(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site made this request; ``headers`` have their names in small letters."""
    origin = headers.get("origin", "")
    return bool(origin) and origin.partition("://")[2] != headers.get("host", "")


def is_from_a_page(headers: Mapping[str, str]) -> bool:
    """Whether any web page made this request; ``headers`` have their names in small letters."""
    if any(headers.get(name) for name in _BROWSER_FIELDS):
        return True
    return headers.get("sec-fetch-site", _TYPED_BY_A_PERSON) != _TYPED_BY_A_PERSON


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether it is this machine by itself; a server that listens there is reached from nowhere else."""
    if not is_address(host):
        return host == "localhost"
    address = ipaddress.ip_address(host)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
