"""What is transparent comes to lie on a colour on which nothing vanishes, in every kind of medium."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmsprep import prepare
from mmsprep.errors import Empty
from mmsprep.model import Action
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.transcode.image.ground import ground_for

_SIZE_PX = (200, 120)
_WHITE, _BLACK, _RED, _CLEAR = (255, 255, 255, 255), (0, 0, 0, 255), (200, 0, 0, 255), (255, 255, 255, 0)
_BOX, _BADGE = (20, 40, 120, 100), (150, 10, 190, 30)


def drawn(*boxes: tuple[tuple[int, int, int, int], tuple[int, ...]]) -> Image.Image:
    image = Image.new("RGBA", _SIZE_PX, _CLEAR)
    for box, colour in boxes:
        image.paste(colour, box)
    return image


def moving() -> list[Image.Image]:
    return [drawn(((20 + step, 40, 120 + step, 100), _WHITE), (_BADGE, _RED)) for step in range(0, 24, 4)]


def saved(frames: list[Image.Image], pillow_format: str) -> bytes:
    out = io.BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 100} if frames[1:] else {}
    frames[0].save(out, pillow_format, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("boxes", "ground"),
    [
        ([(_BOX, _WHITE)], "#000000"),
        ([(_BOX, _WHITE), (_BADGE, _RED)], "#000000"),
        ([(_BOX, _BLACK), (_BADGE, _RED)], "#ffffff"),
        ([(_BOX, _BLACK), (_BADGE, _WHITE)], "#808080"),
        ([(_BOX, (250, 250, 250, 128)), (_BADGE, _RED)], "#000000"),
        # A white shirt that somebody wears: it touches what stays visible.
        ([(_BOX, _WHITE), ((20, 90, 160, 100), _RED)], "#ffffff"),
        # A speck.
        ([(_BOX, _RED), ((150, 10, 155, 15), _WHITE)], "#ffffff"),
        ([], "#ffffff"),
    ],
    ids=["white", "white and red", "black and red", "black and white", "glass", "touching", "a speck", "nothing"],
)
def test_the_background_is_left_only_where_something_would_vanish_on_it(boxes: Any, ground: str) -> None:
    assert ground_for([drawn(*boxes)], "#ffffff") == ground


def test_one_colour_for_all_frames() -> None:
    frames = [drawn((_BOX, _RED)), drawn((_BOX, _WHITE))]
    assert ground_for(frames, "#ffffff") == "#000000"


@pytest.mark.parametrize("pillow_format", ["PNG", "WEBP", "TIFF"])
def test_white_lettering_beside_a_badge_stays_visible_in_a_picture(pillow_format: str) -> None:
    (part,) = prepare([("logo", saved(moving()[:1], pillow_format))]).parts
    with Image.open(io.BytesIO(part.data)) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert shown[70, 70].min() > 240 > 15 > shown[5, 5].max()
    assert "transparent parts shown on black" in part.notes


@pytest.mark.parametrize("moves", [False, True])
def test_an_original_of_which_something_would_vanish_is_not_kept(moves: bool) -> None:
    """It would fit; a phone shows what is transparent in white."""
    frames = moving() if moves else moving()[:1]
    (part,) = prepare([("logo.gif", saved(frames, "GIF"))]).parts
    assert part.action is Action.TRANSCODE and [reason.code for reason in part.reasons] == ["vanishes"]
    with Image.open(io.BytesIO(part.data)) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert shown[70, 70].min() > 240 > 15 > shown[5, 5].max()
    dark = drawn((_BOX, _BLACK), (_BADGE, _RED))
    (kept,) = prepare([("logo.gif", saved([dark, drawn((_BOX, _RED))][: 2 if moves else 1], "GIF"))]).parts
    assert kept.action is not Action.TRANSCODE


@pytest.mark.parametrize("pillow_format", ["PNG", "WEBP"])
def test_white_lettering_stays_visible_in_an_animation(pillow_format: str) -> None:
    (part,) = prepare([("sticker", saved(moving(), pillow_format))]).parts
    with Image.open(io.BytesIO(part.data)) as image:
        assert getattr(image, "n_frames", 1) > 1
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert shown[70, 70].min() > 240 > 15 > shown[5, 5].max()
    assert "transparent parts shown on black" in part.notes


def first_frame(data: bytes, settings: Settings) -> np.ndarray[Any, Any]:
    command = [ffmpeg.executable(settings), "-v", "error", "-i", "pipe:0", "-frames:v", "1", "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], input=data, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(*_SIZE_PX[::-1], 3).astype(int)


@pytest.mark.parametrize(
    ("options", "kind"),
    [({}, "video/3gpp"), ({"poster": True, "limit_bytes": 2_000}, "image/gif"), ({"slides": True}, "image/gif")],
    ids=["clip", "poster", "slides"],
)
def test_white_lettering_stays_visible_in_a_clip(
    options: dict[str, Any], kind: str, make: Callable[[str, str], bytes], settings: Settings
) -> None:
    letters = "drawbox=x=20:y=40:w=100:h=60:c=white@1:t=fill:replace=1"
    source = "-f lavfi -i color=white@0:size=200x120:rate=10:duration=1,format=rgba"
    message = prepare([("sticker.mov", make(f"{source} -vf {letters} -c:v qtrle -pix_fmt argb", "mov"))], **options)
    (part,) = message.parts
    assert part.content_type == kind
    shown = first_frame(part.data, settings)
    assert shown[70, 70].min() > 230 > 30 > shown[5, 5].max()
    assert "sticker.mov: transparent parts shown on black" in message.warnings


@pytest.mark.parametrize(
    ("pillow_format", "moves"),
    [*((kind, False) for kind in ("GIF", "PNG", "WEBP", "TIFF", "ICO", "JPEG2000")), ("GIF", True), ("PNG", True)],
)
def test_what_is_transparent_all_over_is_no_picture(pillow_format: str, moves: bool) -> None:
    """Whether it could go as it is or not; one frame of an animation that shows something is enough."""
    clear = [Image.new("RGBA", _SIZE_PX, _CLEAR)] * (2 if moves else 1)
    with pytest.raises(Empty, match="transparent all over"):
        prepare([("logo", saved(clear, pillow_format))])
    if moves:
        frames = [Image.new("RGBA", _SIZE_PX, (0, 0, 0, 0)) for _ in range(20)]
        frames[13] = drawn((_BADGE, _RED))
        assert prepare([("logo", saved(frames, pillow_format))]).parts


@pytest.mark.parametrize("shown_from_s", [None, 21])
def test_a_clip_that_is_transparent_all_over_is_no_clip(
    shown_from_s: int | None, make: Callable[[str, str], bytes]
) -> None:
    letters = f"drawbox=x=20:y=40:w=100:h=60:c=white@1:t=fill:replace=1:enable=gt(t\\,{shown_from_s or 99})"
    source = "-f lavfi -i color=white@0:size=64x48:rate=2:duration=24,format=rgba"
    clip = make(f"{source} -vf {letters} -c:v qtrle -pix_fmt argb", "mov")
    if shown_from_s:
        assert prepare([("sticker.mov", clip)], limit_bytes=60_000).parts
        return
    with pytest.raises(Empty, match="transparent all over"):
        prepare([("sticker.mov", clip)])


def test_a_plain_white_picture_is_a_picture() -> None:
    for frames in ([Image.new("RGB", _SIZE_PX, "white")], [Image.new("RGBA", _SIZE_PX, (255, 255, 255, 1))]):
        assert prepare([("white.png", saved(frames, "PNG"))]).parts


def test_a_targa_that_says_it_has_no_opacity_is_opaque() -> None:
    """Programs leave the fourth byte of a pixel 0 where its header says that it means nothing."""
    image = drawn((_BOX, _BLACK), (_BADGE, _RED))
    image.putalpha(0)
    data = bytearray(saved([image], "TGA"))
    with pytest.raises(Empty):
        prepare([("box.tga", bytes(data))])
    data[17] &= 0xF0
    (part,) = prepare([("box.tga", bytes(data))]).parts
    with Image.open(io.BytesIO(part.data)) as sent:
        assert max(np.asarray(sent.convert("RGB"))[70, 70]) < 15
