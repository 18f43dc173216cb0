"""The account and the numbers: where they come from, what is refused, what never shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import gateway, succeeds

from mmsprep import Account, deliver, load_account, pre_send, prepare, send
from mmsprep.errors import AddressError, SettingsError, UsageError
from mmsprep.sender import as_recipients, msisdn


def environment(folder: Path, **variables: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder), "APPDATA": str(folder)} | variables


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "mmsprep" / "account.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    write(tmp_path, 'username = "file"\npassword = "from-file"\nurl = "https://gateway.example"\n')
    account = load_account(environment=environment(tmp_path))
    assert (account.username, account.password, account.url) == ("file", "from-file", "https://gateway.example")
    both = environment(tmp_path, SMSGLOBAL_USERNAME="env", SMSGLOBAL_PASSWORD="from-env")
    account = load_account(environment=both)
    assert (account.username, account.password, account.url) == ("env", "from-env", "https://api.smsglobal.com")
    account = load_account("https://other.example", environment=both | {"SMSGLOBAL_URL": "https://third.example"})
    assert account.url == "https://other.example"


@pytest.mark.posix("file modes")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606, 0o620])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, 'username = "ann"\npassword = "hunter2"\n', mode)
    with pytest.raises(SettingsError, match="chmod 600") as caught:
        load_account(environment=environment(tmp_path))
    assert str(path) in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['password = "hunter2', 'username = "a"\npasswort = "hunter2"', "username = 1", 'username = "ann"', "\udcff"],
)
def test_a_file_that_cannot_be_used_is_an_error_without_the_password(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError) as caught:
        load_account(environment=environment(tmp_path))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "variables", [{}, {"SMSGLOBAL_USERNAME": "ann"}, {"SMSGLOBAL_PASSWORD": "hunter2"}], ids=["none", "name", "word"]
)
def test_half_an_account_is_none(tmp_path: Path, variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="SMSGLOBAL_") as caught:
        load_account(environment=environment(tmp_path, **variables))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (("", "word"), "the account's username is empty"),
        (("ann", ""), "the account's password is empty"),
        (("ann", "hunter2\n"), "the account's password is empty or has control characters"),
        (("ann", "hunter2", "https://gateway.example", False, "socks5://proxy.example"), "the proxy is no http"),
    ],
)
def test_what_no_gateway_can_be_told_is_refused_before_it_is_tried(account: tuple[Any, ...], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        Account(*account)
    assert "hunter2" not in str(caught.value)


def test_a_flag_that_is_none_and_a_file_that_is_a_folder_are_told(tmp_path: Path) -> None:
    both = environment(tmp_path, SMSGLOBAL_USERNAME="ann", SMSGLOBAL_PASSWORD="hunter2")
    gateway = "http://gateway.example"
    with pytest.raises(SettingsError, match="SMSGLOBAL_ALLOW_HTTP: found 'perhaps', expected 1 or 0"):
        load_account(gateway, environment=both | {"SMSGLOBAL_ALLOW_HTTP": "perhaps"})
    assert load_account(gateway, environment=both | {"SMSGLOBAL_ALLOW_HTTP": "1"}).url == gateway
    with pytest.raises(SettingsError):
        load_account(gateway, environment=both | {"SMSGLOBAL_ALLOW_HTTP": "0"})
    folder = tmp_path / "mmsprep" / "account.toml"
    folder.mkdir(parents=True, mode=0o700)
    with pytest.raises(SettingsError, match=re.escape(str(folder))):
        load_account(environment=environment(tmp_path))


@pytest.mark.parametrize(
    ("url", "allow_http", "good"),
    [
        ("https://gateway.example", False, True),
        ("http://127.0.0.1:8765", False, True),
        ("http://[::1]:8765", False, True),
        ("http://localhost", False, True),
        ("http://gateway.example", False, False),
        ("http://127.0.0.1.example.com", False, False),
        ("http://gateway.example", True, True),
        ("ftp://gateway.example", True, False),
        ("gateway.example", False, False),
        ("https://ann:hunter2@gateway.example", False, False),
        ("https://gateway.example/?a=b", False, False),
        ("https://gateway.example:port", False, False),
        ("", False, False),
    ],
)
def test_plain_http_is_for_this_machine_unless_allowed(url: str, allow_http: bool, good: bool) -> None:
    if good:
        assert Account("ann", "hunter2", url, allow_http).door("/mms/mm7.php") == f"{url}/mms/mm7.php"
        return
    with pytest.raises(SettingsError) as caught:
        Account("ann", "hunter2", url, allow_http)
    assert "hunter2" not in str(caught.value)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=8, max_size=40))
def test_a_password_is_in_no_repr(password: str) -> None:
    """It says the same of every password: one that is a word of the address is no less hidden."""
    account, other = (
        Account("ann", word, proxy="http://user:proxyword@proxy.example") for word in (password, "\u2603" * 8)
    )
    assert repr(account) == repr(other)
    assert "\u2603" not in repr(other) and "proxyword" not in repr(other)
    assert password in account.secrets


@pytest.mark.parametrize(
    ("written", "country", "digits"),
    [
        ("61409317436", "", "61409317436"),
        ("+61409317436", "", "61409317436"),
        ("+61 409 317 436", "", "61409317436"),
        (" +61-409.317(436) ", "", "61409317436"),
        ("+61 (0)409 317 436", "", "61409317436"),
        ("+1 (212) 555-0100", "", "12125550100"),
        ("0409317436", "AU", "61409317436"),
        ("0409 317 436", "au", "61409317436"),
        ("409317436", "AU", "61409317436"),
        ("61409317436", "AU", "61409317436"),
        ("+44 7700 900123", "AU", "447700900123"),
        ("07700 900123", "GB", "447700900123"),
        ("347 123 4567", "IT", "393471234567"),
        ("0061 409 317 436", "AU", "61409317436"),
        ("0011 61 409 317 436", "AU", "61409317436"),
        ("0044 7911 123456", "AU", "447911123456"),
        ("0049 170 1234567", "DE", "491701234567"),
        # As tables write amounts.
        ("61409317436.0", "", "61409317436"),
        ("+61409317436.00", "AU", "61409317436"),
        ("61409317436,0", "AU", "61409317436"),
        ("409317436.0", "AU", "61409317436"),
        ("01.23.45.67.00", "FR", "33123456700"),
        ("(02) 9876 5432", "AU", "61298765432"),
        ("(+61) 409 317 436", "", "61409317436"),
        ("(+61) (0)409 317 436", "AU", "61409317436"),
        # As phones copy it: in marks of direction.
        ("\u202a+61 409 317 436\u202c", "", "61409317436"),
        ("\ufeff61409317436\u200b", "AU", "61409317436"),
        ("TEL:+61409317436", "", "61409317436"),
    ],
)
def test_a_number_is_normalised_and_the_change_is_said(written: str, country: str, digits: str) -> None:
    number = msisdn(written, country)
    assert number.digits == digits
    assert bool(number.note) == (written != digits)
    assert not number.note or (written in number.note and digits in number.note)


@pytest.mark.parametrize(
    ("written", "country", "reason"),
    [
        ("0409317436", "", "begins with 0"),
        ("0061409317436", "", "begins with 0"),
        ("123456", "", "6 digits"),
        ("1234567890123456", "", "16 digits"),
        ("", "", "no number"),
        ("ann", "", "no number"),
        ("61409317436x", "", "no number"),
        ("61409317436\n61409317437", "", "no number"),
        ("６１４０９３１７４３６", "", "no number"),
        ("ann@example.com", "", "no number"),
        ("61409317436.5", "", "amount"),
        ("+61409317436.25", "AU", "amount"),
        ("0409317436", "XX", "unknown"),
        ("020 79", "GB", "no number in GB"),
        ("00409317436", "AU", "what follows 00"),
    ],
)
def test_a_number_that_is_none_is_refused_with_the_reason(written: str, country: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        msisdn(written, country)


@given(st.text(max_size=30), st.sampled_from(["", "AU", "US"]))
def test_no_text_becomes_anything_but_an_msisdn_or_an_address_error(written: str, country: str) -> None:
    try:
        digits = msisdn(written, country).digits
    except AddressError:
        return
    assert digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15 and digits[0] != "0"


def test_one_recipient_or_several_is_told_at_one_place() -> None:
    parsed = phonenumbers.parse("+390612345678")  # a zero that is dialled from abroad too
    assert as_recipients("0409") == ("0409",)
    assert as_recipients(61409317436) == ("61409317436",)
    assert as_recipients(msisdn("+61 409 317 436")) == ("61409317436",)
    assert as_recipients(parsed) == ("+390612345678",)
    several: list[Any] = ["1", 2, parsed]
    assert as_recipients(several) == as_recipients(iter(several)) == ("1", "2", "+390612345678")
    assert msisdn("tel:+61-409-317-436").digits == "61409317436"
    for wrong in (None, True, b"614", 1.5, {"a": 1}, ["1", None], [True], [["1"]]):
        with pytest.raises(UsageError, match="number"):
            as_recipients(wrong)  # type: ignore[arg-type]


def test_a_number_alone_is_one_recipient_at_every_door() -> None:
    message = prepare(text="Hi")
    with gateway(succeeds()) as this:
        account = Account("ann", "pass", this.url)
        for to in ("+61409317436", 61409317436, phonenumbers.parse("+61409317436"), ["61409317436"]):
            (one,) = deliver(message, to=to, account=account)
            assert one.recipient == "61409317436"
            assert pre_send({"to": to, "text": "Hi"})["to"] == (
                ["61409317436"] if isinstance(to, list) else "61409317436"
            )
            if not isinstance(to, list):
                assert send(message, to=to, account=account).recipient == "61409317436"
    assert {request.recipient for request in this.requests} == {"61409317436"}
    for wrong in ({"message": "folder"}, {"refit": "x"}):
        arguments: dict[str, Any] = {"message": message, "to": "61409317436", "account": account, **wrong}
        with pytest.raises(UsageError, match=next(iter(wrong))):
            list(deliver(**arguments))
    with pytest.raises(UsageError, match="message"):
        send("folder", to="61409317436", account=account)  # type: ignore[arg-type]
