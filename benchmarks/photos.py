"""A folder's pictures for the image benchmarks: decoded as mmsprep decodes them, each once.

Comes in: a folder. Goes out: named pictures at the size that the default profile sends. Never: an animation, a
picture smaller than 320 px, or the same one twice (sample folders hold one photo in many formats).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from mmsprep import inspect
from mmsprep.model import Attachment, Kind
from mmsprep.profile import load_profile
from mmsprep.settings import load_settings
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image import pixels
from mmsprep.transcode.image.readable import readable
from mmsprep.transcode.image.viewing import is_graphic

SAMPLES = Path(__file__).parent.parent / "sample_media"
SMALLEST_PX = 320


def photo_paths(folder: Path) -> list[Path]:
    """Files of ``folder`` that hold one still picture worth measuring."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "bad" not in path.parts)
    return [
        path
        for path, found in zip(paths, inspect(paths), strict=True)
        if found.plan
        and found.info
        and found.info.kind is Kind.IMAGE
        and (found.info.frame_count or 1) == 1
        and min(found.info.width_px or 0, found.info.height_px or 0) >= SMALLEST_PX
    ]


def load_photos(folder: Path) -> dict[str, Image.Image]:
    """The folder's distinct pictures by name, RGB."""
    rules, settings = load_profile("smsglobal").image, load_settings()
    photos: dict[str, Image.Image] = {}
    seen: set[bytes] = set()
    paths = photo_paths(folder)
    for path, found in zip(paths, inspect(paths), strict=True):
        assert found.info
        attachment = Attachment(0, path.name, path.stat().st_size, path=path)
        with Workspace(settings) as workspace, readable(attachment, found.info, workspace) as (ready, known):
            image = pixels.decode(ready, known, rules, settings).image.convert("RGB")
        look = bytes(value // 32 for value in image.resize((8, 8)).convert("L").tobytes())
        if look not in seen:
            seen.add(look)
            photos[path.stem] = image
    return photos


def photos_of(
    folders: Sequence[Path], *, words: Sequence[str] = ("",), fewest: int = 1, drawn: bool = False
) -> dict[str, Image.Image]:
    """The distinct pictures of all ``folders`` whose names have one of ``words``; ``drawn`` ones only if asked for.

    Ends the program, with a sentence, where there are fewer than ``fewest``.
    """
    photos = {name: image for folder in folders for name, image in load_photos(folder).items()}
    photos = {name: image for name, image in photos.items() if any(word in name for word in words)}
    left_out = set() if drawn else {name for name, image in photos.items() if is_graphic(image)}
    if left_out:
        print(f"drawn, left out (a score for photos says little about lettering): {', '.join(sorted(left_out))}")
    if len(photos) - len(left_out) < fewest:
        sys.exit(
            f"{', '.join(map(str, folders))}: {len(photos) - len(left_out)} photographs of {SMALLEST_PX} px and more"
            f"{'' if '' in words else ' by that name'}; it takes {fewest} at least"
        )
    return {name: image for name, image in photos.items() if name not in left_out}


def shrunk(image: Image.Image, factor: float) -> Image.Image:
    """``image`` with its sides times ``factor``."""
    if factor == 1:
        return image
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def opened(data: bytes) -> Image.Image:
    """The picture in ``data``."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def largest_within(
    encode: Callable[[float], bytes], finest: float, coarsest: float, max_bytes: int, rounds: int = 11
) -> bytes | None:
    """The largest encode within ``max_bytes``, by bisection on a setting where more is smaller; ``None``: none fits."""
    data = encode(coarsest)
    if len(data) > max_bytes:
        return None
    best, low, high = data, finest, coarsest
    for _ in range(rounds):
        middle = (low * high) ** 0.5
        data = encode(middle)
        if len(data) > max_bytes:
            low = middle
            continue
        high = middle
        best = max(best, data, key=len)
        if len(best) >= max_bytes * 0.995:
            break
    return best


def gif_of(image: Image.Image, colours: int) -> bytes:
    """``image`` as a GIF of at most ``colours``, undithered."""
    out = io.BytesIO()
    image.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(out, "GIF", optimize=True)
    return out.getvalue()
