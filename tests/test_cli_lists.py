"""What the commands that look list: whole in any terminal, clear where there is nothing, exact in JSON."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from deadlines import program
from loopback import answers, http, resets_before_the_reply, succeeds
from test_tracking import IDS, NUMBERS, sent, told
from typer.testing import CliRunner

from mmsprep import Journal
from mmsprep.cli import app
from mmsprep.receive import open_store
from mmsprep.receive.incoming import PushDoor, RawPush
from mmsprep.receive.limits import Limits
from mmsprep.receive.look import look
from mmsprep.receive.parse_form import parse_form
from mmsprep.receive.unreadable import keep

WIDTHS = [300, 80, 44]
WHY = "the gateway answered FAILURE: number barred by its owner until further notice"


def run(*words: str | Path, columns: int = 110) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": str(columns), "MMSPREP_JOURNAL": ""})


def shown(*words: str | Path, columns: int) -> str:
    """What is printed, on one line: nothing of it may be wider than the terminal."""
    done = run(*words, columns=columns)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= columns
    return " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("journal") / "sent.db")
    sent(place, *map(succeeds, IDS[:2]), resets_before_the_reply, answers(http(f"FAILURE: {WHY}")))
    return place


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("came") / "inbox"
    with open_store(place) as store:
        told(store, IDS[0], "DELIVRD")
        told(store, IDS[1], "EXPIRED", "27")
        form = "id=4711&from=61409317436&subject=Hello&message=A+text+of+some+length+that+somebody+wrote+to+us"
        form += "&attachment0=%2F9j%2F4AAQ&content_type0=image%2Fjpeg&content_name0=a-picture-with-a-long-name.jpg"
        message = parse_form("application/x-www-form-urlencoded", form.encode(), Limits())
        store.add(message, look(message))
        raw = RawPush(door=PushDoor.MM7, method="POST", content_type="text/xml", query="", body=b"<Envelope")
        keep(store, raw, "the XML ends before its first element does: no closing tag was found", Limits())
    return str(place)


@pytest.mark.parametrize("columns", WIDTHS)
def test_ids_numbers_and_reasons_are_whole_in_any_terminal(journal: str, inbox: str, columns: int) -> None:
    """They are copied from there, and are what somebody looks for."""
    with Journal(journal) as book:
        entries = book.entries()
    tracked = shown("track", "--journal", journal, "--store", inbox, columns=columns)
    attempts = shown("journal", "list", "--journal", journal, columns=columns)
    for text in (tracked, attempts):
        for word in (*NUMBERS[:4], *IDS[:2], entries[2].transaction_id[:12], "unknown"):
            assert word in text
    # In a table its lines stand between those of other columns.
    for word in ["it", "expired", "before", "the", "phone", "took", "it", "(EXPIRED,", "error", "27)"]:
        assert word in tracked
    came = shown("inbox", "--store", inbox, columns=columns)
    with open_store(inbox) as store:
        keys = [one.key for one in store.messages() if not one.id]
    for word in (*keys, "4711", "61409317436", "DELIVRD", "pending"):
        assert word in came
    unreadable = shown("inbox", "list", "--unreadable", "--store", inbox, columns=columns)
    assert "no closing tag was found" in unreadable and "u1" in unreadable and "mm7" in unreadable


@pytest.mark.parametrize("columns", WIDTHS)
def test_one_of_them_is_shown_whole_in_any_terminal(journal: str, inbox: str, columns: int) -> None:
    with Journal(journal) as book:
        (entry,) = book.entries(name=IDS[1])
    attempt = shown("journal", "show", IDS[1], "--journal", journal, columns=columns)
    # Long ids are folded, so that they can be put together again.
    for whole in (entry.transaction_id, entry.content_sha256, IDS[1]):
        assert whole in attempt.replace(" ", "")
    assert "the send itself" in attempt
    tracked = shown("track", IDS[1], "--journal", journal, "--store", inbox, columns=columns)
    assert "delivery report: EXPIRED 27" in tracked
    assert entry.transaction_id in tracked.replace(" ", "")
    message = shown("inbox", "show", "4711", "--store", inbox, columns=columns)
    for words in ("A text of some length that somebody wrote to us", "image/jpeg", "61409317436"):
        assert words in message
    assert "01-a-picture-with-a-long-name" in message


def test_where_there_is_nothing_it_is_said_and_json_is_an_empty_list(tmp_path: Path) -> None:
    with Journal(tmp_path / "sent.db"), open_store(tmp_path / "inbox"):
        pass
    asked: list[tuple[list[str | Path], str]] = [
        (["track", "--journal", tmp_path / "sent.db"], "messages"),
        (["journal", "list", "--journal", tmp_path / "sent.db"], "attempts"),
        (["inbox", "list", "--store", tmp_path / "inbox"], "messages"),
        (["inbox", "list", "--dead", "--store", tmp_path / "inbox"], "messages"),
        (["inbox", "list", "--unreadable", "--store", tmp_path / "inbox"], "unreadable"),
    ]
    for words, key in asked:
        done = run(*words)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "nothing there\n")
        assert json.loads(run(*words, "--json").stdout) == {"schema": 1, key: []}


def test_the_journal_lists_what_is_asked_for(journal: str) -> None:
    def listed(*more: str) -> list[str]:
        document = json.loads(run("journal", "list", "--journal", journal, "--json", *more).stdout)
        return [one["to"] for one in document["attempts"]]

    assert listed() == NUMBERS[:4]
    assert listed("--unknown") == NUMBERS[2:3]
    assert listed("--to", "0400000001", "--country", "AU") == NUMBERS[:1]
    assert listed("--since", "2h") == NUMBERS[:4]
    assert listed("--since", "2099-01-01") == []
    assert listed("-n", "1") == NUMBERS[3:4]
    assert listed("--key", "another") == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["journal", "list"], 2, "which journal? --journal FILE, or MMSPREP_JOURNAL"),
        (["journal", "list", "--journal", "JOURNAL", "--since", "yesterday"], 2, "2h or 7d, or a date like 2026-11-28"),
        (["journal", "list", "--journal", "JOURNAL", "--to", "12"], 2, "12"),
        (["journal", "show", "ffffffffffff", "--journal", "JOURNAL"], 3, "'mmsprep journal list' shows them"),
        (["journal", "settle", IDS[0], "--journal", "JOURNAL"], 2, "--arrived or --not-arrived"),
        (["journal", "settle", IDS[0], "--not-arrived", "--message-id", "1", "--journal", "JOURNAL"], 2, "arrived"),
        (["journal", "settle", IDS[0], "--arrived", "--journal", "JOURNAL"], 2, "accepted"),
        (["track", "--follow", "--to", NUMBERS[0], "--journal", "JOURNAL"], 2, "give no ID, --to or --key"),
        (["track", "--journal", "JOURNAL", "--since", "3 fortnights"], 2, "--since 3 fortnights"),
    ],
)
def test_what_makes_no_sense_is_told_in_words_and_in_json(
    journal: str, words: list[str], status: int, said: str
) -> None:
    words = [journal if word == "JOURNAL" else word for word in words]
    done = run(*words)
    assert done.exit_code == status, done.output
    assert done.stdout == "" and said in done.stderr and done.stderr.startswith("error: ")
    error = json.loads(run(*words, "--json").stdout)["error"]
    assert error["exit_status"] == status and said in error["message"]


def test_what_a_person_found_out_is_recorded_and_shown(tmp_path: Path) -> None:
    place = str(tmp_path / "sent.db")
    sent(place, resets_before_the_reply, resets_before_the_reply)
    with Journal(place) as book:
        first, second = (entry.transaction_id for entry in book.entries())
    done = run(
        "journal", "settle", first[:8], "--arrived", "--by", "Ann", "--message-id", IDS[5], "--journal", place, "--json"
    )
    assert json.loads(done.stdout)["message_id"] == IDS[5]
    assert f"{NUMBERS[0]}: Ann says that it arrived, and is never sent again" in done.stderr
    done = run("journal", "settle", second[:8], "--not-arrived", "--journal", place)
    assert "so the next run may send it" in done.stderr and done.stdout == ""
    assert "Ann on 20" in shown("journal", "list", "--journal", place, columns=80)
    assert "settled by Ann" in shown("track", IDS[5], "--journal", place, columns=80)


def test_an_id_that_several_attempts_have_asks_which_unless_one_alone_is_open(tmp_path: Path) -> None:
    """Two messages that a careless gateway gave the same id."""
    place = str(tmp_path / "sent.db")
    sent(place, succeeds(IDS[0]), succeeds(IDS[0]))
    done = run("journal", "show", IDS[0], "--journal", place)
    assert done.exit_code == 2
    with Journal(place) as book:
        assert all(entry.transaction_id[:12] in done.stderr for entry in book.entries())


@pytest.mark.posix("signals")
@pytest.mark.parametrize("json_output", [False, True])
def test_changes_are_told_as_they_happen_until_it_is_interrupted(tmp_path: Path, json_output: bool) -> None:
    place = str(tmp_path / "sent.db")
    sent(place, succeeds(IDS[0]))
    command = [sys.executable, "-m", "mmsprep", "track", "--follow", "--journal", place, "--since", "1h"]
    command += ["--json"] if json_output else []
    with program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout and process.stderr
        line = process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest, said = process.stdout.read(), process.stderr.read()
    assert (process.returncode, rest, said) == (0, "", "")
    if json_output:
        told_as = json.loads(line)
        assert (told_as["to"], told_as["status"], told_as["message_id"]) == (NUMBERS[0], "accepted", IDS[0])
    else:
        assert line.split()[1:] == [NUMBERS[0], "accepted", IDS[0]]


@pytest.mark.parametrize("columns", [120, 80, 44])
def test_profiles_networks_and_statuses_keep_their_words_in_any_terminal(columns: int) -> None:
    profile = shown("profiles", "show", "smsglobal", columns=columns)
    for words in ("300,000 bytes", "image/jpeg", "kept", "converted"):
        assert words in profile
    networks = run("profiles", "suggest", "AU", columns=columns)
    assert "profile" in networks.stderr
    for words in ("Optus", "optus", "505-02"):
        assert words in networks.stdout
    statuses = shown("status", columns=columns)
    assert "4006" in statuses and "2007" in statuses and "Resend" in statuses
    one = shown("status", "4006", columns=columns)
    assert "4006" in one and "What to do" in one and "2007" not in one


def test_what_nobody_knows_is_told_and_not_made_up() -> None:
    done = run("profiles", "suggest", "AQ")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing is known of the networks of AQ" in done.stderr
    assert json.loads(run("profiles", "suggest", "AQ", "--json").stdout)["networks"] == []
    by_number = json.loads(run("profiles", "suggest", "+61409317436", "--json").stdout)
    assert by_number == json.loads(run("profiles", "suggest", "au", "--json").stdout)
    done = run("status", "999")
    assert done.exit_code == 2 and "they are 0 and 1000 to 4999" in done.stderr
    unlisted = run("status", "4999")
    assert unlisted.exit_code == 0 and "by its first digit; not in the table" in " ".join(unlisted.stdout.split())
    assert json.loads(run("status", "4999", "--json").stdout)["statuses"][0]["code"] == 4999
