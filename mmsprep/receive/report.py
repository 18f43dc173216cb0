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

from mmsprep.errors import OutputError
from mmsprep.printable import json_text
from mmsprep.receive.incoming import Stored

if TYPE_CHECKING:
    from mmsprep.receive.store import Store

REPORT_NAME = "message.json"
"""Characters of a field that a list shows."""


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
        "received_at": datetime.fromtimestamp(message.received_at_s, UTC).isoformat(timespec="milliseconds"),
        "extra": [list(pair) for pair in message.extra],
        "forwarding": {
            "state": message.forward_state,
            "attempts": message.attempts,
            "last_error": message.last_error,
        },
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
            f"{folder}: cannot be written ({error.strerror or error}); nothing was changed there, choose another folder"
        ) from error
    return [folder / name for name in files]
