"""What MediaInfo says of a file of sound or moving pictures.

Comes in: an attachment whose container our own sniffing has named. Goes out: MediaInfo's tracks. Never: a path handed
to MediaInfo, which could look for other files there.

It belongs into a worker (:func:`mmsprep.tools.isolation.isolated`): a table that promises 2 000 000 000 entries makes
MediaInfo count them.
"""

from __future__ import annotations

from typing import Any

from mmsprep.errors import Damaged, ToolMissing
from mmsprep.model import Attachment
from mmsprep.tools.untrusted import content_of

Track = dict[str, Any]
"""One track's facts, by pymediainfo's names; ``track_type`` is ``General``, ``Video``, ``Audio``, ..."""


def read_tracks(attachment: Attachment) -> list[Track]:
    """Every track's facts, without those that are spelled out for people.

    Raises:
        Damaged: MediaInfo cannot make sense of it.
        ToolMissing: there is no MediaInfo library.
    """
    try:
        from pymediainfo import MediaInfo

        if not MediaInfo.can_parse():
            raise ImportError("the library cannot be loaded")
    except ImportError as error:
        from mmsprep.tools.extras import reinstall

        advice = (
            f"'{reinstall('pymediainfo')}' brings it for common systems, elsewhere install the system's libmediainfo"
        )
        raise ToolMissing(f"MediaInfo: {error}; {advice}") from error
    with content_of(attachment) as content:
        try:
            found = MediaInfo.parse(content.rewound(), encoding_errors="replace")
        except Exception as error:  # whatever MediaInfo's answer to a broken file breaks
            complaint = f"{type(error).__name__}: {error}"
            raise Damaged(attachment.name, f"its structure cannot be read ({complaint}); get the file again") from error
    return [
        {key: value for key, value in track.to_data().items() if not key.startswith("other_")} for track in found.tracks
    ]
