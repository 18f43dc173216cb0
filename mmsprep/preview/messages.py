"""The page of prepared messages: every part beside what it was made of.

Comes in: messages and the attachments that they were made of. Goes out: HTML. Never: a change to either.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmsprep.message import Message
from mmsprep.message.wording import percent_words, short_name
from mmsprep.pipeline.intake import Attachments, take_in
from mmsprep.preview.page import preview_page
from mmsprep.preview.pairs import Pair, pair_of
from mmsprep.settings import Settings
from mmsprep.tools.workspace import Workspace


def messages_page(messages: Sequence[Message], attachments: Attachments, settings: Settings) -> str:
    """Every part of one message or of several beside its original, the worst first.

    Args:
        messages: of one run.
        attachments: what they were made of, as they were given.
        settings: limits of this machine.

    Raises:
        ToolError: ffmpeg is missing or cannot be started.
    """
    originals = {one.index: one for one in take_in(attachments, settings)[0]}
    several = len(messages) > 1
    pairs: list[Pair] = []
    facts: list[str] = []
    notes: list[str] = []
    with Workspace(settings) as workspace:
        for number, message in enumerate(messages, 1):
            group = f"message {number}" if several else ""
            start = f"Message {number}: " if several else ""
            share = percent_words(message.total_bytes, message.limit_bytes)
            facts.append(f"{start}{message.total_bytes:,} of {message.limit_bytes:,} bytes ({share})")
            if message.subject:
                facts.append(f"Subject: {message.subject}")
            if message.text:
                facts.append(f"Text: {message.text}")
            notes += message.warnings
            notes += [f"{short_name(one.name)} was left out: it {one.message}" for one in message.rejected]
            for part in message.parts:
                original = originals.get(part.indexes[0]) if part.indexes else None
                pairs.append(
                    pair_of(part, part.data, original, workspace, limit_bytes=message.limit_bytes, group=group)
                )
    count = f"{len(messages)} messages" if several else "One message"
    unlike = list(dict.fromkeys(notes))
    return preview_page(pairs, title=f"{count}, before and after", facts=facts, notes=unlike)
