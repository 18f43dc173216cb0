"""What people type, a few lines for each command's ``--help``; the tests read every line as the command does."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "prepare": (
        'mmsprep prepare photo.heic voice.ogg -m "Hello" -o out',
        "mmsprep prepare album/ --split -o out",
        "mmsprep prepare long.mov --trim --limit 100k --json",
    ),
    "inspect": ("mmsprep inspect album/", "mmsprep inspect photo.heic --json"),
    "batch": ("mmsprep batch photos/ ready/", "mmsprep batch photos/ ready/ --each folder"),
    "watch": ("mmsprep watch in/ out/",),
    "send": (
        'mmsprep send --to 61409317436 photo.heic -m "Hello"',
        "mmsprep send --to 61409317436 --journal sent.db --via mm7 mms",
        "mmsprep send --to 61409317436 --sandbox --yes photo.heic",
    ),
    "campaign": (
        'mmsprep campaign people.csv photo.heic -m "Hi {Name}" --sandbox',
        'mmsprep campaign people.csv "cards/{Code}.jpg" -m "Hi {Name|there}" --except no.txt --per-second 5',
    ),
    "track": ("mmsprep track --journal sent.db --store inbox", "mmsprep track --to 61409317436 --since 2d --json"),
    "status": ("mmsprep status 4006",),
    "pack": ("mmsprep pack mms -o message.mms",),
    "unpack": ("mmsprep unpack message.mms -o parts",),
    "receive": ("mmsprep receive --secret-file secret --store inbox",),
    "play": ("mmsprep play mms --phone 2007",),
    "doctor": ("mmsprep doctor --json",),
}


def examples_of(command: str) -> str | None:
    """The lines that stand below a command's options, or ``None``."""
    lines = EXAMPLES.get(command)
    return "Examples:\n\n" + "\n\n".join(lines) if lines else None
