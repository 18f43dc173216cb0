"""Whom we believe over TLS.

Goes out: one context for all who connect, and what to say of a certificate that is not believed. Never: a connection
without verification.
"""

from __future__ import annotations

import ssl
from functools import cache

import certifi

_SIGNED_BY = "where its authority is your own, name that one's certificate in SSL_CERT_FILE"
_NAMED = "write the address by a name that the certificate is for"
_REMEDIES = {
    9: "set this machine's clock, or have it begin earlier",
    10: "have it renewed, or set this machine's clock",
    23: "have it replaced; somebody else may hold its key",
    62: _NAMED,
    64: _NAMED,
}
"""What helps, by OpenSSL's number (``X509_V_ERR_...``); all others are about who signed it."""


@cache
def verified_tls() -> ssl.SSLContext:
    """Verified against certifi's authorities and the system's own (or ``SSL_CERT_FILE``'s), where a company may have
    added its."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def distrusted(error: BaseException, server: str) -> str:
    """What to say where ``error``, or what it came of, is a certificate of ``server`` that was not believed; otherwise
    nothing."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ssl.SSLCertVerificationError):
        found = found.__cause__ or found.__context__
    if found is None:
        return ""
    remedy = _REMEDIES.get(found.verify_code, _SIGNED_BY)
    return f"the certificate of {server} cannot be trusted ({found.verify_message.rstrip('.')}); {remedy}"
