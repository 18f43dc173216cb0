"""What the receiver counts, in Prometheus' text form.

Comes in: events. Goes out: numbers. Never: a message's content, sender or id.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

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
        self.waiting = Gauge("mmsprep_forward_pending", "Messages not yet forwarded.", registry=place)
        self.dead = Gauge("mmsprep_forward_dead", "Messages whose forwarding was given up.", registry=place)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
