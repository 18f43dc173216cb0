"""Where received messages are handed on to: a URL, or a command.

Comes in: one message of the store. Goes out: it, to the target; or the reason why not. Never: a redirect followed, a
shell, or content in a log.

A URL gets each message as JSON by POST and takes it by any 2xx; a command gets the JSON on standard input and a folder
with the attachments as its last argument, and takes it by ending with status 0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import shlex
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from mmsprep.errors import ForwardError, ForwardRefused, TargetUnavailable, UsageError
from mmsprep.receive.incoming import Stored
from mmsprep.receive.report import document, export
from mmsprep.receive.store import Store
from mmsprep.tools.log import unlogged
from mmsprep.tools.process import ProcessGroup
from mmsprep.tools.tls import distrusted, verified_tls

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what every such secret begins with
_LEAST_SECRET_BYTES = 16
_PASSING = frozenset((408, 425, 429))
"""Refusals that say nothing about the message: too slow, too early, too many."""
_BUSY = frozenset((429, 502, 503, 504))
_TOLD_CHARACTERS = 200
_PAST_PROXY = "proxy.start_tls.started"
"""httpcore's word for TLS with the target itself, inside the way that a proxy has opened."""


class Target(Protocol):
    """Who gets the messages."""

    def deliver(self, store: Store, message: Stored) -> None:
        """Hand over one message; returning means that it was taken."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...


class UrlTarget:
    """A program's URL: one POST a message, JSON, attachments as base64; signed where there is a secret.

    The way to it is through the proxy that the system names (``HTTPS_PROXY``, ``NO_PROXY``, ...).
    """

    def __init__(self, url: str, timeout_s: float, secret: str = "") -> None:
        import httpx

        if not urlsplit(url).hostname:
            raise UsageError("the URL to forward to has no host; expected https://host/path")
        self._server = urlsplit(url).netloc.rpartition("@")[2]
        self._key = signing_key(secret) if secret else b""
        proxy = _proxy_to(url)
        self._proxy = urlsplit(proxy)
        self._url = url
        try:
            tls = verified_tls() if self._proxy.scheme == "https" else None
            way = httpx.Proxy(proxy, ssl_context=tls) if proxy else None
            self._client = httpx.Client(verify=verified_tls(), timeout=timeout_s, proxy=way, trust_env=False)
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"the proxy that the environment names for {self._server} cannot be used ({error}); NO_PROXY takes"
                " servers out"
            ) from None

    def deliver(self, store: Store, message: Stored) -> None:
        """POST the message.

        Raises:
            TargetUnavailable: no connection, no answer in time, or one that it is busy.
            ForwardRefused: it does not want this message (4xx).
            ForwardError: an answer other than 2xx.
            StoreError: an attachment cannot be read.
        """
        import httpx

        told = document(message)
        for part, shown in zip(message.parts, told["attachments"], strict=True):
            shown["data"] = base64.b64encode(store.read(part)).decode("ascii")
        body = _json(told)
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key}
        if self._key:
            headers |= signed(self._key, message.key, round(time.time()), body)
        steps: list[str] = []
        noted = {"trace": lambda step, _facts: steps.append(step)}
        asked = self._client.stream("POST", self._url, content=body, headers=headers, extensions=noted)
        try:
            # What it says beside its status is nobody's business here, and may be endless.
            with unlogged("httpx"), asked as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            said = str(error)[:_TOLD_CHARACTERS] or type(error).__name__
            proxy = self._proxy.netloc.rpartition("@")[2]
            is_proxys = self._proxy.scheme == "https" and _PAST_PROXY not in steps
            distrust = distrusted(error, f"the proxy {proxy}" if is_proxys else self._server)
            way = f" through the proxy {proxy}" if proxy else ""
            raise TargetUnavailable(distrust or f"the target {self._server} did not answer{way} ({said})") from None
        if 200 <= status < 300:
            return
        kind = ForwardError
        if status in _BUSY:
            kind = TargetUnavailable
        elif 400 <= status < 500 and status not in _PASSING:
            kind = ForwardRefused
        raise kind(f"the target answered with status {status}, expected 200")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class CommandTarget:
    """A command: JSON on standard input, a folder of attachments as last argument, status 0."""

    def __init__(self, command: str, timeout_s: float) -> None:
        try:
            self._argv = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"the command to forward to cannot be read ({error})") from None
        if not self._argv:
            raise UsageError("the command to forward to is empty")
        if shutil.which(self._argv[0]) is None:
            raise UsageError(
                f"the command to forward to: there is no program {self._argv[0]!r}; expected one, or a URL that begins"
                " with http:// or https://"
            )
        self._processes = ProcessGroup(timeout_s)

    def deliver(self, store: Store, message: Stored) -> None:
        """Run the command.

        Raises:
            ToolError: it cannot be started, takes too long or ends with another status.
            OutputError, StoreError: the attachments cannot be laid out for it.
        """
        with tempfile.TemporaryDirectory(prefix="mmsprep-", ignore_cleanup_errors=True) as name:
            folder = Path(name) / "message"
            export(store, message, folder)
            self._processes.run([*self._argv, str(folder)], stdin=_json(document(message)))

    def close(self) -> None:
        """End the command where it runs; it will be run again."""
        self._processes.kill_all()


def open_target(target: str, timeout_s: float, secret: str = "") -> Target:
    """The target that people mean: a URL (``http://`` or ``https://``), or a command line, split as a shell would.

    Raises:
        UsageError: it is neither, or there is a secret that is none or that nobody could check.
    """
    if target.lower().startswith(("http://", "https://")):
        return UrlTarget(target, timeout_s, secret)
    if secret:
        raise UsageError("a command gets no signature; a secret to sign with goes with a URL")
    return CommandTarget(target, timeout_s)


def _proxy_to(url: str) -> str:
    """The proxy that the system wants asked for ``url``; empty: none."""
    parts, named = urlsplit(url), getproxies()
    proxy = named.get(parts.scheme.lower()) or named.get("all") or ""
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def signing_key(secret: str) -> bytes:
    """The key in ``whsec_...``, as Standard Webhooks writes it: base64 after the prefix.

    Raises:
        UsageError: it is none, or short enough to be guessed.
    """
    try:
        key = base64.b64decode(secret.strip().removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < _LEAST_SECRET_BYTES:
        raise UsageError(
            f"expected {_SECRET_PREFIX} and base64 of {_LEAST_SECRET_BYTES} bytes or more; 'python"
            " -c \"import base64, secrets; print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\"'"
            " makes one"
        )
    return key


def signed(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers that prove where a message comes from (Standard Webhooks 1.0: HMAC-SHA256 of id, time and body)."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode("ascii")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{signature}",
    }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
