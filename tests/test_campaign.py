"""A list of people gets messages in their own words: read as it is written, checked, nobody twice, nobody lost."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import until
from grain import grain
from hypothesis import given
from hypothesis import strategies as st
from loopback import Request, answers, gateway, http, never_answers, resets_before_the_reply, succeeds
from PIL import Image
from typer.testing import CliRunner

from mmsprep import Account, Job, Journal, Message, prepare, track
from mmsprep.campaign import (
    Campaign,
    Failures,
    Outcome,
    Pace,
    Rendered,
    Sending,
    Template,
    campaign_key,
    check,
    read_people,
    run,
    write_report,
)
from mmsprep.campaign.checked import Verdict, Words, decisions, numbers_in, stopped_in
from mmsprep.campaign.merge import has_fields
from mmsprep.cli import app
from mmsprep.errors import MmsprepError, NotFound, OutputError, TooManyFailures, TypeNotAllowed, UsageError
from mmsprep.model import Span
from mmsprep.receive import open_store
from mmsprep.receive.limits import Limits
from mmsprep.receive.parse_form import parse_form
from mmsprep.receive.reports import open_reports
from mmsprep.sandbox import Sandbox
from mmsprep.sender import form, soap

PEOPLE = "Name;Mobile;City\r\nÄnne;+61 400 000 001;Perth\r\nBob;61400000002;\r\n"


def listed(folder: Path, text: str = PEOPLE, encoding: str = "utf-8", name: str = "people.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def numbered(folder: Path, count: int) -> Path:
    rows = "".join(f"P{n},{61400000000 + n}\n" for n in range(count))
    return listed(folder, f"Name,Mobile\n{rows}")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    grain((1600, 1200), 40).convert("RGB").save(path, quality=90)
    return path


def counts_ids() -> Any:
    """Accept everybody, each with an id of its own."""
    lock, number = threading.Lock(), [0]

    def reply(request: Request) -> bytes:
        with lock:
            number[0] += 1
            return http(f"Success. ID = {10**15 + number[0]}")

    return answers(reply)


def sent(campaign: Campaign, url: str, journal: Journal, **values: Any) -> list[Outcome]:
    checked = check(campaign)
    with Rendered(checked) as rendered:
        return list(run(checked, rendered, Sending(account=Account("me", "secret", url)), journal=journal, **values))


# The list, as spreadsheets write it.
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_a_list_of_any_delimiter_and_encoding_is_read(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = PEOPLE.replace(";", delimiter)
    text = "\ufeff" + text if encoding == "utf-16-le" else text
    people = read_people(listed(tmp_path, text, encoding))
    assert (people.columns, people.to_column, people.guessed) == (("Name", "Mobile", "City"), "Mobile", True)
    found = list(people)
    assert [one.number for one in found] == ["+61 400 000 001", "61400000002"]
    assert found[0].values == {"name": "Änne", "mobile": "+61 400 000 001", "city": "Perth"}


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    text = 'sep=;\r\nName;Phone\r\n"Doe; ""J""\r\nJr.";61400000001\r\n\r\n;;\r\nBob;61400000002\r\n'
    people = read_people(listed(tmp_path, text))
    assert [(one.line, one.values["name"]) for one in people] == [(3, 'Doe; "J"\r\nJr.'), (7, "Bob")]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Name,Phone,Mobile", "Mobile"),
        ("Handy-Nr.,Kunde,Id", "Handy-Nr."),
        ("Kunde,Kontakt,Id", None),
        ("id,to,text", "to"),
        ("a,MSISDN,b", "MSISDN"),
    ],
)
def test_the_column_with_the_numbers_is_found_by_name_then_by_content(
    tmp_path: Path, header: str, expected: str | None
) -> None:
    columns = header.split(",")
    wanted = expected or "Kontakt"
    row = ",".join("61400000001" if column == wanted else "x" for column in columns)
    people = read_people(listed(tmp_path, f"{header}\n{row}\n"))
    assert people.to_column == wanted
    other = read_people(listed(tmp_path, f"{header}\n{row}\n"), to_column=columns[0].upper())
    assert (other.to_column, other.guessed) == (columns[0], False)


def test_json_lines_and_arrays_are_lists_too(tmp_path: Path) -> None:
    rows = [{"name": "Ann", "phone": 61400000001.0, "age": 3.5}, {"phone": "61400000002", "name": None, "vip": True}]
    lines = read_people(listed(tmp_path, "\n\n".join(map(json.dumps, rows)) + "\n\n", name="people.jsonl"))
    array = read_people(listed(tmp_path, json.dumps(rows), name="people.json"))
    for people in (lines, array):
        assert (people.columns, people.to_column) == (("name", "phone", "age", "vip"), "phone")
        assert [one.values for one in people] == [
            {"name": "Ann", "phone": "61400000001", "age": "3.5"},
            {"phone": "61400000002", "vip": "true"},
        ]


def test_a_number_that_a_spreadsheet_was_told_to_keep_as_text_is_read_and_so_are_other_cells(tmp_path: Path) -> None:
    """``="0412"`` is how exports keep Excel from taking a zero away."""
    path = tmp_path / "people.csv"
    path.write_text('="Mobile",Name,Sum\n="0409317436","=""Ann"" ",=1+1\n"=""0409317437""",="",="a""b"\n')
    people = read_people(path, country="AU")
    assert people.columns == ("Mobile", "Name", "Sum") and people.to_column == "Mobile"
    assert [dict(person.values) for person in people] == [
        {"mobile": "0409317436", "name": "Ann", "sum": "=1+1"},
        {"mobile": "0409317437", "name": "", "sum": '="a""b"'},
    ]


def test_numbers_alone_are_a_list_without_names(tmp_path: Path) -> None:
    path = listed(tmp_path, "61400000001\n+61 400 000 002\n")
    assert [one.number for one in read_people(path)] == ["61400000001", "+61 400 000 002"]
    assert numbers_in(path) == {"61400000001", "61400000002"}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", UsageError, "is empty"),
        ("Name,Mobile\n", UsageError, "nobody in it"),
        ("Name,City\nAnn,Perth\n", UsageError, "--to-column"),
        ("Mobile,mobile \n1,2\n", UsageError, "two columns"),
        ("PK\x03\x04....", TypeNotAllowed, "save it as CSV"),
        ('{"a": 1}\n{"a": \n', UsageError, "line 2 cannot be read as JSON"),
        ("[1, 2]", UsageError, "no JSON object"),
    ],
)
def test_what_is_no_list_is_told_as_such(tmp_path: Path, text: str, error: type[MmsprepError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_people(listed(tmp_path, text))
    with pytest.raises(NotFound):
        read_people(tmp_path / "gone.csv")


# Fields.
def test_fields_are_filled_in_whatever_their_case_with_defaults_and_braces() -> None:
    template = Template("{{x}} Hi {first name}, {City|wherever you are}!")
    values = {"firstname": " Ann ", "city": ""}
    assert template.filled(values, "t") == "{x} Hi Ann, wherever you are!"
    with pytest.raises(UsageError, match="first name is empty"):
        template.filled({}, "t")


@pytest.mark.parametrize("text", ["{", "}", "a {b", "{}", "{ }", "{a{b}}", "x } y"])
def test_a_brace_that_is_no_field_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"brace|single"):
        Template(text)


@given(st.text(max_size=40))
def test_any_text_comes_back_when_its_braces_are_doubled(text: str) -> None:
    assert Template(text.replace("{", "{{").replace("}", "}}")).filled({}, "t") == text


@given(st.text(max_size=30))
def test_a_value_is_a_word_and_nothing_more(value: str) -> None:
    """No attribute, no format, no field inside a value."""
    found = Template("{a|x}").filled({"a": value, "b": "secret"}, "t")
    assert found == (value.strip() or "x")


# Checks before anything is sent.
def campaign_of(path: Path, text: str = "Hi {Name}", *files: str, **values: Any) -> Campaign:
    return Campaign(
        people=read_people(path), text=Template(text), files=tuple(Template(name) for name in files), **values
    )


def test_everybody_is_decided_before_anything_is_sent(tmp_path: Path) -> None:
    text = (
        "Name,Mobile\nAnn,61400000001\nBob,+61 400 000 001\nCid,12\nDan,\n,61400000005\n"
        "Eve,61400000006\nFay,61400000007\nGus,6.14E+10\nHal,61400000008,x\n"
    )
    asked = campaign_of(listed(tmp_path, text), excluded={"61400000006"}, stopped={"61400000007"}, skip_invalid=True)
    checked = check(asked)
    found = {one.person.line: (one.verdict.value, one.reason) for one in decisions(asked)}
    assert {line: verdict for line, (verdict, _) in found.items()} == {
        2: "send",
        3: "duplicate",
        4: "invalid",
        5: "invalid",
        6: "invalid",
        7: "excluded",
        8: "stopped",
        9: "invalid",
        10: "invalid",
    }
    assert "line 2" in found[3][1] and "there is no number" in found[5][1] and "Name is empty" in found[6][1]
    assert "format its column as text" in found[9][1] and "3 cells" in found[10][1]
    assert checked.to_send == 1 and checked.counts[Verdict.INVALID] == 5
    with pytest.raises(UsageError, match=r"5 of 9 rows cannot be sent to; nothing was sent\n  line 4"):
        check(campaign_of(listed(tmp_path, text)))


def test_a_field_without_a_column_and_a_file_that_is_not_there_end_it(tmp_path: Path) -> None:
    path = listed(tmp_path)
    with pytest.raises(UsageError, match=r"no column 'Nmae'; did you mean \{Name\}\?"):
        check(campaign_of(path, "Hi {Nmae}"))
    with pytest.raises(NotFound):
        check(campaign_of(path, "Hi", str(tmp_path / "gone.jpg")))
    with pytest.raises(UsageError, match="nothing to send"):
        check(campaign_of(path, ""))


@pytest.mark.parametrize("value", ["../secret.txt", "/etc/passwd", "a/../../secret.txt", "..", "C:\\x", "..\\x"])
def test_a_list_cannot_name_a_file_outside_of_the_folder(tmp_path: Path, value: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "in").mkdir()
    path = listed(tmp_path, f"Mobile;File\n61400000001;{value}\n")
    with pytest.raises(UsageError, match="leads out of its folder"):
        check(campaign_of(path, "Hi", f"{tmp_path}/in/{{File}}"))


def test_stop_and_start_replies_are_obeyed_and_other_words_are_not(tmp_path: Path) -> None:
    texts = {
        "61400000001": ["Stop."],
        "61400000002": ["STOP", "start"],
        "61400000003": ["please stop talking", "What a nice stop!"],
        "61400000004": ["stop sending me this"],
        "61400000005": ["UNSUBSCRIBE"],
        "+61400000006": ["opt-out"],
        "61400000007": ["?!"],
        "no number": ["STOP"],
    }
    with open_store(tmp_path / "inbox") as store:
        for sender, words in texts.items():
            for number, text in enumerate(words):
                body = f"from={sender.replace('+', '%2B')}&message={text}&id={number}".encode()
                store.add(parse_form("application/x-www-form-urlencoded", body, Limits()), ())
    with open_reports(tmp_path / "inbox") as reports:
        assert stopped_in(reports) == {"61400000001", "61400000004", "61400000005", "61400000006"}


# Media.
def test_media_are_prepared_and_packed_once_and_every_text_fits(tmp_path: Path, photo: Path) -> None:
    rows = "".join(f"{'long ' * (200 * n)}x,{61400000000 + n}\n" for n in range(5))
    asked = campaign_of(listed(tmp_path, f"Name,Mobile\n{rows}"), "Hi {Name}", str(photo))
    checked = check(asked)
    form._attached.cache_clear()
    with Rendered(checked) as rendered, gateway(counts_ids()) as this, Journal(tmp_path / "j.db") as journal:
        how = Sending(account=Account("me", "secret", this.url))
        assert all(one.receipt for one in run(checked, rendered, how, journal=journal))
        assert rendered.prepared == 1
    assert form._attached.cache_info().misses == 1
    parts = {request.fields["attachment0"] for request in this.requests}
    texts = sorted((request.fields["message"] for request in this.requests), key=len)
    assert len(parts) == 1 and len(texts) == 5
    everything = prepare([photo], text=texts[-1])
    assert everything.total_bytes <= 300_000 < everything.total_bytes + 15_000, "the budget is used"


def test_people_with_files_of_their_own_get_those(tmp_path: Path) -> None:
    for name, side in (("ann", 40), ("bob", 60)):
        Image.new("RGB", (side, side), "red").save(tmp_path / f"{name}.png")
    path = listed(tmp_path, "Code,Mobile\nann,61400000001\nbob,61400000002\nann,61400000003\n")
    asked = campaign_of(path, "", f"{tmp_path}/{{Code}}.png")
    checked = check(asked)
    with Rendered(checked) as rendered, gateway(counts_ids()) as this, Journal(tmp_path / "j.db") as journal:
        how = Sending(account=Account("me", "secret", this.url))
        assert all(one.receipt for one in run(checked, rendered, how, journal=journal))
        assert rendered.prepared == 2
    got = {request.recipient: request.fields["attachment0"] for request in this.requests}
    assert got["61400000001"] == got["61400000003"] != got["61400000002"]


@pytest.mark.parametrize("called", ["ann.png", "{folder}/ann.png"])
def test_a_priority_is_for_whoever_gets_that_file(tmp_path: Path, called: str) -> None:
    folder = tmp_path / "extra"
    folder.mkdir()
    for path in (tmp_path / "ann.png", tmp_path / "bob.png", folder / "card.png"):
        Image.new("RGB", (40, 40), "red").save(path)
    path = listed(tmp_path, "Code,Mobile\nann,61400000001\nbob,61400000002\n")
    wishes = {called.format(folder=tmp_path): 2.0, "card.png": 0.5}
    asked = campaign_of(path, "", f"{tmp_path}/{{Code}}.png", str(folder), job=Job(attachments=(), priorities=wishes))
    checked = check(asked)
    with Rendered(checked) as rendered:
        messages = list(rendered.messages(Words("", "", files) for files in checked.groups))
    assert [len(message.parts) for message in messages if isinstance(message, Message)] == [2, 2]


def test_a_priority_for_nobodys_file_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "red").save(tmp_path / "ann.png")
    path = listed(tmp_path, "Code,Mobile\nann,61400000001\n")
    asked = campaign_of(
        path, "", f"{tmp_path}/{{Code}}.png", job=Job(attachments=(), priorities={"ann.png": 2, "anne.png": 2})
    )
    with pytest.raises(UsageError, match=r"'anne\.png', which is nobody's file; nothing was sent"):
        check(asked)


# Sending.
@pytest.mark.parametrize("via", ["http", "mm7"])
def test_everybody_gets_their_own_words_once_and_a_second_run_nothing(tmp_path: Path, via: str) -> None:
    asked = campaign_of(numbered(tmp_path, 40))
    checked = check(asked)
    with Sandbox() as sandbox, Journal(tmp_path / "j.db") as journal:
        how = Sending(account=Account("sandbox", "sandbox", sandbox.url), via=via)
        with Rendered(checked) as rendered:
            first = list(run(checked, rendered, how, journal=journal, pace=Pace(at_once=7)))
            again = list(run(checked, rendered, how, journal=journal))
        submissions = [one.judgement.submission for one in sandbox.accepted]
        counts = write_report(
            tmp_path / "report.csv", asked, journal=journal, key=campaign_key(asked), gateway=how.account.url
        )
    texts = {one.number: one.content.parts[0].text for one in submissions if one}
    assert texts == {str(61400000000 + n): f"Hi P{n}" for n in range(40)}
    assert len(submissions) == 40 and all(one.receipt and not one.receipt.earlier for one in first)
    assert all(one.receipt and one.receipt.earlier for one in again)
    assert counts == {"accepted": 40}


def test_a_pace_is_kept(tmp_path: Path) -> None:
    with gateway(counts_ids()) as this, Journal(tmp_path / "j.db") as journal:
        began_s = time.monotonic()
        sent(campaign_of(numbered(tmp_path, 6)), this.url, journal, pace=Pace(per_second=5))
        assert time.monotonic() - began_s >= 0.95


def refuses(numbers: set[str]) -> Any:
    def reply(request: Request) -> bytes:
        return http("FAILURE: barred" if request.recipient in numbers else f"Success. ID = {request.recipient}00000")

    return answers(reply)


def test_single_failures_do_not_end_it_many_do_and_the_next_run_goes_on(tmp_path: Path) -> None:
    asked = campaign_of(numbered(tmp_path, 60))
    some, many = {"61400000005", "61400000040"}, {str(61400000000 + n) for n in range(20, 60)}
    with Journal(tmp_path / "j.db") as journal:
        with gateway(refuses(some)) as this:
            done = sent(asked, this.url, journal, key="one", failures=Failures(in_a_row=3))
        assert Counter(one.error is None for one in done) == {True: 58, False: 2}
        with gateway(refuses(many)) as this:
            with pytest.raises(TooManyFailures, match="5 failures in a row"):
                sent(asked, this.url, journal, key="two", failures=Failures.of("5"), pace=Pace(at_once=2))
            assert 25 <= len(this.requests) <= 33
            before = Counter(request.recipient for request in this.requests)
        with gateway(counts_ids()) as this:
            account = Account("me", "secret", this.url)
            left = sent(asked, this.url, journal, key="three")
            assert len(left) == 60 and account.url == this.url
        assert max(before.values()) == 1
        with gateway(refuses(many)) as this, pytest.raises(TooManyFailures, match=r"more than 5\.0%"):
            sent(asked, this.url, journal, key="four", failures=Failures.of("5%"))


def test_what_everybody_would_meet_ends_it_at_once(tmp_path: Path) -> None:
    asked = campaign_of(numbered(tmp_path, 50))
    for number, reply in enumerate((http("", 401), http("FAILURE: message too large"), http("oops", 503))):
        with gateway(answers(reply)) as this, Journal(tmp_path / f"{number}.db") as journal:
            with pytest.raises(TooManyFailures, match="everybody would meet the same"):
                sent(asked, this.url, journal, pace=Pace(at_once=2))
            assert len(this.requests) <= 4


def refuses_content(of: Any) -> Any:
    """A gateway that takes no content of whoever ``of`` says."""

    def reply(request: Request) -> bytes:
        refused = of(request)
        return http("FAILURE: unsupported media type" if refused else f"Success. ID = {request.recipient}00000")

    return answers(reply)


def test_a_content_that_is_refused_to_one_in_their_own_words_is_theirs_alone(tmp_path: Path) -> None:
    asked = campaign_of(numbered(tmp_path, 40))
    theirs = {"61400000000", "61400000020"}
    refuses_them = refuses_content(lambda request: request.recipient in theirs)
    with gateway(refuses_them) as this, Journal(tmp_path / "j.db") as journal:
        done = sent(asked, this.url, journal)
    assert {one.decided.recipient: one.error.code for one in done if one.error} == dict.fromkeys(
        theirs, "content_refused"
    )
    assert len(done) == 40


def test_everybody_can_get_seconds_of_a_recording(tmp_path: Path, sample_media: Path) -> None:
    """All the same ones, or those of a file of their own; a file that is not there is told before anything is sent."""
    recording = (sample_media / "formats/a-law.wav").read_bytes()
    for name in ("all.wav", "Bob.wav", "Änne.wav"):
        (tmp_path / name).write_bytes(recording)
    people = read_people(listed(tmp_path))
    files = (Template(f"{tmp_path}/all.wav[0.2-0.7s]"), Template(f"{tmp_path}/{{Name}}.wav[0-0.5s]"))
    checked = check(Campaign(people=people, files=files))
    with Rendered(checked) as rendered:
        for decided in decisions(checked.campaign):
            assert decided.words is not None
            spans = [part.span for part in rendered.message(decided.words).parts]
            assert spans == [Span(0.2, 0.7), Span(0.0, 0.5)]
    for missing in (f"{tmp_path}/none.wav[0-1s]", f"{tmp_path}/{{Name}}.ogg[0-1s]"):
        with pytest.raises(MmsprepError, match="no such file"):
            check(Campaign(people=people, files=(Template(missing),)))


def test_a_content_that_all_get_ends_it_at_the_first_refusal(tmp_path: Path) -> None:
    asked = campaign_of(numbered(tmp_path, 40), "The same to all")
    with gateway(refuses_content(lambda request: True)) as this, Journal(tmp_path / "j.db") as journal:
        with pytest.raises(TooManyFailures, match="everybody would meet the same"):
            sent(asked, this.url, journal, pace=Pace(at_once=1))
        assert len(this.requests) <= 2
        with pytest.raises(TooManyFailures, match="refused this very content"):
            sent(asked, this.url, journal, pace=Pace(at_once=1))
        assert len(this.requests) <= 2, "the journal knows, and nobody is asked again"


def test_files_that_the_gateway_refuses_are_not_sent_to_the_others_who_get_them(tmp_path: Path) -> None:
    for name, side in (("good", 40), ("bad", 60)):
        Image.new("RGB", (side, side), "red").save(tmp_path / f"{name}.png")
    rows = "".join(f"P{n},{'bad' if n % 2 else 'good'},{61400000000 + n}\n" for n in range(60))
    asked = campaign_of(listed(tmp_path, f"Name,Code,Mobile\n{rows}"), "Hi {Name}", f"{tmp_path}/{{Code}}.png")
    bad = {str(61400000000 + n) for n in range(60) if n % 2}
    refuses_them = refuses_content(lambda request: request.recipient in bad)
    with gateway(refuses_them) as this, Journal(tmp_path / "j.db") as journal:
        done = sent(asked, this.url, journal, pace=Pace(at_once=2), failures=Failures(in_a_row=0))
    failed = {one.decided.recipient for one in done if one.error}
    assert failed == bad and len(done) == 60
    assert {one.error.code for one in done if one.error} == {"content_refused"}
    asked_for = [request.recipient for request in this.requests if request.recipient in bad]
    assert 2 <= len(asked_for) <= 6, "two people's words were tried, and who was under way then"


def test_files_of_their_own_are_prepared_at_the_same_time_and_kept_apart(tmp_path: Path) -> None:
    for number in range(14):
        Image.new("RGB", (30 + number, 30), "red").save(tmp_path / f"{number}.png")
    rows = "".join(f"{n % 14},{61400000000 + n}\n" for n in range(28))
    asked = campaign_of(listed(tmp_path, f"Code,Mobile\n{rows}"), "", f"{tmp_path}/{{Code}}.png")
    checked = check(asked)
    with Rendered(checked) as rendered:
        words = [one.words for one in decisions(asked) if one.words]
        found = [message for message in rendered.messages(words) if not isinstance(message, MmsprepError)]
        assert [message.parts[0].width_px for message in found] == [30 + n % 14 for n in range(28)]
        assert rendered.prepared == 14, "each set once, also where it had to leave memory"


def test_a_stop_ends_it_after_what_is_under_way(tmp_path: Path) -> None:
    stop = threading.Event()
    asked = campaign_of(numbered(tmp_path, 200))
    checked = check(asked)
    with gateway(counts_ids()) as this, Journal(tmp_path / "j.db") as journal, Rendered(checked) as rendered:
        how = Sending(account=Account("me", "secret", this.url))
        for number, outcome in enumerate(run(checked, rendered, how, journal=journal, stop=stop)):
            if number == 10:
                stop.set()
            assert outcome.receipt
        accepted = len(this.requests)
        assert 10 <= accepted < 60
        states = Counter(entry.state.value for entry in journal.entries())
    assert states == {"accepted": accepted}, "what was begun was settled"


@pytest.mark.posix("signals")
def test_kill_9_at_any_moment_nobody_twice_nobody_lost(tmp_path: Path) -> None:
    """Killed and begun again until it ends; who was in the air at a kill is unknown, everybody else has it once."""
    count = 60
    path = numbered(tmp_path, count)

    def slowly(request: Request) -> bytes:
        time.sleep(0.05)
        return http(f"Success. ID = {request.recipient}00000")

    slow = answers(slowly)
    with gateway(slow) as this:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MMSPREP")}
        environment |= {
            "SMSGLOBAL_USERNAME": "me",
            "SMSGLOBAL_PASSWORD": "x" * 8,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-m", "mmsprep", "campaign", str(path), "-m", "Hi {Name}", "--yes"]
        command += ["--gateway", this.url, "--max-failures", "0"]
        for kill_after in (3, 17, 31, None):
            process = subprocess.Popen(
                command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
            )
            goal = None if kill_after is None else len(this.requests) + kill_after
            ends_at = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < ends_at:
                if goal is not None and len(this.requests) >= goal:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.005)
            _, told = process.communicate(timeout=120)
        got = Counter(request.recipient for request in this.requests)
    assert max(got.values()) == 1, "nobody twice"
    states = {one.recipient: one.status.value for one in track(journal=f"{path}.journal.db")}
    everybody = {str(61400000000 + n) for n in range(count)}
    assert set(states) == everybody, told
    unknown = {number for number, status in states.items() if status == "unknown"}
    assert set(got) | unknown == everybody, "nobody lost"
    assert all(states[number] == "accepted" for number in everybody - unknown)
    assert len(unknown) <= 3 * 8, "what was being sent at each of three kills, and not who was to come next"
    assert process.returncode == (12 if unknown else 0)
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["state"] for row in rows) == Counter(states.values())


@pytest.mark.posix("signals")
def test_a_second_interrupt_waits_for_no_gateway_that_hangs(tmp_path: Path) -> None:
    """The first says what it waits for; after the second what was under way is unknown, and everybody else is not."""
    path = numbered(tmp_path, 30)
    with gateway(succeeds(), succeeds(), succeeds(), never_answers) as this:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MMSPREP")}
        environment |= {"SMSGLOBAL_USERNAME": "me", "SMSGLOBAL_PASSWORD": "x" * 8}
        environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "mmsprep", "campaign", str(path), "-m", "Hi {Name}", "--yes"]
        command += ["--gateway", this.url, "--at-once", "2"]
        with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            try:
                until(lambda: len(this.requests) == 5)
                process.send_signal(signal.SIGINT)
                assert process.stderr is not None
                lines = iter(process.stderr.readline, "")
                assert any("once more" in line for line in lines)
                process.send_signal(signal.SIGTERM)
                # The gateway would let it wait for two minutes.
                _, told = process.communicate(timeout=60)
            finally:
                process.kill()
    assert process.returncode == 130 and "is unknown" in told and "Traceback" not in told
    states = Counter(one.status.value for one in track(journal=f"{path}.journal.db"))
    assert states == {"accepted": 3, "unknown": 2}
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = Counter(row["state"] for row in csv.DictReader(file))
    assert rows == {"accepted": 3, "sending": 2, "not_reached": 25}


# The report.
def test_no_cell_of_the_report_is_a_formula(tmp_path: Path) -> None:
    text = "Name;Mobile\n=HYPERLINK(1);61400000001\nx;=1+1\ny;@SUM(1)\nz;-61400000002\nw;+61400000003\n"
    asked = campaign_of(listed(tmp_path, text), "Hi", skip_invalid=True)
    with Journal(tmp_path / "j.db") as journal:
        write_report(tmp_path / "report.csv", asked, journal=journal, key="k", gateway="http://x")
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=1+1" in cells and "'@SUM(1)" in cells and "'+61400000003" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.posix("permissions")
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_report_that_cannot_be_written_ends_it_before_anything_is_sent(tmp_path: Path, invoke: Any) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    for place in (closed / "report.csv", closed / "deeper" / "report.csv"):
        done = invoke(numbered(tmp_path, 3), "-m", "Hi", "--yes", "--report-csv", place)
        assert done.exit_code == OutputError.exit_status and "takes no files" in done.output
        assert not done.sandbox.accepted


def test_only_an_earlier_report_of_the_same_campaign_is_overwritten(tmp_path: Path) -> None:
    asked = campaign_of(numbered(tmp_path, 2))
    place = tmp_path / "report.csv"
    with Journal(tmp_path / "j.db") as journal:
        for _ in range(2):
            assert write_report(place, asked, journal=journal, key="k", gateway="x") == {"not_reached": 2}
        place.write_text("my,own,figures\n")
        with pytest.raises(OutputError, match="stays"):
            write_report(place, asked, journal=journal, key="k", gateway="x")
    assert place.read_text() == "my,own,figures\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".mms")] == []


def test_the_report_of_another_campaign_is_kept(tmp_path: Path) -> None:
    asked = campaign_of(numbered(tmp_path, 2))
    other = campaign_of(numbered(tmp_path, 3).rename(tmp_path / "others.csv"))
    place, real, trial = tmp_path / "report.csv", "https://x.example", "http://127.0.0.1:8765"

    def written(campaign: Campaign, key: str, gateway_url: str) -> list[str]:
        write_report(place, campaign, journal=journal, key=key, gateway=gateway_url)
        with place.open(encoding="utf-8-sig", newline="") as file:
            assert {(row["key"], row["gateway"]) for row in csv.DictReader(file)} == {(key, gateway_url)}
        return sorted(path.name for path in tmp_path.glob("report*"))

    with Journal(tmp_path / "j.db") as journal:
        place.write_text("line,number,to,state,reason\n2,61400000001,,accepted,\n")
        first = ["report-earlier.csv", "report.csv"]
        assert written(asked, "first/word", trial) == first, "earlier versions did not say whose it was"
        assert written(asked, "first/word", real) == first, "a trial's gives way"
        assert written(asked, "first/word", real) == first
        assert written(asked, "2", real) == ["report-earlier.csv", "report-firstword.csv", "report.csv"]
        assert written(asked, "first/word", real)[0] == "report-2.csv"
        both = ["report-2.csv", "report-earlier.csv", "report-firstword.csv", "report.csv"]
        assert written(asked, "2", real) == both, "in place of the same campaign's earlier one"
        written(asked, "first/word", real)
        assert written(other, "first/word", real) == both
        assert written(other, "first/word", trial) == sorted([*both, "report-firstword-2.csv"])
        assert "others.csv" in (tmp_path / "report-firstword-2.csv").read_text()


# The command.
@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    with Sandbox() as sandbox:
        environment = {"SMSGLOBAL_USERNAME": "sandbox", "SMSGLOBAL_PASSWORD": "sandbox", "COLUMNS": "200"}

        def invoked(*arguments: object) -> Any:
            words = [*map(str, arguments), "--gateway", sandbox.url]
            result = CliRunner().invoke(app, ["campaign", *words], env=environment)
            result.sandbox = sandbox  # type: ignore[attr-defined]
            return result

        yield invoked


def test_the_command_shows_three_messages_and_totals_before_it_begins(tmp_path: Path, invoke: Any, photo: Path) -> None:
    path = listed(tmp_path, "Name;Mobile\nAnn;61400000001\nBob;61400000002\nCid;61400000003\nDan;61400000004\n")
    (tmp_path / "no.txt").write_text("0400 000 004\n")
    done = invoke(
        *(path, photo, "-m", "Hi {name} {{:-)}}", "-s", "For {NAME}", "--except", "no.txt", "--country", "AU"),
        *("--per-second", 100, "--price", 0.25, "--yes"),
    )
    assert done.exit_code == 0, done.output
    for words in (
        "4 people, CSV with ';', columns Name, Mobile",
        "numbers are in 'Mobile'; --to-column names another",
        "3 to be sent to",
        "1 on the list of exceptions",
        "1 of 3: line 2, to 61400000001",
        "text: Hi Cid {:-)}",
        "subject: For Bob",
        "3 messages, up to",
        "at 0.25 each: 0.75",
    ):
        assert words in done.output, done.output
    assert len(done.sandbox.accepted) == 3
    again = invoke(path, photo, "-m", "Hi {name} {{:-)}}", "-s", "For {NAME}", "--yes", "--country", "AU", "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["people"] == {"accepted": 4}
    assert len(done.sandbox.accepted) == 4, "the one that was an exception, and nobody again"


def test_who_got_it_before_a_word_was_mended_can_be_left_out(tmp_path: Path, invoke: Any) -> None:
    first = invoke(listed(tmp_path, "Mobile\n61400000001\n"), "-m", "Helo", "--yes")
    assert first.exit_code == 0 and "1 message, up to" in first.output and "note" not in first.output, first.output
    path = listed(tmp_path, "Mobile\n61400000001\n61400000002\n")
    again = invoke(path, "-m", "Hello", "--yes")
    assert "note: 1 of 2 people were sent other words or files within a day" in again.output, again.output
    assert again.exit_code == 0 and len(again.sandbox.accepted) == 3, "another text is another campaign"
    assert "note: report.csv was of another campaign, which is kept as report-" in again.output
    key = again.output.partition("with --key ")[2].split()[0]
    mended = invoke(path, "-m", "Hello!", "--key", key, "--yes")
    assert mended.exit_code == 0 and "the journal has 1 of them already" in mended.output, mended.output
    assert len(mended.sandbox.accepted) == 4, "the one who had not had it under this key"


def test_nothing_is_sent_where_something_is_wrong_or_nobody_says_yes(tmp_path: Path, invoke: Any) -> None:
    path = listed(tmp_path)
    for arguments, words in (
        ((path, "-m", "Hi {Nmae}", "--yes"), "no column 'Nmae'"),
        ((path, "-m", "Hi {City}", "--yes"), "nothing was sent\n  line 3: the text: City is empty"),
        ((path, "-m", "Hi {"), "doubled"),
        ((path, "-m", "Hi"), "--yes"),
        ((path, "-m", "Hi", "--to-column", "X", "--yes"), "no column 'X'"),
        ((path, "-m", "Hi", "--max-failures", "x", "--yes"), "a number in a row"),
        ((path, "-m", "Hi", "--report", "read", "--yes"), "--via mm7"),
    ):
        done = invoke(*arguments)
        assert done.exit_code == 2 and words in done.output, done.output
    assert not done.sandbox.exchanges
    assert not (tmp_path / "report.csv").exists()


def test_an_unknown_outcome_is_reported_and_not_sent_again(tmp_path: Path) -> None:
    asked = campaign_of(numbered(tmp_path, 1))
    with gateway(resets_before_the_reply, counts_ids()) as this, Journal(tmp_path / "j.db") as journal:
        first = sent(asked, this.url, journal)
        again = sent(asked, this.url, journal)
        report = io.StringIO()
        write_report(tmp_path / "r.csv", asked, journal=journal, key=campaign_key(asked), gateway=this.url)
        report.write((tmp_path / "r.csv").read_text("utf-8-sig"))
    assert [one.error.code if one.error else "" for one in (*first, *again)] == [
        "send_outcome_unknown",
        "earlier_outcome_unknown",
    ]
    assert ",unknown," in report.getvalue() and this.connections == 1


def test_send_warns_of_braces_that_look_like_fields(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        environment = {"SMSGLOBAL_USERNAME": "sandbox", "SMSGLOBAL_PASSWORD": "sandbox"}
        common = ["send", "--to", "61400000001", "--yes", "--gateway", sandbox.url, "-m"]
        assert "campaign fills in fields" in CliRunner().invoke(app, [*common, "Hi {name}"], env=environment).output
        assert "campaign" not in CliRunner().invoke(app, [*common, "f(x) = {1, 2}"], env=environment).output
    assert has_fields("{First name|you}") and not has_fields("{} {1} { x }")


def test_the_doors_send_the_same_bytes_for_shared_parts(tmp_path: Path, photo: Path) -> None:
    """What is packed once is what would be packed each time."""
    message = prepare([photo], text="Hi")
    account = Account("me", "secret", "http://127.0.0.1:1")
    for door in (form, soap):
        first = door.build_request(message, to="61400000001", account=account, transaction_id="t")
        again = door.build_request(message, to="61400000001", account=account, transaction_id="t")
        assert first.body == again.body


def test_what_is_no_text_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(random.Random(1).randbytes(9_000))
    with pytest.raises(TypeNotAllowed, match="is no text"):
        read_people(path)


def test_columns_that_a_spreadsheet_left_empty_are_none(tmp_path: Path) -> None:
    people = read_people(listed(tmp_path, "Mobile,Name,,\n61400000001,Ann,,\n"))
    assert people.columns == ("Mobile", "Name")


@pytest.mark.parametrize("pace", [{"at_once": 0}, {"at_once": 100_000}, {"per_second": -1}, {"per_second": 1e9}])
def test_a_pace_that_nobody_could_keep_is_refused(pace: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Pace(**pace)
