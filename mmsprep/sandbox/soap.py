"""MM7 of ``mm7.php``: a SubmitReq with its content, judged by the schema, answered with a SubmitRsp or a Fault.

Comes in: a request. Goes out: a :class:`Judgement`, and the answer to one. Never: HTTP itself.

Errors come as an RSErrorRsp in a SOAP Fault with HTTP status 200, as relays do; wrong credentials as a bare 401.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from typing import TypeVar

from mmsprep import mm7
from mmsprep.errors import MalformedEnvelope
from mmsprep.message.mime import Entity, parse_multipart, root_of
from mmsprep.mm7 import Reply, Submit
from mmsprep.mm7.status import status_of
from mmsprep.sandbox.content import read_content
from mmsprep.sandbox.exchange import ArrivedRequest, Judgement, Login, Refused, Submission, WireAnswer
from mmsprep.sandbox.rules import FORMAT_CORRUPT, MULTIMEDIA, check_number, check_short_code

BAD_CREDENTIALS = 2008
MANY_ADDRESSES = 3003
UNSUPPORTED_VERSION = 4002
UNSUPPORTED_REQUEST = 4003
VALIDATION_ERROR = 4004

_PARTIAL_SUCCESS = (1000, 1100)
_RELEASE = re.compile(r"/REL-([0-9])-MM7-")
_MAX_DETAILS = 8

_Read = TypeVar("_Read")


def judge(request: ArrivedRequest, account: Login) -> Judgement:
    """Read, check and take in one request. An accepted one has no ``message_id`` yet."""
    if not _authorised(request.header("Authorization"), account):
        return Judgement(status_code=BAD_CREDENTIALS, reason="the username or password is wrong", http_status=401)
    transaction_id, namespace = "", mm7.REL_6
    try:
        root, entities = _open(request)
        kind, transaction_id = _read(mm7.request_kind, root)
        if kind != "SubmitReq":
            raise Refused(UNSUPPORTED_REQUEST, f"{kind[:40]} is not supported here, only SubmitReq is")
        submit = _read(mm7.parse_submit, root)
        if submit.namespace in mm7.VERSIONS:
            namespace = submit.namespace
        submission = _submission(submit, entities, account)
        return Judgement(status_code=1000, submission=submission, transaction_id=transaction_id, namespace=namespace)
    except Refused as refused:
        return Judgement(
            status_code=refused.status_code,
            reason=refused.reason,
            transaction_id=transaction_id,
            namespace=namespace,
        )


def answer(judgement: Judgement) -> WireAnswer:
    """A SubmitRsp for success and partial success, otherwise a Fault; nothing but a challenge for a 401."""
    if judgement.http_status == 401:
        challenge = {"WWW-Authenticate": 'Basic realm="mmsprep sandbox"'}
        return WireAnswer(http_status=401, content_type="text/plain", body=b"", headers=challenge)
    status = status_of(judgement.status_code)
    success = judgement.status_code in _PARTIAL_SUCCESS
    reply = Reply(
        kind="SubmitRsp" if success else "RSErrorRsp",
        transaction_id=judgement.transaction_id,
        status_code=judgement.status_code,
        status_text=status.text if status else "",
        details=mm7.holdable(judgement.reason),
        message_id=judgement.message_id,
        fault_code="Client" if judgement.status_code < 3000 else "Server",
        fault_text="" if success else f"Error {judgement.status_code}",
    )
    return WireAnswer(
        http_status=judgement.http_status,
        content_type="text/xml; charset=utf-8",
        body=mm7.build_reply(reply, judgement.namespace),
    )


def _authorised(header: str, account: Login) -> bool:
    scheme, _, encoded = header.partition(" ")
    if scheme != "Basic":
        return False
    try:
        given = base64.b64decode(encoded, validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(given, f"{account.username}:{account.password}".encode())


def _open(request: ArrivedRequest) -> tuple[Entity, list[Entity]]:
    """The envelope's entity and all that travel beside it."""
    whole = Entity((("Content-Type", request.header("Content-Type")),), request.body)
    if whole.content_type == "text/xml":
        return whole, []
    if whole.content_type != "multipart/related":
        found = whole.content_type or "nothing"
        raise Refused(VALIDATION_ERROR, f"the Content-Type is {found}, expected multipart/related or text/xml")
    try:
        entities = parse_multipart(whole)
    except MalformedEnvelope as error:
        raise Refused(VALIDATION_ERROR, f"the MIME body cannot be taken apart: {error}") from None
    root = root_of(whole, entities)
    if root.content_type != "text/xml":
        found = root.content_type or "without a Content-Type"
        raise Refused(VALIDATION_ERROR, f"the root of the multipart is {found}, expected the envelope as text/xml")
    return root, [entity for entity in entities if entity is not root]


def _read(reader: Callable[[bytes], _Read], root: Entity) -> _Read:
    try:
        return reader(root.data)
    except MalformedEnvelope as error:
        raise Refused(VALIDATION_ERROR, f"the envelope {error}") from None


def _submission(submit: Submit, entities: list[Entity], account: Login) -> Submission:
    _check_version(submit)
    if submit.problems:
        more = len(submit.problems) - _MAX_DETAILS
        told = "; ".join(submit.problems[:_MAX_DETAILS]) + (f"; and {more} more" if more > 0 else "")
        raise Refused(VALIDATION_ERROR, told)
    if submit.misfits:
        raise Refused(FORMAT_CORRUPT, "; ".join(submit.misfits[:_MAX_DETAILS]))
    if submit.vasp_id and submit.vasp_id != account.username:
        raise Refused(BAD_CREDENTIALS, "VASPID: is not the username of the account (the SYSTEM ID)")
    if len(submit.to) != 1:
        raise Refused(MANY_ADDRESSES, f"{len(submit.to)} recipients; send one request a recipient")
    check_number("Recipients", submit.to[0])
    if submit.sender_is_short_code:
        check_short_code("SenderAddress", submit.sender)
    elif submit.sender:
        check_number("SenderAddress", submit.sender)
    return Submission(
        number=submit.to[0],
        sender=submit.sender,
        subject=submit.subject,
        wants_report=submit.delivery_report,
        wants_read=submit.read_reply,
        content=read_content(_content(submit, entities), submit.subject),
    )


def _check_version(submit: Submit) -> None:
    """The release in the namespace and the first digit of the version are the same number."""
    release = _RELEASE.search(submit.namespace)
    if submit.namespace not in mm7.VERSIONS and release:
        raise Refused(UNSUPPORTED_VERSION, f"the namespace {submit.namespace} is not supported")
    if submit.version and release and not re.fullmatch(rf"{release[1]}\.[0-9]{{1,2}}\.[0-9]{{1,2}}", submit.version):
        raise Refused(
            UNSUPPORTED_VERSION,
            f"MM7Version {submit.version[:20]!r} does not go with the namespace of release {release[1]}",
        )


def _content(submit: Submit, entities: list[Entity]) -> Entity:
    if not submit.content_id:
        raise Refused(MULTIMEDIA, "the message has no content: the Content element names none")
    found = [entity for entity in entities if entity.content_id == submit.content_id]
    if len(found) != 1:
        raise Refused(MULTIMEDIA, f"{len(found)} parts have the Content-ID {submit.content_id[:60]!r}, expected one")
    if len(entities) > 1:
        raise Refused(MULTIMEDIA, f"{len(entities)} parts beside the envelope, expected the one that Content names")
    return found[0]
