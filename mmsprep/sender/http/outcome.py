"""What came of an exchange: the answer, or the error that says whether anything of the message can have arrived."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpcore

from mmsprep.errors import GatewayUnreachable, NotSent, SendError
from mmsprep.sender.answers import unknown
from mmsprep.sender.http.deadline import MOST_REPLY_BYTES, Progress
from mmsprep.sender.wire import WireRequest, WireResponse
from mmsprep.tools.tls import distrusted

FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    OSError,
    ValueError,
)
"""What may be raised by an exchange that comes to nothing."""


def answer_of(response: httpcore.Response, progress: Progress) -> WireResponse:
    """The whole reply that ``progress`` has taken in, with what counts of its head."""
    headers = {name.lower(): value.decode("latin-1") for name, value in reversed(response.headers)}
    return WireResponse(
        status=response.status,
        body=progress.reply,
        content_type=headers.get(b"content-type", ""),
        retry_after_s=_retry_after_s(headers.get(b"retry-after", ""), time.time()),
        before_body=not progress.body_began,
    )


def _retry_after_s(value: str, now_s: float) -> float | None:
    """Seconds of a ``Retry-After`` (RFC 9110, 10.2.3): a number of seconds or a date; ``None``: it is neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, OverflowError, TypeError):
        return None


def too_long(request: WireRequest, progress: Progress) -> SendError:
    """The error of a reply that was not read to its end."""
    why = f"the gateway's reply is longer than {MOST_REPLY_BYTES:,} bytes"
    return unknown(request, why, request.raw(progress.reply))


def failure(request: WireRequest, progress: Progress, error: Exception) -> SendError:
    """What ``error`` means for the message: nothing of it has gone out, or nobody knows."""
    gateway = request.url.partition("//")[2].partition("/")[0]
    timeouts = progress.timeouts
    if progress.body_began:
        what = "the connection broke before a whole reply came"
        if isinstance(error, httpcore.TimeoutException):
            what = f"no whole reply came within {timeouts.reply_s:g} s, or {timeouts.total_s:g} s for everything"
        return unknown(request, what, request.raw(progress.reply), said=_told(error))
    proxy = urlsplit(request.proxy)
    proxys_name = proxy.netloc.rpartition("@")[2]
    whose = "proxy" if proxy.scheme == "https" and not progress.is_past_proxy else "gateway"
    if distrust := distrusted(error, f"the proxy {proxys_name}" if whose == "proxy" else gateway):
        problem, reason = f"not sent, {distrust}", f"the {whose}'s certificate cannot be trusted"
        return NotSent(request.blot(f"{request.recipient}: {problem}"), request.transaction_id, reason=reason)
    addresses = "addresses of both" if proxys_name else "gateway's address"
    way = f" through the proxy {proxys_name}" if proxys_name else ""
    problem = (
        f"{request.recipient}: not sent, no connection to {gateway}{way} ({_told(error)});"
        f" check the network and the {addresses}"
    )
    return GatewayUnreachable(request.blot(problem), request.transaction_id, reason="no connection to the gateway")


def _told(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
