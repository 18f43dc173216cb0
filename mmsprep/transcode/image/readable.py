"""Pictures as a worker reads them: some are decoded by ffmpeg first, which no worker may start.

Comes in: any picture. Goes out: the same, or what ffmpeg made of it. Never: a picture that is decoded twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmsprep.model import Attachment, MediaInfo
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image.deep import deepened


@contextmanager
def readable(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> Iterator[tuple[Attachment, MediaInfo]]:
    """The picture and its facts as :mod:`mmsprep.transcode.image.pixels` takes them, until the block ends.

    Raises:
        Damaged: it does not decode to its end.
        TypeNotAllowed: its variant of the format is one that nothing here decodes.
        OverInputLimit: it has more pixels than the settings let in, or takes too much.
    """
    if info.format != "heic":
        yield deepened(attachment, info, workspace)
        return
    from mmsprep.transcode.image.heif import decoded

    with decoded(attachment, info, workspace) as pieces:
        yield pieces, info
