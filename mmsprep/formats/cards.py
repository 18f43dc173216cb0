"""Cards and calendar entries: texts that a phone takes into its address book or calendar.

Comes in: nothing. Goes out: rows. Never: what stands in them.

RFC 2426 and 6350 (vCard), RFC 5545 (iCalendar).
"""

from __future__ import annotations

from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

register(
    Format(
        slug="vcard",
        title="vCard",
        kind=Kind.TEXT,
        content_type="text/x-vcard",
        extension="vcf",
        also_named="vcard",
        text_starts=(r"\ABEGIN:VCARD\b",),
    )
)
register(
    Format(
        slug="icalendar",
        title="calendar entry",
        kind=Kind.TEXT,
        content_type="text/calendar",
        extension="ics",
        also_named="ical ifb vcs",
        text_starts=(r"\ABEGIN:VCALENDAR\b",),
    )
)
