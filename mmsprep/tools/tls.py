"""Whom we believe over TLS.

Goes out: one context for all who connect, and what to say of a certificate that is not believed. Never: a connection
without verification.
"""

from __future__ import annotations

import re
import ssl
from functools import cache

import certifi

_SIGNED_BY = "where its authority is your own, name that one's certificate in {place}"
_NAMED = "write the address by a name that the certificate is for"
_REMEDIES = {
    9: "set this machine's clock, or have it begin earlier",
    10: "have it renewed, or set this machine's clock",
    23: "have it replaced; somebody else may hold its key",
    62: _NAMED,
    64: _NAMED,
}
"""What helps, by OpenSSL's number (``X509_V_ERR_...``); all others are about who signed it."""
_LIBPQ = re.compile(
    r'server at "(?P<host>[^"]*)"[^,]*, port (?P<port>\d+) failed: '
    r"(?:SSL error: (?P<signed>certificate verify failed)|(?P<named>server certificate for .* does not match .*))"
)


@cache
def verified_tls() -> ssl.SSLContext:
    """Verified against certifi's authorities and the system's own (or ``SSL_CERT_FILE``'s), where a company may have
    added its."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def distrusted(error: BaseException, server: str, place: str = "SSL_CERT_FILE") -> str:
    """What to say where ``error``, or what it came of, is a certificate of ``server`` that was not believed; otherwise
    nothing. ``place`` is where the one who connects looks for authorities."""
    found: BaseException | None = error
    # Some libraries derive an error of theirs from it, which knows nothing.
    while not (isinstance(found, ssl.SSLCertVerificationError) and hasattr(found, "verify_code")):
        if found is None:
            return ""
        found = found.__cause__ or found.__context__
    return _told(server, found.verify_message.rstrip("."), _REMEDIES.get(found.verify_code, _SIGNED_BY), place)


def distrusted_by_libpq(words: str) -> str:
    """The same, of what PostgreSQL's library says, which tells no reason but the name."""
    found = _LIBPQ.search(words)
    if found is None:
        return ""
    remedy = _SIGNED_BY if found["signed"] else _NAMED
    return _told(f"{found['host']}:{found['port']}", found["signed"] or found["named"], remedy, "sslrootcert")


def _told(server: str, why: str, remedy: str, place: str) -> str:
    return f"the certificate of {server} cannot be trusted ({why}); {remedy.format(place=place)}"
