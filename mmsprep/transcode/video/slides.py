"""A clip as slides: a picture for each scene, shown for as long as the scene stood, over the clip's own sound.

Comes in: a clip and how many parts it may become. Goes out: a source for each picture, and one for the sound that is
encoded whole and cut where the pictures change. Never: moving pictures, or a slide that stands longer than its scene.

In the SMIL of MMS a slide has its own media, nothing plays on behind the next one (OMA-TS-MMS-CONF, 8.1.2: slides are
``par`` elements in a row), so the sound needs a piece for each. A player may pause between two; therefore the picture
changes up to a quarter of a second early or late, where the sound is quietest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from PIL import Image

from mmsprep.errors import Damaged, Inaudible, ToolMissing, TypeNotAllowed
from mmsprep.hearing.filters import Levels
from mmsprep.hearing.loudness import heard_lufs
from mmsprep.model import Attachment, Curve, CurvePoint, MediaInfo, Rendition, Source
from mmsprep.profile import Profile
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image import still
from mmsprep.transcode.sound import pieces, recording
from mmsprep.transcode.video import pictures
from mmsprep.transcode.video.scenes import Scenes, find_scenes, sampled

_PAUSE_S, _LOUDNESS_S, _STEP_S = 0.25, 0.06, 0.02
_DB_A_SECOND = 40.0
_LEAST_SOUND_S = 0.2


@dataclass(frozen=True, slots=True)
class Slides:
    """The slides of a clip: a picture's source and how long it stands, for each; the sound under all of them.

    ``sound`` is ``None`` where there is nothing to hear; else it has pieces for the first ``sound.count`` slides.
    """

    pictures: tuple[Source, ...]
    lengths_s: tuple[float, ...]
    sound: SlideSound | None
    notes: tuple[str, ...] = ()


def open_slides(
    attachment: Attachment, info: MediaInfo, profile: Profile, workspace: Workspace, most_parts: int
) -> Slides:
    """Find the scenes of a clip, and decode their frames and the sound, once.

    Raises:
        Damaged: no frame decodes.
        OverInputLimit: the decode takes too long, or too much room.
    """
    sound, notes = _sound_of(attachment, info, profile, workspace)
    found = find_scenes(attachment, info, max(1, most_parts // 2 if sound else most_parts), workspace)
    ground, ground_notes = pictures.ground_of(attachment, info, workspace, profile.image.background)
    stills = tuple(still.from_picture(one, profile) for one in _frames(attachment, info, found, ground, workspace))
    bounds = [0.0, *(scene.to_s for scene in found.scenes)]
    if sound is not None:
        # What is said behind the last picture is heard with it.
        bounds[-1] = max(bounds[-1], sound.duration_s)
        bounds = _at_pauses(sound.samples, sound.rate_hz, bounds)
    lengths_s = tuple(high - low for low, high in pairwise(bounds))
    made = (
        SlideSound(sound, [bound for bound in bounds if bound < sound.duration_s - _LEAST_SOUND_S]) if sound else None
    )
    return Slides(stills, lengths_s, made, (*notes, *ground_notes))


def _sound_of(
    attachment: Attachment, info: MediaInfo, profile: Profile, workspace: Workspace
) -> tuple[recording.AudioSource | None, tuple[str, ...]]:
    """The sound track, unless it is silent or does not decode; there is none then, and a note."""
    if not info.audio_codec:
        return None, ()
    try:
        sound = recording.open_in_step(attachment, info, profile, workspace)
    except Inaudible:
        return None, ("what is heard in its sound track is nothing that the profile's recordings carry: left out",)
    except (Damaged, ToolMissing, TypeNotAllowed):
        return None, (f"its sound track ({info.audio_codec}) does not decode and is left out",)
    return (sound, ()) if sound else (None, ("its sound track is silent and left out",))


def _frames(
    attachment: Attachment, info: MediaInfo, found: Scenes, background: str, workspace: Workspace
) -> list[Image.Image]:
    """The frame of each scene, in its own size."""
    wanted = "+".join(f"eq(n,{scene.frame})" for scene in found.scenes)
    stream = sampled(pictures.upright_pictures(attachment, info, workspace), found.fps).filter("select", wanted)
    frames = pictures.rgb_frames(stream, len(found.scenes), attachment, info, workspace, background)
    if len(frames) < len(found.scenes):
        raise Damaged(attachment.name, "does not decode to its end a second time")
    return frames


def _at_pauses(samples: Levels, rate_hz: int, bounds: Sequence[float]) -> list[float]:
    """The bounds between the first and the last, each where it is quietest near by."""
    moved = [bounds[0]]
    for bound, following in pairwise(bounds[1:]):
        room_s = min(_PAUSE_S, (bound - moved[-1]) / 4, (following - bound) / 4)
        offsets = np.arange(-room_s, room_s + 1e-9, _STEP_S)
        moved.append(bound + min(offsets, key=lambda offset: _unrest(samples, rate_hz, bound + offset, offset)))
    return [*moved, *bounds[-1:]]


def _unrest(samples: Levels, rate_hz: int, moment_s: float, offset_s: float) -> float:
    """How much a cut at a moment would be noticed: its loudness in dB, and how far it is from where it should be."""
    first = max(0, round((moment_s - _LOUDNESS_S / 2) * rate_hz))
    power = (
        float(np.square(samples[first : first + round(_LOUDNESS_S * rate_hz)]).mean()) if first < len(samples) else 0
    )
    return 10 * float(np.log10(power + 1e-8)) + _DB_A_SECOND * abs(offset_s)


class SlideSound(Source):
    """The sound under slides: one encode, cut at the moments where they change (see :class:`mmsprep.model.Source`)."""

    def __init__(self, whole: recording.AudioSource, bounds: Sequence[float]) -> None:
        self._whole = whole
        self._bounds = [*bounds, whole.duration_s]

    @property
    def floor_quality(self) -> float:
        """From the profile."""
        return self._whole.floor_quality

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return len(self._bounds) - 1

    def curve(self) -> Curve:
        """The whole's, and what the pieces need beside it."""
        whole = self._whole.curve()
        beside = pieces.HEADER_BYTES * self.count
        return replace(whole, points=tuple(CurvePoint(one.size_bytes + beside, one.quality) for one in whole.points))

    def format_at(self, max_bytes: int) -> str:
        """As the whole's."""
        return self._whole.format_at(self._of_whole(max_bytes))

    def render(self, max_bytes: int) -> Rendition:
        """The whole at the best rung within ``max_bytes``, in pieces."""
        whole, step = self._whole.rendered(self._of_whole(max_bytes))
        carried = self._whole.carried(step)
        made = tuple(
            replace(
                whole,
                data=data,
                duration_s=duration_s,
                heard_lufs=self._heard_lufs(place, whole.heard_lufs, carried),
                notes=whole.notes if place == 0 else (),
            )
            for place, (data, duration_s) in enumerate(pieces.cut(whole.data, whole.format, self._bounds))
        )
        return replace(whole, data=b"", pieces=made)

    def _of_whole(self, max_bytes: int) -> int:
        """What is left for the sound where ``max_bytes`` are for all pieces."""
        return max(1, max_bytes - pieces.HEADER_BYTES * self.count)

    def _heard_lufs(self, place: int, whole_lufs: float | None, carried: Levels) -> float | None:
        """How loud a piece may be expected to be: as its source, but a burst is held down to what the whole is."""
        if whole_lufs is None:
            return None
        rate_hz = self._whole.rate_hz
        first, last = (round(bound * rate_hz) for bound in self._bounds[place : place + 2])
        return min(whole_lufs, heard_lufs(carried[first:last], rate_hz))
