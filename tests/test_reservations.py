"""The next recipients of a campaign have places in the journal: free after a kill, in doubt after a loss of power."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from deadlines import at_once

from mmsprep import Journal
from mmsprep.errors import ContentRefused, JournalError, SendOutcomeUnknown
from mmsprep.sender import owner
from mmsprep.sender.entry import Claim, State, Subject
from mmsprep.sender.reservations import Reservations
from mmsprep.sender.wire import Receipt, Via

GATEWAY = "https://gateway.example"
EVERYBODY = [str(61400000000 + number) for number in range(6)]

pytestmark = pytest.mark.skipif(not owner.this_process(), reason="nothing is reserved where no owner can be told")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "j.db", wait_s=5) as opened:
        yield opened


def places_in(journal: Journal) -> Reservations:
    return Reservations(journal, key="campaign", gateway=GATEWAY, lasts_s=240)


def claim_of(recipient: str, content: str = "c") -> Claim:
    subject = Subject(recipient=recipient, key="campaign", content_sha256=content * 64, gateway=GATEWAY)
    return Claim(subject=subject, transaction_id=uuid.uuid4().hex, via="http", lasts_s=240)


def receipt_of(claim: Claim) -> Receipt:
    to = claim.subject.recipient
    return Receipt(recipient=to, message_id=f"{to}00000", transaction_id=claim.transaction_id, via=Via.HTTP)


KILLED = """
import os, sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from test_reservations import EVERYBODY, claim_of, places_in, receipt_of
from mmsprep import Journal
journal = Journal(sys.argv[1], wait_s=5)
book = places_in(journal)
book.reserve(EVERYBODY)
for number, recipient in enumerate(EVERYBODY[:3]):
    claim = claim_of(recipient)
    assert book.claim(claim) is None
    if number == 0:
        book.settle(claim, receipt_of(claim))
book.flush()
Path(sys.argv[2]).touch()
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A journal in which somebody was accepted, two were begun and three reserved when it was killed."""
    place = tmp_path / "killed.db"
    command = [sys.executable, "-c", KILLED, str(place), str(tmp_path / "came"), str(Path(__file__).parent), *sys.path]
    subprocess.run(command, check=False, timeout=120, env={**os.environ, "MMSPREP_JOURNAL": ""})
    assert (tmp_path / "came").exists()
    return place


def test_who_was_reserved_and_not_begun_at_a_kill_is_free(killed: Path) -> None:
    with Journal(killed) as journal:
        assert [entry.state for entry in journal.entries()] == [State.ACCEPTED, State.UNKNOWN, State.UNKNOWN]
        with places_in(journal) as book:
            book.reserve(EVERYBODY)
            found = [book.claim(claim_of(recipient)) for recipient in EVERYBODY]
        assert [entry and entry.state for entry in found] == [State.ACCEPTED, State.UNKNOWN, State.UNKNOWN, *[None] * 3]


@pytest.mark.parametrize("goes_on", ["reserved anew", "one claim"])
def test_after_another_start_of_the_machine_a_reservation_is_in_doubt(killed: Path, goes_on: str) -> None:
    """Losing power may have taken back the mark that it was begun."""
    with closing(sqlite3.connect(killed)) as plain, plain:
        plain.execute("UPDATE attempts SET owner = 'before' || substr(owner, 7), expires_at_s = 1 WHERE owner <> ''")
    with Journal(killed) as journal:
        assert [entry.state for entry in journal.entries()] == [State.ACCEPTED, *[State.UNKNOWN] * 5]
        with places_in(journal) as book:
            if goes_on == "reserved anew":
                book.reserve(EVERYBODY)
            found = [book.claim(claim_of(recipient)) for recipient in EVERYBODY]
            assert [entry.state for entry in found if entry] == [State.ACCEPTED, *[State.UNKNOWN] * 5]
            assert book.claim(claim_of(EVERYBODY[5]), resend_unknown=True) is None, "a person may decide"
        entry = journal.entries(recipient=EVERYBODY[4])[0]
        assert journal.decide(entry, arrived=False, person="me").state is State.NOT_SENT


def test_while_its_maker_lives_a_reservation_holds_others_off_and_no_list_shows_it(journal: Journal) -> None:
    with places_in(journal) as book:
        book.reserve(EVERYBODY[:2])
        other = journal.claim(claim_of(EVERYBODY[0]))
        assert other is not None and other.state is State.SENDING
        assert journal.entries() == [], "nobody was sent anything yet"
        claim = claim_of(EVERYBODY[0])
        assert book.claim(claim) is None
        assert [entry.transaction_id for entry in journal.entries()] == [claim.transaction_id]
        book.settle(claim, receipt_of(claim))
    assert [entry.state for entry in journal.entries()] == [State.ACCEPTED]
    assert journal.claim(claim_of(EVERYBODY[1])) is None, "the end of the block gave it back"


def test_an_outcome_is_recorded_with_the_next_claim_and_by_flush(journal: Journal) -> None:
    first, second = claim_of(EVERYBODY[0]), claim_of(EVERYBODY[1])
    with places_in(journal) as book:
        book.reserve(EVERYBODY)
        assert book.claim(first) is None
        book.settle(first, receipt_of(first))
        assert book.claim(second) is None
        assert [entry.state for entry in journal.entries()] == [State.ACCEPTED, State.SENDING]
        book.settle(second, SendOutcomeUnknown("?", second.transaction_id, reason="no reply"))
        book.flush()
        found = journal.entries()
    assert [entry.state for entry in found] == [State.ACCEPTED, State.UNKNOWN]
    assert (found[0].message_id, found[1].reason) == (f"{EVERYBODY[0]}00000", "no reply")


def test_a_content_that_was_refused_is_not_begun(journal: Journal) -> None:
    first = claim_of(EVERYBODY[0], "r")
    with places_in(journal) as book:
        book.reserve(EVERYBODY)
        assert book.claim(first) is None
        book.settle(first, ContentRefused("no", first.transaction_id, reason="no"))
        refused = book.claim(claim_of(EVERYBODY[1], "r"))
        assert refused is not None and refused.error_code == ContentRefused.code
        assert book.claim(claim_of(EVERYBODY[2], "other")) is None
    with places_in(journal) as later:
        later.reserve(EVERYBODY[3:])
        again = later.claim(claim_of(EVERYBODY[3], "r"))
        assert again is not None and again.error_code == ContentRefused.code


def test_a_reservation_that_lasted_too_long_is_taken_by_others_and_not_begun(journal: Journal) -> None:
    with places_in(journal) as book:
        book.reserve(EVERYBODY[:1])
        with closing(sqlite3.connect(journal.file)) as plain, plain:
            plain.execute("UPDATE attempts SET expires_at_s = 1")
        with Journal(journal.file) as other:
            assert other.claim(claim_of(EVERYBODY[0])) is None
        mine = book.claim(claim_of(EVERYBODY[0]))
        assert mine is not None and mine.state is State.SENDING


def test_of_any_number_who_reserve_and_claim_the_same_one_begins(tmp_path: Path) -> None:
    won: list[str] = []

    def contend() -> None:
        with Journal(tmp_path / "j.db", wait_s=60) as journal, places_in(journal) as book:
            book.reserve(EVERYBODY)
            together.wait(120)
            for recipient in EVERYBODY:
                claim = claim_of(recipient)
                if book.claim(claim) is None:
                    won.append(recipient)
                    book.settle(claim, receipt_of(claim))

    together = threading.Barrier(4)
    at_once([contend] * 4)
    assert sorted(won) == sorted(set(won)), "nobody twice"
    with Journal(tmp_path / "j.db") as journal:
        assert [entry.recipient for entry in journal.entries()] == sorted(won)


def test_what_cannot_be_written_is_told_with_the_ids_of_what_was_accepted(journal: Journal) -> None:
    claim = claim_of(EVERYBODY[0])
    book = places_in(journal)
    book.reserve(EVERYBODY[:2])
    assert book.claim(claim) is None
    book.settle(claim, receipt_of(claim))
    with closing(sqlite3.connect(journal.file)) as plain:
        plain.execute("ALTER TABLE attempts RENAME TO gone")
        with pytest.raises(JournalError, match=f"ACCEPTED 1 messages .id {EVERYBODY[0]}00000."):
            book.claim(claim_of(EVERYBODY[1]))
        plain.execute("ALTER TABLE gone RENAME TO attempts")
    book.close()
    assert journal.entries()[0].message_id == f"{EVERYBODY[0]}00000", "it was tried once more"
