"""What a campaign shows before anybody is asked: the list, three messages as they will go, and what it comes to.

Comes in: a checked campaign and its messages. Goes out: text for people. Never: a request.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from mmsprep.cli.printing import console_for, say, say_words
from mmsprep.errors import MmsprepError

if TYPE_CHECKING:
    from mmsprep.campaign import Checked, Pace, Rendered

_PREVIEWS = 3
_SOONEST_GROUPS = 20
"""So many different sets of files are prepared before anything is asked; of more, each when its turn comes."""
_LOOKED_FOR = 500
_SHORT_TIME_S = 86_400.0
_WORDS = {
    "send": "to be sent to",
    "duplicate": "twice in the list",
    "excluded": "on the list of exceptions",
    "stopped": "replied STOP",
    "invalid": "cannot be sent to",
}


def tell_checked(checked: Checked) -> None:
    people = checked.campaign.people
    delimiter = {"\t": "tab"}.get(people.delimiter, people.delimiter)
    form = f"CSV with {delimiter!r}" if people.format == "csv" else "JSON"
    say(f"{people.path}: {sum(checked.counts.values()):,} people, {form}, columns {', '.join(people.columns)}")
    how = "; --to-column names another" if people.guessed else ""
    say(f"numbers are in {people.to_column!r}{how}")
    for verdict, count in checked.counts.items():
        if count:
            say(f"{count:>10,} {_WORDS[verdict]}")
    for problem in checked.problems:
        say(f"  {problem}")


def preview(checked: Checked, rendered: Rendered) -> int:
    """Show the first three messages, and prepare the others where they are few; returns the largest one's bytes.

    Raises:
        MmsprepError: the media of one cannot be prepared, and such rows are not to be skipped.
    """
    from mmsprep.campaign.checked import Verdict, Words, decisions
    from mmsprep.cli.message_table import MessageTable

    console = console_for(stderr=True)
    going = (one for one in decisions(checked.campaign) if one.verdict is Verdict.SEND)
    first = [(one, one.words) for one in islice(going, _PREVIEWS) if one.words]
    wanted = [words for _, words in first]
    if len(checked.groups) <= _SOONEST_GROUPS:
        wanted += [Words(group.text, group.subject, files) for files, group in checked.groups.items()]
    sizes_bytes = [0]
    shown: set[tuple[str, ...]] = set()
    for place, message in enumerate(rendered.messages(wanted)):
        if isinstance(message, MmsprepError):
            if not checked.campaign.skip_invalid:
                raise message
            say(f"note: {message}")
            continue
        sizes_bytes.append(message.total_bytes)
        if place >= len(first):
            continue
        one, words = first[place]
        where = f"line {one.person.line}, to {one.recipient}"
        say(f"--- {place + 1} of {checked.to_send:,}: {where}, {message.total_bytes:,} bytes")
        say_words(message)
        if words.files not in shown:
            shown.add(words.files)
            if words.files:
                console.print(MessageTable(message))
            for warning in message.warnings:
                say(f"note: {warning}")
    return max(sizes_bytes)


def estimate(
    checked: Checked, pace: Pace, largest_bytes: int, price: float, journal: Any, key: str, gateway: str
) -> None:
    from mmsprep.sender.entry import State

    known = Counter(entry.state for entry in journal.entries(key=key, gateway=gateway.rstrip("/")))
    earlier = known[State.ACCEPTED] + known[State.UNKNOWN] + known[State.SENDING]
    left = max(0, checked.to_send - earlier)
    if earlier:
        unknown = known[State.UNKNOWN] + known[State.SENDING]
        say(f"the journal has {known[State.ACCEPTED]:,} of them already, and {unknown:,} of which nobody knows")
    else:
        _tell_of_another(checked, journal, key, gateway)
    upload_kb = left * largest_bytes * 4 / 3 / 1000
    upload = f"{upload_kb / 1000:,.1f} MB" if upload_kb >= 1000 else f"{upload_kb:,.1f} kB"
    messages, each = ("message", "") if left == 1 else ("messages", " each")
    say(f"{left:,} {messages}, up to {largest_bytes:,} bytes{each}, about {upload} to upload")
    if pace.per_second:
        say(f"at {pace.per_second:g} a second: {span(left / pace.per_second)} at least")
    else:
        say(f"{pace.at_once} at once, as fast as the gateway answers (--per-second limits it)")
    if price:
        say(f"at {price:g} each: {left * price:,.2f}")


def _tell_of_another(checked: Checked, journal: Any, key: str, gateway: str) -> None:
    """Whether these people were sent something else a short time ago: with a word mended it is another campaign."""
    from mmsprep.campaign.checked import Verdict, decisions
    from mmsprep.sender.entry import STANDING

    going = (one.recipient for one in decisions(checked.campaign) if one.verdict is Verdict.SEND)
    first = list(islice(going, _LOOKED_FOR))
    since_s = journal.now_s() - _SHORT_TIME_S
    entries = journal.entries(recipients=first, gateway=gateway.rstrip("/"), since_s=since_s)
    others = Counter(entry.key for entry in entries if entry.state in STANDING and entry.key != key)
    for other, people in others.most_common(1):
        these = f"of the first {len(first):,} people" if checked.to_send > len(first) else f"of {len(first):,} people"
        say(
            f"note: {people:,} {these} were sent other words or files within a day. If that was this campaign before"
            f" something was mended, leave them out with --key {other}"
        )


def span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
