"""A certificate that is not believed is told with whose it is, why, and what helps, whoever connects."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trustme
from deadlines import meanwhile
from loopback import answers, gateway, http

from mmsprep.batch.storage import open_storage
from mmsprep.errors import JournalError, OutputError, StoreError, Unreadable
from mmsprep.receive.blobs import RemoteBlobs
from mmsprep.receive.schema import open_engine
from mmsprep.sender.journal import Journal

AUTHORITY, ANOTHER = trustme.CA(), trustme.CA()


def certified(name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def pem(tmp_path: Path) -> Callable[[trustme.CA], str]:
    """A file with the certificate of an authority."""

    def written(authority: trustme.CA) -> str:
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        return str(tmp_path / "authority.pem")

    return written


@contextmanager
def postgresql(name: str) -> Iterator[str]:
    """Host and port of what begins as PostgreSQL does, agrees to TLS, and has a certificate for ``name``."""
    listener = socket.create_server(("127.0.0.1", 0))
    tls = certified(name)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(60)
                    connection.recv(8)
                    connection.sendall(b"S")
                    with tls.wrap_socket(connection, server_side=True) as channel:
                        channel.recv(1)

    def stop() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    with meanwhile(serve, stop):
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("opened", [Journal, open_engine], ids=["journal", "store"])
@pytest.mark.parametrize(
    ("name", "authority", "expected"),
    [
        ("127.0.0.1", ANOTHER, "(certificate verify failed); where its authority is your own, name that one's "),
        ("mms.example", AUTHORITY, '"mms.example" does not match host name "127.0.0.1"); write the address by a name '),
    ],
    ids=["nobody's", "another's"],
)
def test_a_database_whose_certificate_is_not_believed(
    opened: Callable[[str], object], name: str, authority: trustme.CA, expected: str, pem: Callable[[trustme.CA], str]
) -> None:
    pytest.importorskip("psycopg", reason="needs the extra 'postgresql'")
    with postgresql(name) as server, pytest.raises((JournalError, StoreError)) as caught:
        opened(f"postgresql://ann:secret@{server}/mms?sslmode=verify-full&sslrootcert={pem(authority)}")
    assert f"the certificate of {server} cannot be trusted (" in str(caught.value) and expected in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.fixture
def amazons(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Points clients of S3 to a server, until the test ends."""
    s3fs = pytest.importorskip("s3fs", reason="needs the extra 'remote'")

    def point(url: str) -> None:
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()

    yield point
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_tree_behind_https_and_one_of_s3(
    amazons: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, pem: Callable[[trustme.CA], str]
) -> None:
    """Told alike, and what helps is what the library of that place looks at."""
    with gateway(answers(http("nothing", 503)), tls=certified()) as this:
        amazons(this.url)
        server = this.url.partition("//")[2]
        web, s3 = open_storage(this.url), open_storage("s3://photos/in")
        for place, whose, variable in (
            (web, server, "SSL_CERT_FILE"),
            (s3, "the server of s3://photos", "AWS_CA_BUNDLE"),
        ):
            told = rf"{place.location}.*: cannot be .*the certificate of {whose} cannot be trusted .*{variable}\)"
            for work in (
                partial(place.list_folder, ""),
                partial(place.read, "a.jpg"),
                partial(place.put, "a.jpg", b"1"),
            ):
                with pytest.raises((Unreadable, OutputError)) as caught:
                    work()
                assert re.match(told, str(caught.value)), caught.value
        assert not this.requests
        # What an https:// address is opened with reads its variable once in a process.
        monkeypatch.setenv("AWS_CA_BUNDLE", pem(AUTHORITY))
        amazons(this.url)
        with pytest.raises(Unreadable) as caught:
            open_storage("s3://photos/in").list_folder("")
        assert "certificate" not in str(caught.value)


def test_attachments_on_s3_that_cannot_be_reached_are_told_whatever_is_asked(amazons: Callable[[str], None]) -> None:
    """An outage is an error of the store's, which a push is answered by and ``/health`` tells; never a bug."""
    with gateway(answers(http("nothing", 503)), tls=certified()) as this:
        amazons(this.url)
        blobs = RemoteBlobs("s3://photos/inbox")
        sha256 = "ab" * 32
        for work in (
            lambda: blobs.put(sha256, b"1"),
            lambda: blobs.get(sha256),
            lambda: blobs.has(sha256, 1),
            lambda: list(blobs.names()),
            lambda: blobs.remove(sha256),
            lambda: blobs.check(1),
        ):
            with pytest.raises(StoreError, match=r"the certificate of .*AWS_CA_BUNDLE"):
                work()
    with pytest.raises(StoreError, match="place refuses"):
        blobs.check(1)
