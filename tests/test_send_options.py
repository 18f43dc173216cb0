"""What MM7 can be asked for: reports, expiry, earliest time, priority, a short code; judged by the schema."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from deadlines import serving
from loopback import gateway, succeeds
from typer.testing import CliRunner

from mmsprep import Account, Message, SubmitOptions, deliver, prepare, send
from mmsprep.cli import app
from mmsprep.errors import AddressError, UsageError
from mmsprep.mm7 import Submit
from mmsprep.receive import open_store
from mmsprep.receive.incoming import What
from mmsprep.sandbox import Sandbox
from mmsprep.sender import origin

TO = "61409317436"


@pytest.fixture(scope="module")
def message() -> Message:
    return prepare([], text="Hello", subject="Hi")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def account(sandbox: Sandbox) -> Account:
    return Account("sandbox", "sandbox", sandbox.url)


def submitted(message: Message, **values: Any) -> Submit:
    """The SubmitReq as a gateway that checks the schema has it."""
    with gateway(succeeds()) as this:
        send(message, to=TO, account=Account("me", "secret", this.url), via="mm7", **values)
        (request,) = this.requests
    submit = request.submit
    assert submit.problems == () and submit.misfits == ()
    return submit


def test_everything_together_stands_in_the_schemas_order(message: Message, sandbox: Sandbox) -> None:
    options = SubmitOptions("delivery,read", expiry="2d", earliest="90m", priority="HIGH")
    submit = submitted(message, options=options, sender="19197")
    assert (submit.delivery_report, submit.read_reply) == (True, True)
    assert (submit.expiry, submit.earliest, submit.priority) == ("P2D", "PT5400S", "High")
    assert (submit.sender, submit.sender_is_short_code) == ("19197", True)
    receipt = send(message, to=TO, account=account(sandbox), via="mm7", options=options, sender="19197")
    accepted = sandbox.accepted[-1]
    assert accepted.judgement.message_id == receipt.message_id
    assert accepted.judgement.submission and accepted.judgement.submission.wants_read


def test_nothing_is_asked_for_by_itself(message: Message) -> None:
    submit = submitted(message)
    asked = (submit.delivery_report, submit.read_reply, submit.expiry, submit.earliest, submit.priority)
    assert asked == (False, False, "", "", "")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("36h", "PT129600S"),
        ("1w", "P7D"),
        ("45 min", "PT2700S"),
        ("P1DT12H", "P1DT12H"),
        (timedelta(days=3), "P3D"),
        (timedelta(seconds=90), "PT90S"),
        ("2999-12-01T10:00:00+11:00", "2999-11-30T23:00:00Z"),
        (datetime(2999, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2998-12-31T23:00:00Z"),
    ],
)
def test_times_are_taken_as_people_write_them(message: Message, value: Any, told: str) -> None:
    assert submitted(message, options=SubmitOptions(expiry=value)).expiry == told
    assert submitted(message, options=SubmitOptions(earliest=value)).earliest == told


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"report": "delivery,gelesen"}, "expected delivery or read"),
        ({"priority": "urgent"}, "expected low or normal or high"),
        ({"expiry": "soon"}, "expected a time like 36h"),
        ({"expiry": "0h"}, "not in the future"),
        ({"earliest": "2001-01-01T00:00Z"}, "not in the future"),
        ({"expiry": 5}, "is an int"),
        ({"expiry": "1h", "earliest": "2h"}, "expire before"),
        ({"expiry": datetime.now(UTC) + timedelta(hours=1), "earliest": "2h"}, "expire before"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(values: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SubmitOptions(**values)


def test_the_form_refuses_what_it_has_no_field_for(message: Message, sandbox: Sandbox) -> None:
    before = len(sandbox.exchanges)
    with pytest.raises(UsageError, match="report, priority: the HTTP form has no field for it"):
        send(message, to=TO, account=account(sandbox), options=SubmitOptions("read", priority="low"))
    with pytest.raises(UsageError, match="short code goes by --via mm7"):
        send(message, to=TO, account=account(sandbox), sender="19197")
    assert len(sandbox.exchanges) == before


@pytest.mark.parametrize(
    ("written", "digits", "is_short_code"),
    [
        ("19197", "19197", True),
        ("19123456", "19123456", True),
        ("444", "444", True),
        ("61400000000", "61400000000", False),
        ("+49 170 1234", "491701234", False),
        ("4512345", "4512345", False),
    ],
)
def test_a_short_code_is_told_from_a_number(written: str, digits: str, is_short_code: bool) -> None:
    found = origin(written)
    assert (found.digits, found.is_short_code) == (digits, is_short_code)


def test_a_name_is_no_sender() -> None:
    with pytest.raises(AddressError):
        origin("ACME")


def test_the_command_asks_and_the_reports_come_to_the_receiver_by_message_id(tmp_path: Path) -> None:
    from mmsprep.receive import create_app
    from mmsprep.receive.serve import listen, make_server

    with open_store(tmp_path / "inbox") as store, listen("127.0.0.1", 0) as listener:
        server = make_server(create_app(store, secret="/in/a-secret-path-of-mine"))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/in/a-secret-path-of-mine"
        with serving(server, listener), Sandbox(notify=url) as running:
            environment = {"SMSGLOBAL_USERNAME": "sandbox", "SMSGLOBAL_PASSWORD": "sandbox"}
            arguments = ["send", "--to", TO, "-m", "Hello", "--via", "mm7", "--from", "19197", "--yes"]
            arguments += ["--report", "delivery,read", "--expiry", "2d", "--priority-class", "low"]
            done = CliRunner().invoke(app, [*arguments, "--gateway", running.url], env=environment)
            assert done.exit_code == 0, done.output
            running.told(2)
            message_id = running.accepted[0].judgement.message_id
        found = store.messages()
    assert {(one.what, one.status, one.about_id) for one in found} == {
        (What.DELIVERY_REPORT, "Retrieved", message_id),
        (What.READ_REPLY, "Read", message_id),
    }
    assert {one.sender for one in found} == {"19197"}


@pytest.mark.parametrize("extra", [["--report", "read"], ["--expiry", "2d"], ["--from", "19197"]])
def test_the_command_says_at_once_that_the_form_cannot(extra: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["send", "--to", TO, str(tmp_path / "not-looked-at.jpg"), "--yes", *extra])
    assert done.exit_code == 2
    assert "--via mm7" in done.output


def test_several_recipients_are_all_asked_for(message: Message, sandbox: Sandbox) -> None:
    sandbox.clear()
    options = SubmitOptions(report=["delivery"])
    done = list(deliver(message, to=[TO, "61400000001"], account=account(sandbox), via="mm7", options=options))
    assert all(one.receipt for one in done)
    assert [one.judgement.submission.wants_report for one in sandbox.accepted if one.judgement.submission] == [True] * 2
