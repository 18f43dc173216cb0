"""A Django e-mail backend that sends MMS: ``EMAIL_BACKEND = "shop.django_backend.MmsBackend"``, or one beside your own.

>>> from django.core.mail import EmailMessage, get_connection
>>> mail = EmailMessage("Your order", "It is on its way", to=["0409 317 436"])  # doctest: +SKIP
>>> mail.attach_file("photo.heic")  # doctest: +SKIP
>>> get_connection("shop.django_backend.MmsBackend").send_messages([mail])  # doctest: +SKIP

Settings: ``MMS_COUNTRY`` (two letters), ``MMS_JOURNAL`` (a file or a PostgreSQL URL). What became of each recipient
is in ``mail.mms_status``: number to a receipt or an error, as django-anymail keeps its ``anymail_status``.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from mmsprep import Journal, MmsprepError, deliver, pre_send, prepare


class MmsBackend(BaseEmailBackend):
    """Prepares each message once and sends it to each of its recipients; ``cc`` and ``bcc`` are recipients too."""

    def open(self) -> bool:
        """Open the journal; true where it was closed."""
        if getattr(self, "journal", None) is not None or not getattr(settings, "MMS_JOURNAL", ""):
            return False
        self.journal = Journal(settings.MMS_JOURNAL)
        return True

    def close(self) -> None:
        """Close the journal."""
        if getattr(self, "journal", None) is not None:
            self.journal.close()
        self.journal = None

    def send_messages(self, email_messages: list[EmailMessage]) -> int:
        """How many of the messages every recipient's gateway accepted."""
        is_mine = self.open()
        try:
            return sum(self._send(mail) for mail in email_messages if mail.recipients())
        finally:
            if is_mine:
                self.close()

    def _send(self, mail: EmailMessage) -> bool:
        mail.mms_status = status = {}
        try:
            ready = pre_send(mail, country=getattr(settings, "MMS_COUNTRY", ""))
            # Conforming already, so that preparing keeps every byte; Django holds a text as str.
            contents = [(name, data.encode() if isinstance(data, str) else data) for name, data, _ in ready.attachments]
            message = prepare(contents, text=ready.body, subject=ready.subject)
            everybody = mail.recipients()
            for done in deliver(message, to=everybody, country=getattr(settings, "MMS_COUNTRY", ""), **self._how(mail)):
                status[done.recipient] = done.receipt or done.error
            failed = [one for one in status.values() if isinstance(one, MmsprepError)]
            if failed:
                raise failed[0]
        except MmsprepError:
            if not self.fail_silently:
                raise
            return False
        return True

    def _how(self, mail: EmailMessage) -> dict[str, Any]:
        """A key of the message's own in ``X-MMS-Key`` makes sending it twice impossible, e.g. the order's number."""
        return {"journal": getattr(self, "journal", None), "key": mail.extra_headers.get("X-MMS-Key", "")}
