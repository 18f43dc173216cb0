"""The form of ``sendmms.php``: judged as the published table says, and answered in its words.

Comes in: a request. Goes out: a :class:`Judgement`, and the answer to one. Never: HTTP itself, or a field that
the table does not know.
"""

from __future__ import annotations

import difflib
import hmac
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from mmsprep.errors import MalformedEnvelope
from mmsprep.formats import Format
from mmsprep.message.mime import Entity, parse_multipart
from mmsprep.mm7.status import status_of
from mmsprep.sandbox.content import compose, read_content
from mmsprep.sandbox.exchange import ArrivedRequest, Judgement, Login, Refused, Submission, WireAnswer
from mmsprep.sandbox.rules import (
    FORMAT_CORRUPT,
    MAX_ATTACHMENTS,
    check_media,
    check_name,
    check_number,
    decode_base64,
)

CLIENT_ERROR = 2000
BAD_CREDENTIALS = 2008

_FIELDS = ("username", "password", "from", "number", "subject", "message", "max_dimension", "message_at_start")
_MANDATORY = ("username", "password", "number")
_NUMBERED = re.compile(r"(attachment|type|name)(0|[1-9][0-9]{0,3})")
_MAX_FIELDS = 200


def judge(request: ArrivedRequest, account: Login) -> Judgement:
    """Read, check and take in one request. An accepted one has no ``message_id`` yet."""
    try:
        fields = _fields(request)
        for problem in _problems(fields):
            raise Refused(CLIENT_ERROR, problem)
        return Judgement(status_code=1000, submission=_submission(fields, account))
    except Refused as refused:
        return Judgement(status_code=refused.status_code, reason=refused.reason)


def answer(judgement: Judgement) -> WireAnswer:
    """What the script prints: ``Success. ID = ...``, or ``FAILURE`` with the status of MM7 and the reason."""
    status = status_of(judgement.status_code)
    what = f"{status.code} {status.text}: {judgement.reason}" if status else judgement.reason
    line = f"Success. ID = {judgement.message_id}" if judgement.message_id else f"FAILURE: {what}"
    return WireAnswer(
        http_status=judgement.http_status, content_type="text/plain; charset=utf-8", body=line.encode("utf-8")
    )


def _fields(request: ArrivedRequest) -> dict[str, str]:
    content_type = request.header("Content-Type").partition(";")[0].strip().lower()
    if content_type == "application/x-www-form-urlencoded":
        pairs = _urlencoded(request.body)
    elif content_type == "multipart/form-data":
        pairs = _multipart(request)
    else:
        raise Refused(
            CLIENT_ERROR,
            f"the request is {content_type or 'without a Content-Type'}, expected application/x-www-form-urlencoded",
        )
    if request.query:
        raise Refused(CLIENT_ERROR, "the address has a query string; the fields belong into the body")
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise Refused(CLIENT_ERROR, f"the field {name[:40]!r} stands {count} times")
    return dict(pairs)


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except UnicodeDecodeError as error:
        what = "has bytes beyond ASCII" if error.encoding == "ascii" else "has a field that is not UTF-8"
        raise Refused(FORMAT_CORRUPT, f"the form {what}; every field must be URL-encoded UTF-8") from None
    except ValueError as error:
        raise Refused(CLIENT_ERROR, f"the form is not URL-encoded ({error})") from None


def _multipart(request: ArrivedRequest) -> list[tuple[str, str]]:
    try:
        entities = parse_multipart(Entity((("Content-Type", request.header("Content-Type")),), request.body))
        pairs = []
        for entity in entities:
            disposition = Entity((("Content-Type", entity.header("Content-Disposition")),), b"")
            name = disposition.parameter("name")
            if disposition.parameter("filename"):
                raise Refused(
                    CLIENT_ERROR, f"{name[:40]}: came as an uploaded file, expected a field with base64 in it"
                )
            pairs.append((name, entity.data.decode("utf-8")))
    except MalformedEnvelope as error:
        raise Refused(CLIENT_ERROR, f"the form cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise Refused(FORMAT_CORRUPT, f"the field {name[:40]!r} is not UTF-8") from None
    return pairs


def _problems(fields: Mapping[str, str]) -> Iterator[str]:
    """Where the names of the fields depart from the table, worst first."""
    for name in fields:
        if name not in _FIELDS and not _NUMBERED.fullmatch(name):
            near = difflib.get_close_matches(name.lower(), (*_FIELDS, "attachment0", "type0", "name0"), n=1)
            yield f"the field {name[:40]!r} is unknown" + (f"; did you mean {near[0]!r}?" if near else "")
    for name in _MANDATORY:
        if not fields.get(name):
            yield f"the mandatory field {name!r} is {'empty' if name in fields else 'missing'}"
    numbers = sorted({int(found[2]) for name in fields if (found := _NUMBERED.fullmatch(name))})
    for place, number in enumerate(numbers):
        if number >= MAX_ATTACHMENTS:
            yield f"attachment{number}: attachments are numbered 0 to {MAX_ATTACHMENTS - 1}"
        if number != place:
            yield f"attachment{number}: attachment{place} is missing; attachments are numbered from 0 without a gap"
        for stem in ("attachment", "type", "name"):
            if not fields.get(f"{stem}{number}"):
                state = "empty" if f"{stem}{number}" in fields else "missing"
                yield f"the field '{stem}{number}' is {state}; attachment, type and name go together"
    if not numbers and not fields.get("message"):
        yield "there is neither a message nor an attachment to send"


def _submission(fields: Mapping[str, str], account: Login) -> Submission:
    given = f"{fields['username']}\0{fields['password']}".encode()
    if not hmac.compare_digest(given, f"{account.username}\0{account.password}".encode()):
        raise Refused(BAD_CREDENTIALS, "the username or password is wrong")
    check_number("number", fields["number"])
    if fields.get("from"):
        check_number("from", fields["from"])
    if not re.fullmatch("[1-9][0-9]{0,4}", fields.get("max_dimension", "1024")):
        raise Refused(FORMAT_CORRUPT, f"max_dimension: found {fields['max_dimension'][:20]!r}, expected pixels")
    if fields.get("message_at_start", "1") not in ("0", "1"):
        raise Refused(FORMAT_CORRUPT, f"message_at_start: found {fields['message_at_start'][:20]!r}, expected 1 or 0")
    attachments = list(_attachments(fields))
    text = fields.get("message", "")
    whole = compose(attachments, text, text_at_end=fields.get("message_at_start") == "0")
    subject = fields.get("subject", "")
    if "\n" in subject or "\r" in subject:
        raise Refused(FORMAT_CORRUPT, "subject: has a line end")
    return Submission(
        number=fields["number"],
        sender=fields.get("from", ""),
        subject=subject,
        content=read_content(whole, subject, our_ids=True),
    )


def _attachments(fields: Mapping[str, str]) -> Iterator[tuple[str, str, Format, bytes]]:
    for index in range(MAX_ATTACHMENTS):
        if f"attachment{index}" not in fields:
            return
        data = decode_base64(f"attachment{index}", fields[f"attachment{index}"])
        name, content_type = fields[f"name{index}"], fields[f"type{index}"]
        check_name(f"name{index}", name)
        found = check_media(f"attachment{index} ({name})", content_type, data)
        yield name, content_type.partition(";")[0].strip().lower(), found, data
