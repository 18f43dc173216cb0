"""Where the bytes of attachments lie: under their SHA-256, each content once.

Comes in: bytes. Goes out: the same bytes, checked. Never: a file under its final name that is not whole and
on disk, or a name that a stranger chose.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from mmsprep.errors import StoreError, ToolMissing, reason_of
from mmsprep.tools.remote import said

_STALE_S = 3600.0
_PREFIX_LETTERS = 2


class Blobs(Protocol):
    """A place for attachments."""

    def put(self, sha256: str, data: bytes) -> None:
        """Keep ``data``; when this returns, it is there for good."""
        ...

    def get(self, sha256: str) -> bytes:
        """The bytes with this SHA-256."""
        ...

    def has(self, sha256: str, size_bytes: int) -> bool:
        """Whether they are there."""
        ...

    def names(self) -> Iterable[str]:
        """The SHA-256 of everything that is there and was not put there just now."""
        ...

    def remove(self, sha256: str) -> int:
        """Remove what nobody needs; how many bytes that gives back (0: it was gone)."""
        ...

    def check(self, room_bytes: int) -> None:
        """Raise when ``room_bytes`` could not be kept now."""
        ...

    def free_bytes(self) -> int | None:
        """How much room there is; ``None`` where nobody knows."""
        ...


class FolderBlobs:
    """Attachments as files of one folder, ``ab/abcdef...``; safe to share between threads and processes.

    A folder that is not there is made now or, where ``create`` is false, for the first that is kept.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self._folder = folder
        self._staging = folder / "staging"
        if create or folder.is_dir():
            self._make()

    def _make(self) -> None:
        make_folder(self._folder.parent)
        make_folder(self._staging)
        # All of them now: who finds one that another push has just made must not say OK before its name is synced.
        for number in range(16**_PREFIX_LETTERS):
            (self._folder / f"{number:0{_PREFIX_LETTERS}x}").mkdir(exist_ok=True)
        sync_folder(self._folder)
        self._sweep()

    def put(self, sha256: str, data: bytes) -> None:
        """Write beside, fsync, rename, fsync the folder; content that is there already is not written again.

        Raises:
            OSError: the disk refuses.
        """
        path = self._path(sha256)
        if not path.parent.is_dir():
            self._make()
        if not _has_size(path, len(data)):
            self._write(path, data)
        # Also for content that was there: another push may have renamed it an instant ago and not synced yet.
        sync_folder(path.parent)

    def get(self, sha256: str) -> bytes:
        """The bytes, compared with their name.

        Raises:
            StoreError: the file is gone, unreadable or not what it was.
        """
        path = self._path(sha256)
        try:
            return _checked(sha256, path.read_bytes(), str(path))
        except OSError as error:
            raise StoreError(f"{path}: the attachment cannot be read ({reason_of(error)})") from None

    def has(self, sha256: str, size_bytes: int) -> bool:
        """Whether they are there, and whole."""
        return _has_size(self._path(sha256), size_bytes)

    def names(self) -> Iterable[str]:
        """Everything that is older than an hour: what is younger may be somebody's who is about to name it."""
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            for path in folder.iterdir() if len(folder.name) == _PREFIX_LETTERS else ():
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _STALE_S:
                        yield path.name

    def remove(self, sha256: str) -> int:
        """Unlink the file.

        Raises:
            OSError: the disk refuses.
        """
        path = self._path(sha256)
        try:
            size_bytes = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        return size_bytes

    def check(self, room_bytes: int) -> None:
        """Take up the room, write, and give it back.

        Raises:
            OSError: the disk refuses.
        """
        with tempfile.TemporaryFile(dir=self._staging) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, room_bytes)
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())

    def free_bytes(self) -> int | None:
        """What the disk has left for this user."""
        try:
            return shutil.disk_usage(self._folder).free
        except OSError:
            return None

    def _write(self, path: Path, data: bytes) -> None:
        descriptor, name = tempfile.mkstemp(dir=self._staging)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:_PREFIX_LETTERS] / sha256

    def _sweep(self) -> None:
        """Remove what killed servers left half written; another server may be at work, so only what is old."""
        for path in self._staging.iterdir():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()


class RemoteBlobs:
    """Attachments behind an fsspec URL (``s3://bucket/mms``, ...); durable when its store says it has them."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError as error:
            from mmsprep.tools.extras import install_command

            raise ToolMissing(
                f"attachments at {url.partition('://')[0]}:// need the package fsspec and the one for that store"
                f" (s3fs, gcsfs, adlfs, ...); {install_command('remote')} brings those of s3://"
            ) from error
        self._url = url
        try:
            self._files: Any
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise StoreError(f"the place for attachments cannot be opened ({error})") from None

    def put(self, sha256: str, data: bytes) -> None:
        """Keep ``data``; an object appears when it is whole."""
        path = self._path(sha256)
        if self.has(sha256, len(data)):
            return
        with self._told():
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)

    def get(self, sha256: str) -> bytes:
        """The bytes, compared with their name.

        Raises:
            StoreError: the object is gone, unreadable or not what it was.
        """
        with self._told():
            try:
                return _checked(sha256, self._files.cat_file(self._path(sha256)), sha256)
            except FileNotFoundError:
                raise StoreError(f"the attachment {sha256} is gone from its place") from None

    def has(self, sha256: str, size_bytes: int) -> bool:
        """Whether they are there, and whole; another machine may have put or removed them since the last look."""
        path = self._path(sha256)
        self._files.invalidate_cache(path)
        with self._told():
            try:
                return int(self._files.size(path)) == size_bytes
            except FileNotFoundError:
                return False

    def names(self) -> Iterable[str]:
        """Everything below the root."""
        self._files.invalidate_cache()
        with self._told():
            found = self._files.find(self._root)
        for path in found:
            yield path.rpartition("/")[2]

    def remove(self, sha256: str) -> int:
        """Remove the object."""
        path = self._path(sha256)
        with self._told():
            try:
                size_bytes = int(self._files.size(path))
                self._files.rm_file(path)
            except FileNotFoundError:
                return 0
            return size_bytes

    def check(self, room_bytes: int) -> None:  # noqa: ARG002
        """Ask for the root; a place behind a URL does not tell how much room it has."""
        with self._told():
            self._files.exists(self._root)

    def free_bytes(self) -> int | None:
        """Nobody knows."""
        return None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever the place's own library raises, as an error of ours."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"the attachments' place refuses ({said(error, self._url)})") from error

    def _path(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:_PREFIX_LETTERS]}/{sha256}"


def _checked(sha256: str, data: bytes, where: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{where}: the attachment is damaged: its bytes are not what was received")
    return data


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, so that a power cut takes none of them away again.

    Raises:
        OSError: the disk refuses.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in missing or [path]:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
