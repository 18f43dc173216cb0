"""Whom we believe over TLS.

Goes out: one context for all who connect. Never: a connection without verification.
"""

from __future__ import annotations

import ssl
from functools import cache

import certifi


@cache
def verified_tls() -> ssl.SSLContext:
    """Verified against certifi's authorities and the system's own (or ``SSL_CERT_FILE``'s), where a company may have
    added its."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context
