"""Whose account sends, and where the gateway is.

Comes in: arguments, the environment or a settings file. Goes out: a frozen :class:`Account`. Never: a secret in a
repr, an error or a log, or a password from a command line.

The environment (``SMSGLOBAL_USERNAME``, ``SMSGLOBAL_PASSWORD``, ``SMSGLOBAL_URL``, ``SMSGLOBAL_ALLOW_HTTP``,
``SMSGLOBAL_PROXY``) comes before the file ``mmsprep/account.toml`` in the user's configuration folder, which nobody
else may read.
"""

from __future__ import annotations

import base64
import html
import ipaddress
import json
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from mmsprep.errors import SettingsError, reason_of

GATEWAY_URL = "https://api.smsglobal.com"
SANDBOX_URL = "http://127.0.0.1:8765"
_KEYS = {"username": str, "password": str, "url": str, "allow_http": bool, "proxy": str}
_TRUE, _FALSE = ("1", "true", "yes"), ("", "0", "false", "no")


@dataclass(frozen=True, slots=True)
class Account:
    """Username, password and gateway.

    ``url`` is the gateway's base, to which the paths of the two doors are added. Plain ``http`` is taken for this
    machine alone unless ``allow_http`` says otherwise. ``proxy`` is the only proxy that is ever used.

    Raises:
        SettingsError: something is missing or cannot be used.
    """

    username: str
    password: str = field(repr=False)
    url: str = GATEWAY_URL
    allow_http: bool = False
    proxy: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name in ("username", "password"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value or not value.isprintable():
                raise SettingsError(f"the account's {name} is empty or has control characters")
        _check_url(self.url, self.allow_http)
        if self.proxy and urlsplit(self.proxy).scheme not in ("http", "https"):
            raise SettingsError("the proxy is no http:// or https:// address")

    def door(self, path: str) -> str:
        """The address of a door of the gateway, e.g. ``/mms/sendmms.php``."""
        return self.url.rstrip("/") + path

    @property
    def basic(self) -> str:
        """Username and password as HTTP Basic wants them."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling in which a reply could give the password back, the longest first."""
        return _spellings(self.password, self.basic)


@lru_cache(maxsize=4)
def _spellings(word: str, basic: str) -> tuple[str, ...]:
    found = {
        word,
        quote(word, safe=""),
        quote_plus(word),
        html.escape(word),
        html.escape(word, quote=False),
        json.dumps(word)[1:-1],
        base64.b64encode(word.encode()).decode("ascii"),
        basic,
    }
    return tuple(sorted(found, key=len, reverse=True))


def load_account(url: str = "", *, environment: Mapping[str, str] | None = None) -> Account:
    """The account of this machine: the environment's, otherwise the settings file's.

    Args:
        url: a gateway in place of the configured one.
        environment: in place of this process's.

    Raises:
        SettingsError: there is none, half of one, or the settings file can be read by others.
    """
    environment = os.environ if environment is None else environment
    given = {key: environment.get(f"SMSGLOBAL_{key.upper()}", "") for key in _KEYS}
    path = account_path(environment)
    values: dict[str, Any] = {} if given["username"] and given["password"] else _read(path)
    if bool(given["username"]) != bool(given["password"]):
        missing = "SMSGLOBAL_PASSWORD" if given["username"] else "SMSGLOBAL_USERNAME"
        raise SettingsError(f"{missing} is not set; the environment has to give username and password together")
    values |= {key: given[key] for key in ("username", "password", "url", "proxy") if given[key]}
    if flag := given["allow_http"].lower():
        if flag not in (*_TRUE, *_FALSE):
            raise SettingsError(f"SMSGLOBAL_ALLOW_HTTP: found {flag!r}, expected 1 or 0")
        values["allow_http"] = flag in _TRUE
    if url:
        values["url"] = url
    if not values.get("username") or not values.get("password"):
        raise SettingsError(
            "no account: set SMSGLOBAL_USERNAME and SMSGLOBAL_PASSWORD, or write username and password"
            f" into {path} (mode 0600)"
        )
    return Account(**values)


def account_path(environment: Mapping[str, str] | None = None) -> Path:
    """Where the settings file lies: the XDG configuration folder, on Windows the roaming one."""
    environment = os.environ if environment is None else environment
    if sys.platform == "win32":
        base = Path(environment.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        base = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "mmsprep" / "account.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if sys.platform != "win32" and (status.st_mode & 0o077 or status.st_uid not in (os.getuid(), 0)):
                raise SettingsError(f"{path}: others may read or change it; chmod 600 {path}")
            document = tomllib.loads(file.read(100_000).decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({reason_of(error)})") from None
    except (ValueError, RecursionError):
        # The parser's own words could quote the password.
        raise SettingsError(f"{path}: is not valid TOML") from None
    for key, value in document.items():
        if key not in _KEYS:
            raise SettingsError(f"{path}: unknown key {key!r}; allowed: {', '.join(_KEYS)}")
        if type(value) is not _KEYS[key]:
            raise SettingsError(f"{path}: the key {key!r} must be a {_KEYS[key].__name__}")
    return document


def sandbox_account(url: str = SANDBOX_URL) -> Account:
    """The account of a sandbox gateway on this machine, as ``mmsprep sandbox`` starts it."""
    return Account("sandbox", os.environ.get("MMSPREP_SANDBOX_PASSWORD") or "sandbox", url)


def _check_url(url: str, allow_http: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("the gateway's address is no URL") from None
    if parts.username is not None or parts.password is not None:
        raise SettingsError("the gateway's address has a username or password in it; give them separately")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise SettingsError(f"the gateway {url!r}: expected an address like {GATEWAY_URL}")
    if parts.scheme == "http" and not allow_http and not _is_this_machine(host):
        raise SettingsError(
            f"the gateway {url!r}: over plain http the password could be read on the way; use https,"
            " or allow it (SMSGLOBAL_ALLOW_HTTP=1)"
        )


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
