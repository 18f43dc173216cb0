"""Where a batch reads and writes: a folder of this machine, or an fsspec address like ``s3://bucket/prefix``.

Comes in: a location. Goes out: listings, files to read in place, files written whole or not at all. Never: a
half-written file under its final name, or anything above the location.

Names are relative to the location, with ``/`` between folders, and always valid Unicode: bytes that are none
are shown as ``\\xe9``.
"""

from __future__ import annotations

import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

from mmsprep.errors import MmsprepError, NotFound, OutputError, ToolMissing, Unreadable, UsageError, reason_of
from mmsprep.tools.extras import install_command
from mmsprep.tools.remote import S3, said
from mmsprep.tools.untrusted import Found, is_link, list_untrusted, read_untrusted

PRIVATE_FOLDER = ".mmsprep"
"""Inside the output: the ledger and what is being written. Names with a dot in front are never inputs."""

_WHOLE_OR_NOT_AT_ALL = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory", "oss", "r2"}
"""Protocols where an upload appears under its name only when it is complete."""

_LISTINGS_KEPT = 16
_LARGEST_RESULT_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as a listing tells of it.

    ``place`` is where it lies (a path from the location down, or a key), ``version`` changes when the file does
    (empty: nothing tells), ``content_id`` is the same for the same content (empty: it must be read to know),
    ``changed_at_s`` is when it was last written (0: nothing tells).
    """

    name: str
    place: str
    size_bytes: int
    version: str
    content_id: str = ""
    changed_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Listing:
    """One folder's files and the names of its subfolders, each sorted by name."""

    files: tuple[StoredFile, ...]
    folders: tuple[str, ...]


class Storage(Protocol):
    """A location that files are read from or written to; every error is one of ours."""

    @property
    def location(self) -> str: ...

    def list_folder(self, name: str) -> Listing:
        """The visible files and subfolders of ``name`` (empty: the location itself)."""
        ...

    def look(self, name: str) -> StoredFile | None:
        """The file's size and version now; ``None`` if there is none."""
        ...

    def names_in(self, folder: str) -> list[str]:
        """The names of the files in ``folder``; none if there is no such folder."""
        ...

    def inside(self, name: str) -> str | None:
        """The name that somebody gave a file, as a name of this location; ``None``: it leads out."""
        ...

    def local(self, place: str, name: str) -> AbstractContextManager[os.PathLike[str]]:
        """A path with the file's content, for as long as the block lasts."""
        ...

    def read(self, name: str) -> bytes: ...

    def put(self, name: str, data: bytes) -> StoredFile: ...

    def remove(self, name: str) -> None: ...

    def learn(self, name: str, size_bytes: int, version: str) -> None:
        """A worker has written this file: what was listed before is not all there is."""
        ...


def is_remote(location: str) -> bool:
    """Whether ``location`` is an address for fsspec rather than a path."""
    return "://" in location and not location.startswith("file://")


def open_storage(location: str) -> Storage:
    """The storage at ``location``; opening it does not yet look at it.

    Raises:
        ToolMissing: fsspec, or the package for this kind of address, is not installed.
        UsageError: the kind of address is unknown.
    """
    if is_remote(location):
        return RemoteStorage(location)
    return LocalStorage(location.removeprefix("file://"))


class LocalStorage:
    """A folder of this machine. The folder may be a link; nothing that is found in it is followed where it is one."""

    def __init__(self, location: str) -> None:
        self.location = os.path.abspath(location)  # noqa: PTH100 - a link in the path is the caller's own name

    def list_folder(self, name: str) -> Listing:
        files: list[StoredFile] = []
        folders: list[str] = []
        for base, status in list_untrusted(self.location, name, str(Path(self.location, name))):
            inside = f"{name}/{base}" if name else base
            if base.startswith("."):
                continue
            if is_link(status):
                # One to a folder is left out; any other is told of when it is opened.
                if not Path(self.location, inside).is_dir():
                    files.append(_stored(shown(inside), inside, status))
            elif stat.S_ISDIR(status.st_mode):
                folders.append(inside)
            else:
                files.append(_stored(shown(inside), inside, status))
        return Listing(tuple(files), tuple(folders))

    def inside(self, name: str) -> str | None:
        for root in (self.location, os.path.realpath(self.location)):
            path = PurePath(os.path.normpath(os.path.join(root, name)))  # noqa: PTH118 - ".." goes, links do not matter
            if path.is_relative_to(root) and path != PurePath(root):
                return path.relative_to(root).as_posix()
        return None

    def look(self, name: str) -> StoredFile | None:
        path = os.path.join(self.location, name)  # noqa: PTH118 - an unchanged file costs microseconds here
        try:
            return _stored(name, name, os.lstat(path))
        except OSError:
            return None

    def names_in(self, folder: str) -> list[str]:
        try:
            with os.scandir(Path(self.location, folder)) as entries:
                names = [one.name for one in entries if not one.is_dir(follow_symlinks=False)]
                return [f"{folder}/{one}" if folder else one for one in names]
        except OSError:
            return []

    @contextmanager
    def local(self, place: str, name: str) -> Iterator[os.PathLike[str]]:  # noqa: ARG002
        yield Found(Path(self.location), place)

    def read(self, name: str) -> bytes:
        return read_untrusted(Found(Path(self.location), name), name, _LARGEST_RESULT_BYTES)

    def put(self, name: str, data: bytes) -> StoredFile:
        path = Path(self.location, name)
        staging = Path(self.location, PRIVATE_FOLDER, "staging")
        staged = staging / uuid.uuid4().hex
        try:
            staging.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            with staged.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            status = staged.stat()
            staged.replace(path)
        except OSError as error:
            with suppress(OSError):
                staged.unlink(missing_ok=True)
            raise OutputError(f"{path}: cannot be written ({reason_of(error)})") from error
        return _stored(name, name, status)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            Path(self.location, name).unlink()

    def learn(self, name: str, size_bytes: int, version: str) -> None:
        """Nothing to do: a local folder is looked at every time."""


def _stored(name: str, place: str, status: os.stat_result) -> StoredFile:
    version = f"{status.st_mtime_ns}-{status.st_ino}"
    return StoredFile(name, place, status.st_size, version, changed_at_s=status.st_mtime)


def shown(name: str) -> str:
    """A name as valid Unicode; bytes that are none become ``\\xe9``."""
    if name.isascii():
        return name
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class RemoteStorage:
    """A prefix of whatever fsspec reaches. Credentials are the environment's, never the location's."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")
        self._protocol = urlsplit(location).scheme
        if urlsplit(location).password:
            raise UsageError(
                "a location with a password in it would be seen in process lists and logs; put credentials into the"
                " environment or fsspec's configuration files"
            )
        self._files, self._root = _filesystem(self.location)
        self._listed: dict[str, dict[str, StoredFile]] = {}

    def list_folder(self, name: str) -> Listing:
        found = self._list(name)
        if found is None:
            raise NotFound(f"{self.location}/{name}".rstrip("/"), "there is no such folder, or it is empty")
        return found

    def _list(self, name: str) -> Listing | None:
        with self._told(name):
            path = self._path(name)
            try:
                entries = self._files.ls(path, detail=True, refresh=True) if self._refreshes else self._files.ls(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            finally:
                self._files.invalidate_cache(path)
            files, folders = [], []
            for entry in sorted(entries, key=lambda one: str(one["name"])):
                base = str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]
                inside = f"{name}/{base}" if name else base
                if not base or base.startswith(".") or str(entry["name"]).rstrip("/") == path:
                    continue
                if entry["type"] == "directory":
                    folders.append(inside)
                else:
                    files.append(self._remote_file(inside, entry))
            return Listing(tuple(files), tuple(folders))

    @property
    def _refreshes(self) -> bool:
        return self._protocol in S3

    def look(self, name: str) -> StoredFile | None:
        return self._known(name.rpartition("/")[0]).get(name)

    def names_in(self, folder: str) -> list[str]:
        return list(self._known(folder))

    def _known(self, folder: str) -> dict[str, StoredFile]:
        """The files of a folder as this batch knows them: listed once, then kept up with what it writes."""
        if folder not in self._listed:
            if len(self._listed) > _LISTINGS_KEPT:
                self._listed.clear()
            found = self._list(folder)
            self._listed[folder] = {file.name: file for file in found.files} if found else {}
        return self._listed[folder]

    def inside(self, name: str) -> str | None:
        path = PurePosixPath(name.replace("\\", "/"))
        return None if path.is_absolute() or ".." in path.parts or not path.parts else str(path)

    @contextmanager
    def local(self, place: str, name: str) -> Iterator[os.PathLike[str]]:
        with tempfile.TemporaryDirectory(prefix="mmsprep-", ignore_cleanup_errors=True) as folder:
            path = Path(folder, "input")
            with self._told(name):
                try:
                    self._files.get_file(place, str(path))
                except FileNotFoundError:
                    raise NotFound(name, "there is no such file") from None
            yield path

    def read(self, name: str) -> bytes:
        with self._told(name):
            try:
                return bytes(self._files.cat_file(self._path(name)))
            except FileNotFoundError:
                raise NotFound(name, "there is no such file") from None

    def put(self, name: str, data: bytes) -> StoredFile:
        path = self._path(name)
        try:
            if self._protocol not in _WHOLE_OR_NOT_AT_ALL:
                staged = self._path(f"{PRIVATE_FOLDER}/staging/{uuid.uuid4().hex}")
                self._files.makedirs(staged.rpartition("/")[0], exist_ok=True)
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.pipe_file(staged, data)
                self._files.mv(staged, path)
            else:
                self._files.pipe_file(path, data)
        except Exception as error:
            raise OutputError(f"{self.location}/{name}: cannot be written ({said(error, self.location)})") from error
        return StoredFile(name, path, len(data), self._tag_now(path))

    def _tag_now(self, path: str) -> str:
        """The ETag that the store gave what was just written; empty where it gives none (dates differ by who tells)."""
        try:
            self._files.invalidate_cache(path)
            return _tag(self._files.info(path))
        except Exception:  # the file is there; without a tag its size tells whether it was changed
            return ""

    def learn(self, name: str, size_bytes: int, version: str) -> None:
        self._known(name.rpartition("/")[0])[name] = StoredFile(name, self._path(name), size_bytes, version)

    def remove(self, name: str) -> None:
        self._known(name.rpartition("/")[0]).pop(name, None)
        with self._told(name), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Whatever a remote file system raises, as an error of ours."""
        try:
            yield
        except MmsprepError:
            raise
        except Exception as error:
            problem = f"cannot be read ({said(error, self.location)})"
            raise Unreadable(f"{self.location}/{name}".rstrip("/"), problem) from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _remote_file(self, name: str, entry: dict[str, Any]) -> StoredFile:
        size_bytes = int(entry.get("size") or 0)
        tag = _tag(entry)
        stamp = next((entry[key] for key in ("LastModified", "mtime", "updated", "created") if entry.get(key)), "")
        content_id = f"etag-{tag}-{size_bytes}" if tag else ""
        return StoredFile(name, str(entry["name"]), size_bytes, tag or str(stamp), content_id)


def _tag(entry: dict[str, Any]) -> str:
    """What the store says of the content: the same again only for the same."""
    return str(entry.get("ETag") or entry.get("etag") or "").strip('"')


def _filesystem(location: str) -> tuple[Any, str]:
    protocol = urlsplit(location).scheme
    try:
        import fsspec
    except ImportError:
        raise ToolMissing(
            f"{location}: reading and writing elsewhere needs fsspec; {install_command('remote')}"
        ) from None
    try:
        files, root = fsspec.core.url_to_fs(location)
    except ImportError as error:
        raise ToolMissing(f"{location}: {error}; 'mmsprep[remote]' brings s3://") from None
    except ValueError as error:
        raise UsageError(f"{protocol}://: {error}") from None
    return files, str(root).rstrip("/")


def check_apart(source: str, target: str) -> str:
    """Refuse a pair of locations where results would become inputs or overwrite originals.

    Returns:
        The name of the target inside the source, to be left out of its listing; empty if it lies elsewhere.

    Raises:
        UsageError: they are the same place, or the source lies inside the target.
    """
    if is_remote(source) != is_remote(target):
        return ""
    if is_remote(source):
        inside, outside = source.rstrip("/") + "/", target.rstrip("/") + "/"
    else:
        inside, outside = (
            Path(os.path.realpath(one.removeprefix("file://"))).as_posix().rstrip("/") + "/" for one in (source, target)
        )
    if inside == outside:
        raise UsageError(f"{target}: is the input itself; results go to another folder")
    if inside.startswith(outside):
        raise UsageError(f"{target}: the input lies inside it and could be overwritten; results go to another folder")
    return outside.removeprefix(inside).rstrip("/") if outside.startswith(inside) else ""
