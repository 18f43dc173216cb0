"""Celery tasks, called as ``send_mms.delay(order.pk, order.phone, "Your order", [order.photo.path])`` from Django.

The task is retried only where nothing can have been sent; what may have been accepted is left to a person.
"""

from __future__ import annotations

import os
import tempfile

from celery import shared_task

from mmsprep import pre_send, prepare, send
from mmsprep.errors import NotSent


@shared_task(bind=True, autoretry_for=(NotSent,), retry_backoff=True, retry_jitter=True, max_retries=5)
def send_mms(self, order_id: int, phone: str, text: str, paths: list[str]) -> str:  # noqa: ANN001, ARG001
    """Prepare and send by mmsprep's own sender; the journal keeps a task that is run twice from sending twice."""
    message = prepare(paths, text=text)
    journal = os.environ["MMS_JOURNAL"]
    return send(message, to=phone, country="AU", journal=journal, key=f"order-{order_id}").message_id


@shared_task
def queue_mms(phone: str, text: str, paths: list[str]) -> dict:
    """Where another service does the sending: the hook makes its payload conform, files in a folder of the task's."""
    payload = {"to": phone, "body": text, "attachments": paths}
    folder = tempfile.mkdtemp(prefix="outbox-", dir=os.environ.get("MMS_OUTBOX"))
    return pre_send(payload, country="AU", folder=folder)
