"""What a batch has done, kept in SQLite beside its output, so that a later run does only the rest.

Comes in: finished items. Goes out: whether an item is done, and which files are the batch's own. Never: a
decision about what to make, or a file of the output itself.

Every change is its own transaction, so that killing the process at any moment loses at most what was not
finished. A *claim* is written before a worker may write: what lies in its place afterwards is ours, whatever
happened in between. One run at a time holds the ledger; the lock dies with the process.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from mmsprep.batch.outcome import Made
from mmsprep.batch.storage import PRIVATE_FOLDER, Storage, is_remote
from mmsprep.errors import LedgerError, NotFound, reason_of
from mmsprep.tools.sqlite import look, open_alone

LEDGER_NAME = f"{PRIVATE_FOLDER}/ledger.sqlite"
_VERSION = 1
_UPLOAD_EVERY_S = 60.0
_WAIT_S = 1.0
"""For another run's lock, which may be about to go."""
_TABLES = """
CREATE TABLE items (id TEXT PRIMARY KEY, state TEXT NOT NULL, key TEXT NOT NULL, made BLOB NOT NULL);
CREATE INDEX items_by_key ON items (key);
CREATE TABLE outputs (name TEXT PRIMARY KEY, stem TEXT NOT NULL, item TEXT NOT NULL);
CREATE INDEX outputs_by_stem ON outputs (stem);
CREATE INDEX outputs_by_item ON outputs (item);
CREATE TABLE claims (stem TEXT PRIMARY KEY, strangers BLOB NOT NULL);
"""

_encode = msgspec.json.encode
_decode_made = msgspec.json.Decoder(Made).decode
_decode_names = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class Done:
    """An item that was done: in which state, under which key, with what result."""

    state: str
    key: str
    made: Made


class Ledger:
    """An open ledger; ``with open_ledger(target) as ledger``."""

    def __init__(self, path: Path, name: str = "") -> None:
        self._path = path
        name = name or str(path)
        try:
            found = look(path, _WAIT_S)
            if found.tables and not found.version:
                raise LedgerError(f"{name}: is another program's database, no ledger; choose another folder")
            self._database = open_alone(path, _WAIT_S)
            self._database.execute("BEGIN IMMEDIATE")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _TABLES.split(";"):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {_VERSION}")
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise LedgerError(
                    f"{name}: another batch is at work in this output; wait for it, or choose another folder"
                ) from None
            raise LedgerError(f"{name}: cannot be opened ({error})") from error
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"{name}: is damaged ({error}); delete it, the next run makes everything again"
            ) from error
        if version > _VERSION:
            self._database.close()
            raise LedgerError(f"{name}: was written by a newer mmsprep; use that one, or choose another folder")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def done(self, item_id: str) -> Done | None:
        """What is known of the item; ``None``: it was never done."""
        row = self._run("SELECT state, key, made FROM items WHERE id = ?", (item_id,)).fetchone()
        return Done(row[0], row[1], _decode_made(row[2])) if row else None

    def forget_items(self) -> None:
        """Everything is to be made again; which files are the batch's own stays known."""
        self._run("DELETE FROM items")

    def same(self, key: str) -> Iterator[Made]:
        """Results of items that were made of the same content in the same way."""
        rows = self._run("SELECT made FROM items WHERE key = ? LIMIT 8", (key,)).fetchall()
        return (_decode_made(made) for (made,) in rows)

    def owned(self, stem: str) -> list[str]:
        """The files under ``stem`` that the batch itself has written."""
        return [name for (name,) in self._run("SELECT name FROM outputs WHERE stem = ?", (stem,))]

    def claim(self, stem: str) -> list[str] | None:
        """The strangers' files that lay under ``stem`` when a worker was let in there; ``None``: none was."""
        row = self._run("SELECT strangers FROM claims WHERE stem = ?", (stem,)).fetchone()
        return _decode_names(row[0]) if row else None

    def set_claim(self, stem: str, strangers: list[str]) -> None:
        self._run("INSERT OR REPLACE INTO claims VALUES (?, ?)", (stem, _encode(strangers)))

    def drop_claim(self, stem: str) -> None:
        """The worker left nothing behind."""
        self._run("DELETE FROM claims WHERE stem = ?", (stem,))

    def record(self, item_id: str, stem: str, state: str, key: str, made: Made) -> list[str]:
        """Note that the item is done.

        Returns:
            Files that an earlier run made of the same item and that nothing needs any more.
        """
        names = [file.name for file in made.outputs]
        run = self._run
        run("BEGIN IMMEDIATE")
        try:
            run("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", (item_id, state, key, _encode(made)))
            run("DELETE FROM claims WHERE stem = ?", (stem,))
            # What another item is about to write under the same name is no longer this one's to remove.
            query = "SELECT name FROM outputs WHERE item = ? AND stem NOT IN (SELECT stem FROM claims)"
            before = [name for (name,) in run(query, (item_id,))]
            for name in names:
                run("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)", (name, stem, item_id))
        finally:
            run("COMMIT")
        return [name for name in before if name not in names]

    def forget_output(self, name: str) -> None:
        """A file that :meth:`record` named is gone."""
        self._run("DELETE FROM outputs WHERE name = ?", (name,))

    def set_state(self, item_id: str, state: str) -> None:
        """The item turned out to be the same in another state (a new date on the same content)."""
        self._run("UPDATE items SET state = ? WHERE id = ?", (state, item_id))

    def _run(self, statement: str, values: tuple[str | bytes, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise LedgerError(f"{self._path}: cannot be used ({error}); what was made so far is safe") from error

    def snapshot(self) -> bytes:
        """The whole ledger as one file."""
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")
        return self._path.read_bytes()


@contextmanager
def open_ledger(target: Storage) -> Iterator[Ledger]:
    """The ledger of an output; beside a remote one it is fetched first, and put back now and then.

    Raises:
        LedgerError: it is damaged, newer than this mmsprep, or another run holds it.
    """
    if not is_remote(target.location):
        folder = Path(target.location, PRIVATE_FOLDER)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"{folder}: cannot be made ({reason_of(error)}); choose another output") from error
        with Ledger(folder / "ledger.sqlite") as ledger:
            _sweep(folder / "staging")
            yield ledger
        return
    with tempfile.TemporaryDirectory(prefix="mmsprep-", ignore_cleanup_errors=True) as fetched:
        path = Path(fetched, "ledger.sqlite")
        with suppress(NotFound):
            path.write_bytes(target.read(LEDGER_NAME))
        with _Carried(path, target) as ledger:
            yield ledger


@contextmanager
def copied_ledger(target: Storage) -> Iterator[Ledger]:
    """A copy of an output's ledger, empty where there is none; the output stays as it is.

    Raises:
        LedgerError: it is damaged, cannot be read, or is newer than this mmsprep.
    """
    name = f"{target.location}/{LEDGER_NAME}"
    with tempfile.TemporaryDirectory(prefix="mmsprep-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "ledger.sqlite")
        # What was written last lies beside it until the run that does so ends.
        for suffix in ("", "-wal"):
            with suppress(NotFound, FileNotFoundError):
                copy = path.with_name(path.name + suffix)
                if is_remote(target.location):
                    copy.write_bytes(target.read(LEDGER_NAME + suffix))
                else:
                    _copy(Path(target.location, LEDGER_NAME + suffix), copy)
        with Ledger(path, name) as ledger:
            yield ledger


def _copy(path: Path, copy: Path) -> None:
    try:
        shutil.copyfile(path, copy)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read ({reason_of(error)}); choose another folder") from error


class _Carried(Ledger):
    """A ledger whose copy in the output is renewed once a minute and at the end."""

    def __init__(self, path: Path, target: Storage) -> None:
        super().__init__(path, f"{target.location}/{LEDGER_NAME}")
        self._target = target
        self._put_at_s = time.monotonic()

    def record(self, item_id: str, stem: str, state: str, key: str, made: Made) -> list[str]:
        stale = super().record(item_id, stem, state, key, made)
        if time.monotonic() - self._put_at_s > _UPLOAD_EVERY_S:
            self._target.put(LEDGER_NAME, self.snapshot())
            self._put_at_s = time.monotonic()
        return stale

    def close(self) -> None:
        try:
            self._target.put(LEDGER_NAME, self.snapshot())
        finally:
            super().close()


def _sweep(staging: Path) -> None:
    """Remove what a killed run was writing; nobody else can be at work here while the ledger is held."""
    if staging.is_dir():
        for leftover in staging.iterdir():
            leftover.unlink(missing_ok=True)
