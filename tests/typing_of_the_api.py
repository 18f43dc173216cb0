"""What a user's type checker lets through and what it stops; mypy and pyright read this, nothing runs it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

from mmsprep import (
    Failed,
    Job,
    Message,
    MmsprepError,
    Outcome,
    Part,
    Prepared,
    Receipt,
    pre_send,
    prepare,
    prepare_many,
    read_message,
    send,
    send_async,
    split,
)


def one_or_many_of_whatever_people_have(path: Path, data: bytes) -> None:
    assert_type(prepare("photo.png"), Message)
    prepare(path, text="Hello", profile="smsglobal", limit_bytes=100_000)
    prepare(data)
    prepare(("voice.ogg", data))
    prepare(io.BytesIO(data))
    prepare([path, "clip.mov", data, ("voice.ogg", data), io.BytesIO(data)], priorities={0: 2.0})
    prepare([path], priorities={"clip.mov": 2.0}, on_error="skip", quality="medium", best_effort=True)
    assert_type(split(Job(attachments=[path])), list[Message])


def what_is_wrong_is_stopped(path: Path) -> None:
    prepare(3)  # type: ignore[arg-type]
    prepare(path, limit_bytes="100k")  # type: ignore[arg-type]
    prepare(path, on_error="ignore")  # type: ignore[arg-type]
    prepare(path, "Hello")  # type: ignore[call-arg]
    send(path, to="61409317436")  # type: ignore[arg-type]
    send(prepare(path))  # type: ignore[call-arg]


async def sending(message: Message) -> None:
    assert_type(send(message, to="61409317436"), Receipt)
    assert_type(await send_async(message, to=61409317436, via="mm7"), Receipt)
    assert_type(message.parts, tuple[Part, ...])
    assert_type(message.total_bytes, int)
    assert_type(read_message("mms"), Message)
    error: MmsprepError = MmsprepError("told")
    assert_type((error.code, error.exit_status), tuple[str, int])


@dataclass
class Outgoing:
    """A program's own."""

    to: str
    attachments: list[str]


def the_hook_gives_back_what_it_took(own: Outgoing, mapping: dict[str, Any]) -> None:
    assert_type(pre_send(own), Outgoing)
    assert_type(pre_send(mapping), dict[str, Any])


def many(paths: list[Path]) -> None:
    for outcome in prepare_many([Job(attachments=[path]) for path in paths]):
        assert_type(outcome, Outcome)
        match outcome:
            case Prepared():
                outcome.message.write("out")
            case Failed():
                assert_type(outcome.error, MmsprepError)
