"""What was heard is heard still, what was seen is seen: a part is held against its source before anyone may send it.

Comes in: a rendition whose source's loudness and contrast are known, or an original that could go as it is. Goes out:
a fault in words, or a plan. Never: a repair, or trust in what an encoder was asked for.

Metering alone would not do: two channels in opposite phase are as loud as any on a meter, and silent on a phone, which
adds them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mmsprep.errors import MmsprepError
from mmsprep.formats import FORMATS
from mmsprep.model import SHORTEST_SOUND_S, Action, Attachment, Kind, MediaInfo, Plan, Reason, ReasonCode, Rendition

if TYPE_CHECKING:
    from mmsprep.hearing.samples import Decoded
    from mmsprep.tools.workspace import Workspace

MOST_QUIETER_LU = 6.0
_MOST_QUIETER_TONE_LU, _TELEPHONE_HZ = 15.0, 8_000
"""Of a coder of voices, which makes a hum of 100 Hz 9 dB quieter at one rate and keeps it at another."""
_LISTENED_S = 600.0
_NOBODY_HEARS_LUFS = -84.0
"""Quieter than the noise of a 14-bit recording: encoders make digital silence of it, and nothing is lost by that."""
_PLAIN, _CLEAR = 1.0, 4.0
"""Contrasts: nearly one colour, and surely more than one."""


def not_heard(rendition: Rendition, workspace: Workspace) -> str:
    """What is wrong with how loud ``rendition`` is from a phone's loudspeaker; "" for nothing.

    Only what was encoded is judged, against the loudness of what it was made from.

    Raises:
        ToolError: it does not decode.
    """
    if rendition.heard_lufs is None:
        return ""
    from mmsprep.hearing.loudness import LOUD_ENOUGH_LUFS, ONE_FOR_TWO_DB, heard_lufs
    from mmsprep.hearing.samples import decoded

    if rendition.heard_lufs <= _NOBODY_HEARS_LUFS:
        return ""
    path = workspace.put(rendition.data, f".{FORMATS[rendition.format].extension}")
    sound = decoded(path, rendition.format, workspace, max_bytes=workspace.settings.max_decoded_bytes)
    path.unlink()
    if not sound.samples.any():
        return "is silent, and what it was made from is not"
    if min(sound.duration_s, rendition.duration_s or 0.0) < SHORTEST_SOUND_S:
        return ""
    wanted_lufs = min(rendition.heard_lufs, LOUD_ENOUGH_LUFS + ONE_FOR_TWO_DB)
    quieter_lu = wanted_lufs - heard_lufs(sound.samples, sound.rate_hz)
    if quieter_lu > (_MOST_QUIETER_TONE_LU if sound.rate_hz <= _TELEPHONE_HZ else MOST_QUIETER_LU):
        return f"is heard {quieter_lu:.0f} dB less than what it was made from"
    return ""


def not_seen(rendition: Rendition, found: float | None) -> str:
    """What is wrong with what ``rendition`` shows; "" for nothing.

    Args:
        rendition: what was encoded.
        found: the contrast of what was read back.
    """
    if rendition.contrast is None or rendition.contrast < _CLEAR:
        return ""
    return "is nothing but one colour, and what it was made from is not" if (found or 0.0) < _PLAIN else ""


def plan_after_listening(attachment: Attachment, info: MediaInfo, plan: Plan, workspace: Workspace) -> Plan:
    """The plan, or another where the original has channels that cancel each other when a phone adds them.

    Raises:
        OverInputLimit: decoding takes more than this machine may spend.
    """
    if plan.action is Action.TRANSCODE or (info.channels or 1) < 2 or info.kind not in (Kind.AUDIO, Kind.VIDEO):
        return plan
    from mmsprep.hearing.channels import sums_safely

    sound = _sound_of(attachment, info, workspace)
    if sound is None or sound.channels != 2 or sums_safely(sound.samples, sound.rate_hz):
        return plan
    reason = Reason(ReasonCode.CHANNELS_CANCEL, "2 channels in opposite phase", "what one loudspeaker plays")
    return replace(plan, action=Action.TRANSCODE, reasons=(*plan.reasons, reason))


def _sound_of(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> Decoded | None:
    """The first minutes, ``None`` where nothing decodes: what that means is decided where it is sent."""
    from mmsprep.hearing.samples import decoded

    path, most_bytes = workspace.path_of(attachment), workspace.settings.max_decoded_bytes
    try:
        return decoded(path, info.format, workspace, max_bytes=most_bytes, span=attachment.span, longest_s=_LISTENED_S)
    except MmsprepError:
        return None
