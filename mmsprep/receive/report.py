"""What came in, told to programs (JSON), and written into a folder.

Comes in: stored messages. Goes out: a document, files. Never: a file overwritten.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsprep.errors import OutputError, reason_of
from mmsprep.printable import json_text
from mmsprep.receive.incoming import PushDoor, RawPush, Stored, UnreadablePush

if TYPE_CHECKING:
    from mmsprep.receive.store import Store

REPORT_NAME = "message.json"
REQUEST_NAME = "request.http"


def document(message: Stored) -> dict[str, Any]:
    """One message as JSON: the contract of ``docs/receiving.md``."""
    return {
        "schema": 1,
        "key": message.key,
        "what": message.what,
        "door": message.door,
        "id": message.id,
        "from": message.sender,
        "to": list(message.recipients),
        "subject": message.subject,
        "text": message.text,
        "attachments": [asdict(part) for part in message.parts],
        "about_id": message.about_id,
        "status": message.status,
        "status_text": message.status_text,
        "sent_at": message.sent_at,
        "received_at": _iso(message.received_at_s),
        "extra": [list(pair) for pair in message.extra],
        "forwarding": {
            "state": message.forward_state,
            "attempts": message.attempts,
            "last_error": message.last_error,
        },
    }


def unreadable_document(push: UnreadablePush) -> dict[str, Any]:
    """One push that could not be read, as JSON: the contract of ``docs/receiving.md``."""
    return {
        "name": push.name,
        "door": push.door,
        "method": push.method,
        "content_type": push.content_type,
        "reason": push.reason,
        "size_bytes": push.size_bytes,
        "sha256": push.sha256,
        "received_at": _iso(push.received_at_s),
        "pushes": push.pushes,
    }


def export(store: Store, message: Stored, folder: Path) -> list[Path]:
    """Write a message's attachments and ``message.json`` into a new folder, which appears whole or not at all.

    Returns:
        The paths of the attachments in order, then of ``message.json``.

    Raises:
        OutputError: the folder is there with something in it, or cannot be written.
        StoreError: an attachment is gone or damaged.
    """
    files = {part.name: store.read(part) for part in message.parts}
    files[REPORT_NAME] = (json_text(document(message), indent=2) + "\n").encode()
    return _laid_out(files, folder)


def export_unreadable(raw: RawPush, folder: Path) -> list[Path]:
    """Write a push that could not be read into a new folder, as ``request.http``.

    Raises:
        OutputError: the folder is there with something in it, or cannot be written.
    """
    path = "/mm7" if raw.door is PushDoor.MM7 else "/"
    target = f"{path}?{raw.query}" if raw.query else path
    lines = (f"{raw.method} {target} HTTP/1.1", f"Content-Type: {raw.content_type}", f"Content-Length: {len(raw.body)}")
    head = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
    return _laid_out({REQUEST_NAME: head + b"\r\n" + raw.body}, folder)


def _laid_out(files: dict[str, bytes], folder: Path) -> list[Path]:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.is_dir():
            folder.rmdir()
        with tempfile.TemporaryDirectory(prefix=".mmsprep-", dir=folder.parent) as name:
            staged = Path(name) / "message"
            staged.mkdir()
            for file_name, data in files.items():
                with (staged / file_name).open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            staged.rename(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({reason_of(error)}); nothing was changed there, choose another folder"
        ) from error
    return [folder / name for name in files]


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds")
