"""What is publicly known of the networks of a country.

Comes in: a country. Goes out: its networks and what each is said to take, with who says so. Never: which network a
number is in: numbers move between networks and keep their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mmsprep.profile.reading import profile_folder

SOURCES = {
    "android-messaging": "the settings of Android's Messaging application for this network",
    "reseller-handbook-au": "the handbook of a reseller of the Australian networks",
    "telnyx": "Telnyx' table of the limits of US networks",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What one source says of a network; ``None`` where it says nothing. ``mcc_mnc`` is as a SIM card tells it.

    ``profile`` is the profile for a relay of that network, empty where there is none; ``source`` is one of
    :data:`SOURCES`.
    """

    country: str
    mcc_mnc: str
    network: str
    limit_bytes: int
    width_px: int | None
    height_px: int | None
    subject_characters: int | None
    profile: str
    source: str


def suggestions(country: str) -> list[Suggestion]:
    """What is known of the networks of ``country`` (two letters of ISO 3166), the strictest first."""
    found = [one for one in _all() if one.country == country.upper()]
    return sorted(found, key=lambda one: (one.limit_bytes, one.mcc_mnc))


@lru_cache(maxsize=1)
def _all() -> tuple[Suggestion, ...]:
    import csv

    with (profile_folder() / "networks" / "networks.csv").open(encoding="utf-8", newline="") as rows:
        return tuple(
            Suggestion(
                country=row["country"],
                mcc_mnc=f"{row['mcc']}-{row['mnc']}",
                network=row["network"],
                limit_bytes=int(row["limit_bytes"]),
                width_px=_number(row["width_px"]),
                height_px=_number(row["height_px"]),
                subject_characters=_number(row["subject_characters"]),
                profile=row["profile"],
                source=row["source"],
            )
            for row in csv.DictReader(rows)
        )


def _number(text: str) -> int | None:
    return int(text) if text else None
