"""What the receiver counts, in Prometheus' text form.

Comes in: events. Goes out: numbers. Never: a message's content, sender or id.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from mmsprep.receive.store import Size

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Counters:
    """Counters of one application; several of them in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        place = self._registry
        self.pushes = Counter("mmsprep_pushes", "Pushes by door and outcome.", ("door", "outcome"), registry=place)
        self.bytes = Counter("mmsprep_attachment_bytes", "Bytes of attachments stored.", registry=place)
        self.seconds = Histogram(
            "mmsprep_push_seconds",
            "Time from the request's first byte to the answer.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
            registry=place,
        )
        self.waiting = self._gauge("mmsprep_forward_pending", "Messages not yet forwarded.")
        self.dead = self._gauge("mmsprep_forward_dead", "Messages whose forwarding was given up.")
        self._sizes = {
            "messages": self._gauge("mmsprep_store_messages", "Messages in the store."),
            "attachment_bytes": self._gauge("mmsprep_store_attachment_bytes", "Bytes of attachments in the store."),
            "unreadable": self._gauge("mmsprep_unreadable", "Pushes that could not be read and were kept."),
            "unreadable_bytes": self._gauge("mmsprep_unreadable_bytes", "Bytes of pushes that could not be read."),
            "free_bytes": self._gauge("mmsprep_store_free_bytes", "Room that the store's disk has left."),
        }

    def set_size(self, size: Size) -> None:
        """Tell how much the store holds."""
        for name, gauge in self._sizes.items():
            value = getattr(size, name)
            if value is not None:
                gauge.set(value)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them; those of all worker processes together, where they share a folder."""
        if _FOLDER_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def _gauge(self, name: str, told: str) -> Gauge:
        # What the store says is the same for every process: the last word counts.
        return Gauge(name, told, registry=self._registry, multiprocess_mode="mostrecent")
