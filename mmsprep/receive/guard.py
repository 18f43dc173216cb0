"""Who may push: a secret, and the networks that pushes come from; without a secret, programs and no web page.

Comes in: a request's path, headers and address. Goes out: which of the doors it may use. Never: a comparison
that tells by its time how much of a guess was right.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mmsprep.errors import UsageError
from mmsprep.tools.origin import is_address, is_from_a_page, is_loopback, is_own_name

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LEAST_SECRET_CHARS = 16


class Place(StrEnum):
    """What a path leads to, below the secret path."""

    FORM = ""
    MM7 = "mm7"
    METRICS = "metrics"


class Refusal(StrEnum):
    """Why a request may not come in."""

    NETWORK = "network"
    PATH = "path"
    TOKEN = "token"  # noqa: S105 - a reason, not a secret
    PAGE = "page"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may push. ``secret`` with a leading slash is the path itself, otherwise a token that goes with it."""

    secret: str = field(default="", repr=False)
    networks: tuple[Network, ...] = ()

    @property
    def base_path(self) -> str:
        """The secret path without slashes at its ends; empty for a token."""
        return self.secret.strip("/") if self.secret.startswith("/") else ""

    def admit(self, path: str, address: str, query_token: str, headers: Mapping[str, str]) -> Place | Refusal:
        """Decide about a request.

        Args:
            path: below where the application is mounted.
            address: the other side's address.
            query_token: ``token`` of the query string.
            headers: with names in small letters; ``authorization`` may be Bearer, or Basic with any user name.
        """
        if self.networks and not _is_in(address, self.networks):
            return Refusal.NETWORK
        if not self.secret and (refusal := self._unguarded(address, headers)):
            return refusal
        place = self._place(path)
        if place is None:
            return Refusal.PATH
        if self.secret and not self.base_path and not self._has_token(query_token, headers.get("authorization", "")):
            return Refusal.TOKEN
        return place

    def _unguarded(self, address: str, headers: Mapping[str, str]) -> Refusal | None:
        """Without a secret: programs only, and where no network is named, programs on this machine only."""
        if is_from_a_page(headers):
            return Refusal.PAGE
        if self.networks:
            return None
        # An address that is none is a socket in the file system.
        if is_address(address) and not is_loopback(address):
            return Refusal.NETWORK
        return None if is_own_name(headers.get("host", "")) else Refusal.HOST

    def _place(self, path: str) -> Place | None:
        asked = path.strip("/")
        # Every place is compared, always: the time says nothing about the secret.
        matches = [place for place in Place if _same(asked, f"{self.base_path}/{place}".strip("/"))]
        return matches[0] if matches else None

    def _has_token(self, query_token: str, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "basic":
            credentials = _password(credentials.strip())
        return bool(_same(query_token, self.secret) | _same(credentials.strip(), self.secret))


def open_guard(secret: str = "", networks: Iterable[str] = ()) -> Guard:
    """A guard from what people write.

    Raises:
        UsageError: a network that is none, or a secret that is short enough to be guessed.
    """
    if secret and len(secret.strip("/")) < _LEAST_SECRET_CHARS:
        raise UsageError(
            f"the secret has {len(secret.strip('/'))} characters, expected {_LEAST_SECRET_CHARS} or more;"
            " 'python -c \"import secrets; print(secrets.token_urlsafe())\"' makes one"
        )
    try:
        found = tuple(ipaddress.ip_network(network, strict=False) for network in networks)
    except ValueError as error:
        raise UsageError(f"{error}; expected a network like 203.0.113.0/24 or an address") from None
    return Guard(secret, found)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return any(mapped in network for network in networks if network.version == mapped.version)
