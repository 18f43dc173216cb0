"""A program's own loop over sends: the connections and the journal stay open from one to the next.

Run it: python many_sends.py photo.heic 61409317436 61409317437 61409317438
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from mmsprep import Journal, Message, Receipt, prepare, send
from mmsprep.errors import SendError
from mmsprep.printable import printable
from mmsprep.sender import Connections


def send_all(message: Message, numbers: Sequence[str], journal: str) -> list[Receipt | SendError]:
    """One after the other."""
    with Connections() as connections, Journal(journal) as book:
        return [_sent(message, number, book, connections) for number in numbers]


async def send_all_async(
    message: Message, numbers: Sequence[str], journal: str, at_once: int = 8
) -> list[Receipt | SendError]:
    """Some at once, in threads, which share connections; the event loop goes on."""
    turn = asyncio.Semaphore(at_once)
    with Connections() as connections, Journal(journal) as book:

        async def one(number: str) -> Receipt | SendError:
            async with turn:
                return await asyncio.to_thread(_sent, message, number, book, connections)

        return await asyncio.gather(*map(one, numbers))


def _sent(message: Message, number: str, book: Journal, connections: Connections) -> Receipt | SendError:
    try:
        return send(message, to=number, journal=book, connections=connections)
    except SendError as error:
        return error


def main(path: str, *numbers: str) -> int:
    found = send_all(prepare([path]), numbers, "sent.db")
    for number, outcome in zip(numbers, found, strict=True):
        print(number, outcome.message_id if isinstance(outcome, Receipt) else printable(str(outcome), lines=True))
    return 0 if all(isinstance(outcome, Receipt) for outcome in found) else 10


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
