"""``report.csv``: a row a person, from the list and the journal, so that it is right after a kill as well.

Comes in: a campaign and its journal. Goes out: a file that appears whole. Never: a cell that a spreadsheet would take
for a formula, or another file than this campaign's own report overwritten.
"""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from urllib.parse import urlsplit

from mmsprep.campaign.checked import Campaign, Decided, Verdict, decisions
from mmsprep.errors import OutputError, reason_of
from mmsprep.printable import printable
from mmsprep.sender import Journal
from mmsprep.sender.entry import Entry, iso_time
from mmsprep.tools.origin import is_loopback

_OF_A_PERSON = (
    *("line", "number", "to", "state", "reason", "message_id", "transaction_id", "status_code", "settled_by", "at"),
)
_OF_THE_CAMPAIGN = ("key", "gateway", "list")
COLUMNS = (*_OF_A_PERSON, *_OF_THE_CAMPAIGN)
_AT_ONCE = 500
_KEY_LETTERS = 12
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def write_report(
    path: str | Path,
    campaign: Campaign,
    *,
    journal: Journal,
    key: str,
    gateway: str,
    problems: Mapping[int, str] | None = None,
) -> Counter[str]:
    """Write the report, in place of an earlier one of the same campaign; another's is kept (:func:`kept_as`).

    Args:
        path: where to.
        campaign: the list and what is done with everybody.
        journal: what was sent.
        key, gateway: under which the journal has it.
        problems: line to reason, of those whose media could not be prepared in this run.

    Returns:
        How many people there are of each state.

    Raises:
        OutputError: it cannot be written, or something else stands there.
        JournalError: the journal cannot be read.
    """
    path = Path(path)
    check_place(path)
    same = _cells(key, gateway, campaign)
    counts: Counter[str] = Counter()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".mmsprep-report-", suffix=".csv", dir=path.parent)
        try:
            # Excel takes a file for UTF-8 where it begins with the mark.
            with os.fdopen(handle, "w", encoding="utf-8-sig", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for row in _rows(campaign, journal, key, gateway.rstrip("/"), problems or {}):
                    counts[row[3]] += 1
                    writer.writerow([*map(_cell, row), *same])
                file.flush()
                os.fsync(file.fileno())
            if earlier := kept_as(path, campaign, key, gateway):
                os.replace(path, earlier)  # noqa: PTH105
            os.replace(name, path)  # noqa: PTH105 - a rename, whole or not at all
        except BaseException:
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108
            raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({reason_of(error)}); what was sent is in the journal") from None
    return counts


def check_place(path: Path) -> None:
    """See whether a report may be written there.

    Raises:
        OutputError: something else stands there, or its folder takes no files.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(200).decode("utf-8-sig", "replace")
    except FileNotFoundError:
        begins = ""
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({reason_of(error)})") from None
    if begins and not begins.startswith(",".join(COLUMNS[:4])):
        raise OutputError(f"{path}: is no report of a campaign and stays; --report-csv names another file")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise OutputError(
            f"{path}: cannot be written, because {folder} takes no files; --report-csv names another place"
        )


def kept_as(path: Path, campaign: Campaign, key: str, gateway: str) -> Path | None:
    """Where the report that stands at ``path`` is kept, because it is of another campaign, list or gateway; one of a
    trial on this machine gives way to the real one's."""
    standing = _whose(path)
    asked = _cells(key, gateway, campaign)
    is_trial = standing[::2] == asked[::2] and is_loopback(urlsplit(standing[1]).hostname or "")
    if not any(standing) or standing == asked or is_trial:
        return None
    word = re.sub(r"[^\w-]", "", standing[0])[:_KEY_LETTERS] or "earlier"
    names = (f"{path.stem}-{word}{f'-{number}' if number > 1 else ''}{path.suffix}" for number in count(1))
    places = map(path.with_name, names)
    return next(place for place in places if not place.exists() or _whose(place) == standing)


def _whose(path: Path) -> tuple[str, str, str]:
    """Key, gateway and list of a report; nothing where there is none."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = csv.DictReader(file)
            row = next(rows, {})
    except FileNotFoundError:
        return "", "", ""
    # Version 1.0 did not say: its first number is then all that is known of it.
    return row.get("key") or "", row.get("gateway") or "", row.get("list") or row.get("number") or ""


def _cells(key: str, gateway: str, campaign: Campaign) -> tuple[str, str, str]:
    return _cell(key), _cell(gateway.rstrip("/")), _cell(Path(campaign.people.path).name)


def _rows(
    campaign: Campaign, journal: Journal, key: str, gateway: str, problems: Mapping[int, str]
) -> Iterator[tuple[str, ...]]:
    everybody = decisions(campaign)
    while some := list(islice(everybody, _AT_ONCE)):
        numbers = [one.recipient for one in some if one.verdict is Verdict.SEND]
        # The last attempt says how it stands.
        last = {entry.recipient: entry for entry in journal.entries(recipients=numbers, key=key, gateway=gateway)}
        for one in some:
            yield _row(one, last.get(one.recipient), problems)


def _row(one: Decided, entry: Entry | None, problems: Mapping[int, str]) -> tuple[str, ...]:
    person = one.person
    head = (str(person.line), person.number, one.recipient)
    if one.verdict is not Verdict.SEND:
        return (*head, one.verdict, one.reason, "", "", "", "", "")
    if entry is None:
        problem = problems.get(person.line, "")
        return (*head, "not_prepared" if problem else "not_reached", problem, "", "", "", "", "")
    return (
        *head,
        entry.state,
        entry.reason,
        entry.message_id,
        entry.transaction_id,
        "" if entry.status_code is None else str(entry.status_code),
        entry.person or entry.settled_by,
        iso_time(entry.updated_at_s),
    )


def _cell(value: str) -> str:
    """A cell that a spreadsheet shows and does not reckon with."""
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
