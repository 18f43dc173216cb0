"""What went wrong at a place behind an fsspec URL (``s3://...``, ``https://...``).

Comes in: whatever a remote file system raised; they have no kind in common. Goes out: one line. Never: a password.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from mmsprep.tools.tls import distrusted

S3 = ("s3", "s3a")
"""Schemes of s3fs, which looks for authorities where Amazon's own tools do."""


def said(error: BaseException, url: str) -> str:
    """The first line of what was raised, or whose certificate is not believed and what helps."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    server = host if parts.scheme == "https" else f"the server of {parts.scheme}://{host}"
    place = "AWS_CA_BUNDLE" if parts.scheme in S3 else "SSL_CERT_FILE"
    words = str(error).strip().splitlines()
    return distrusted(error, server, place) or (words[0] if words else type(error).__name__)
