"""Pictures for the samples, painted from noise, gradients and shapes.

Comes in: a size and a seed. Goes out: RGB or RGBA Pillow images that look like photographs, drawings or
screens: the same seed gives the same picture. Never: a file, or a picture of somebody else's.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Plane = NDArray[np.float32]
Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Light:
    """The colours of one time of day; ``haze`` is what far hills fade to, ``sun`` where it stands (0..1)."""

    zenith: Rgb
    horizon: Rgb
    cloud: Rgb
    haze: Rgb
    ground: Rgb
    sun: tuple[float, float]
    glow: Rgb


DAY = Light(
    (64, 120, 190),
    (190, 214, 232),
    (250, 250, 248),
    (150, 178, 200),
    (72, 104, 44),
    (0.72, 0.14),
    (255, 250, 225),
)
DUSK = Light(
    (58, 66, 120),
    (250, 170, 110),
    (238, 140, 120),
    (176, 112, 118),
    (52, 44, 40),
    (0.34, 0.5),
    (255, 226, 160),
)
DAWN = Light(
    (110, 150, 200),
    (246, 214, 196),
    (252, 232, 222),
    (176, 178, 196),
    (76, 92, 58),
    (0.6, 0.42),
    (255, 240, 210),
)


def _vector(values: tuple[float, float, float]) -> Plane:
    return np.array(values, dtype=np.float32)


def fractal(height_px: int, width_px: int, rng: np.random.Generator, slope: float = 1.0) -> Plane:
    """Noise whose spectrum falls with ``1 / frequency ** slope``, as photographs' do, scaled to 0..1."""
    down = np.fft.fftfreq(height_px)[:, None]
    across = np.fft.rfftfreq(width_px)[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    white = np.fft.rfft2(rng.standard_normal((height_px, width_px), dtype=np.float32))
    field = np.fft.irfft2(white / frequency**slope, s=(height_px, width_px)).astype(np.float32)
    low, high = np.percentile(field, (0.5, 99.5))
    return np.asarray(np.clip((field - low) / (high - low), 0, 1), dtype=np.float32)


def landscape(width_px: int, height_px: int, seed: int, light: Light = DAY, *, lake: bool = False) -> Image.Image:
    """Sky with clouds and a sun, ranges of hills with woods, and a meadow or a lake in front."""
    rng = np.random.default_rng(seed)
    canvas = _sky(width_px, height_px, rng, light)
    shore = 0.72 if lake else 0.78
    for layer in range(5):
        near = layer / 4
        ridge_share = 0.44 + (shore - 0.46) * near
        _hill(canvas, rng, light, ridge_share, near, floor=shore)
    if lake:
        _water(canvas, rng, shore)
    else:
        _meadow(canvas, rng, light, shore)
    grain = rng.normal(0, 1.2, canvas.shape[:2]).astype(np.float32)
    return Image.fromarray(np.clip(canvas + grain[..., None], 0, 255).astype(np.uint8))


def _sky(width_px: int, height_px: int, rng: np.random.Generator, light: Light) -> Plane:
    rows = np.linspace(0, 1, height_px, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, width_px, dtype=np.float32)[None, :]
    down = np.clip(rows / 0.6, 0, 1)[..., None] ** 0.8
    sky = _vector(light.zenith) * (1 - down) + _vector(light.horizon) * down
    sky = np.broadcast_to(sky, (height_px, width_px, 3)).astype(np.float32)
    stretched = Image.fromarray(fractal(max(height_px // 4, 16), max(width_px // 8, 16), rng, 1.6))
    cover = np.asarray(stretched.resize((width_px, height_px), Image.Resampling.BICUBIC))
    cover = np.clip((cover - 0.55) * 3, 0, 0.85) * np.clip(1.25 - rows * 1.9, 0, 1)
    sky += (_vector(light.cloud) - sky) * cover[..., None]
    aspect = width_px / height_px
    distance = np.hypot((columns - light.sun[0]) * aspect, rows - light.sun[1])
    glow = np.exp(-distance * 5) * 0.7 + np.clip((0.031 - distance) * 500, 0, 0.9)
    sky += (_vector(light.glow) - sky) * np.clip(glow, 0, 1)[..., None].astype(np.float32)
    return sky


def _hill(canvas: Plane, rng: np.random.Generator, light: Light, share: float, near: float, floor: float) -> None:
    """One range: its ridge is 1-D noise, its slope textured woods, paler the farther."""
    height_px, width_px = canvas.shape[:2]
    line = fractal(4, width_px, rng, 1.5)[0]
    trees = fractal(4, width_px, rng, 0.6)[0]
    ridge = (share - (line - 0.4) * (0.16 - 0.08 * near) - (trees - 0.5) * 0.02 * near) * height_px
    top, bottom = int(max(ridge.min(), 0)), int(floor * height_px) + 1
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    inside = np.clip(rows - ridge[None, :], 0, 1)[..., None]
    woods = fractal(bottom - top, width_px, rng, 0.75)
    slopes = fractal(bottom - top, width_px, rng, 1.6)
    shade = 0.62 + 0.5 * woods * (0.25 + 0.75 * near) + 0.34 * (slopes - 0.5)
    wood = _vector(light.ground) * shade[..., None] * _vector((1 - 0.1 * near, 1, 1 - 0.25 * near))
    colour = _vector(light.haze) * 0.9 * (1 - near) ** 0.9 + wood * (1 - (1 - near) ** 0.9)
    canvas[top:bottom] += (colour - canvas[top:bottom]) * inside


def _water(canvas: Plane, rng: np.random.Generator, shore: float) -> None:
    """The lake mirrors what stands above it, rippled by noise that is wider towards the viewer."""
    height_px, width_px = canvas.shape[:2]
    start = int(shore * height_px)
    depth = np.arange(height_px - start, dtype=np.float32)[:, None]
    waves = fractal(height_px - start, max(width_px // 6, 8), rng, 0.9)
    stretched = Image.fromarray(waves).resize((width_px, height_px - start), Image.Resampling.BICUBIC)
    ripple = (np.asarray(stretched) - 0.5) * (4 + depth * 0.22)
    source = np.clip(start - depth * 1.6 + ripple * 1.4, 0, start - 1).astype(np.intp)
    mirrored = canvas[source, np.arange(width_px)[None, :]]
    sparkle = np.clip(np.asarray(stretched) - 0.62, 0, 1)[..., None] * 90
    canvas[start:] = mirrored * 0.8 + _vector((10, 16, 26)) + sparkle
    canvas[start : start + 2] *= 0.7


def _meadow(canvas: Plane, rng: np.random.Generator, light: Light, start_share: float) -> None:
    """Grass: vertical noise, brighter where the land rises, with dots of flowers towards the viewer."""
    height_px, width_px = canvas.shape[:2]
    start = int(start_share * height_px) - 1
    rows_px = height_px - start
    blades = fractal(max(rows_px // 5, 8), width_px, rng, 0.55)
    grass = np.asarray(Image.fromarray(blades).resize((width_px, rows_px), Image.Resampling.BICUBIC))
    swell = fractal(rows_px, width_px, rng, 1.7)
    near = np.linspace(0, 1, rows_px, dtype=np.float32)[:, None]
    bright = 0.95 + 0.75 * (grass - 0.5) * (0.4 + near) + 0.5 * (swell - 0.5)
    meadow = _vector(light.ground) * _vector((1.3, 1.25, 1.0)) * bright[..., None]
    picture = Image.fromarray(np.clip(meadow, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    petals = ((236, 214, 70), (240, 240, 236), (206, 70, 64), (150, 110, 196))
    for _ in range(min(1500, width_px)):
        depth = float(rng.random()) ** 0.6
        x, y = float(rng.random()) * width_px, depth * rows_px
        radius = 0.5 + depth * height_px / 420
        patch = swell[min(int(y), rows_px - 1), min(int(x), width_px - 1)]
        if patch < 0.45:
            continue
        petal = petals[int(rng.integers(0, 2)) if patch < 0.62 else int(rng.integers(0, 4))]
        draw.ellipse((x - radius, y - radius * 0.7, x + radius, y + radius * 0.7), fill=petal)
    canvas[start:] = np.asarray(picture, dtype=np.float32)


def foliage(width_px: int, height_px: int, seed: int) -> Image.Image:
    """Leaves on leaves, light ones last: what fills most garden photographs, and is hard to compress."""
    rng = np.random.default_rng(seed)
    scale = min(width_px, height_px)
    picture = Image.new("RGB", (width_px, height_px), (18, 28, 14))
    draw = ImageDraw.Draw(picture)
    count = 1300
    for number in range(count):
        near = number / count
        length = scale * float(rng.uniform(0.05, 0.16)) * (0.6 + 0.7 * near)
        angle = float(rng.normal(0.9, 0.7))
        x, y = float(rng.uniform(-0.05, 1.05)) * width_px, float(rng.uniform(-0.05, 1.05)) * height_px
        hue = float(rng.normal(0.25, 0.022))
        red, green, blue = colorsys.hsv_to_rgb(
            hue, float(rng.uniform(0.45, 0.8)), 0.18 + 0.62 * near * float(rng.uniform(0.6, 1))
        )
        colour = (int(red * 255), int(green * 255), int(blue * 255))
        _leaf(draw, x, y, length, angle, colour)
    light = fractal(height_px, width_px, rng, 1.7)[..., None] * 0.5 + 0.75
    texture = fractal(height_px, width_px, rng, 0.4)[..., None] * 26 - 13
    lit = np.asarray(picture, dtype=np.float32) * light + texture
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(scale / 1600))


def _leaf(draw: ImageDraw.ImageDraw, x: float, y: float, length: float, angle: float, colour: Rgb) -> None:
    along = np.linspace(0, 1, 12)
    width = np.sin(along * np.pi) ** 0.8 * (1 - 0.35 * along) * 0.24 * length
    spine = along * length
    outline = np.concatenate([np.stack([spine, width], 1), np.stack([spine, -width], 1)[::-1]])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = outline @ turn + (x, y)
    half = np.concatenate([np.stack([spine, width], 1), np.stack([spine, 0 * width], 1)[::-1]]) @ turn + (
        x,
        y,
    )
    dark = tuple(int(value * 0.82) for value in colour)
    draw.polygon([(float(px), float(py)) for px, py in points], fill=colour)
    draw.polygon([(float(px), float(py)) for px, py in half], fill=dark)
    tip = points[11]
    vein = tuple(min(255, int(value * 1.25) + 8) for value in colour)
    draw.line((x, y, float(tip[0]), float(tip[1])), fill=vein, width=max(1, int(length / 60)))


def balloon(size_px: int, stripes: Sequence[Rgb]) -> Image.Image:
    """A hot-air balloon on a transparent ground, ``size_px`` high."""
    scale = 4
    high = size_px * scale
    picture = Image.new("RGBA", (high * 3 // 4, high), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    wide = picture.width
    for number in range(7):
        inset = wide * 0.07 * number
        box = (inset, 0, wide - inset, high * 0.72)
        draw.ellipse(box, fill=(*stripes[number % len(stripes)], 255))
    draw.polygon(
        [
            (wide * 0.22, high * 0.62),
            (wide * 0.78, high * 0.62),
            (wide * 0.58, high * 0.82),
            (wide * 0.42, high * 0.82),
        ],
        fill=(*stripes[0], 255),
    )
    for share in (0.42, 0.58):
        draw.line((wide * share, high * 0.82, wide * share, high * 0.92), fill=(60, 40, 30, 255), width=scale)
    draw.rounded_rectangle((wide * 0.4, high * 0.9, wide * 0.6, high - 1), scale * 2, fill=(120, 80, 44, 255))
    shade = Image.new("L", picture.size, 0)
    ImageDraw.Draw(shade).ellipse((wide * 0.45, high * -0.1, wide * 1.2, high * 0.95), fill=70)
    dark = Image.new("RGBA", picture.size, (0, 0, 20, 255))
    dark.putalpha(shade.filter(ImageFilter.GaussianBlur(high / 20)))
    shaded = Image.alpha_composite(picture, dark)
    shaded.putalpha(picture.getchannel("A"))
    return shaded.resize((size_px * 3 // 4, size_px), Image.Resampling.LANCZOS)


def with_balloons(scene: Image.Image, seed: int, count: int = 3) -> Image.Image:
    """A few balloons in the sky of a landscape."""
    rng = np.random.default_rng(seed)
    palettes = (
        ((206, 52, 48), (244, 196, 64)),
        ((40, 92, 168), (240, 240, 236)),
        ((60, 140, 84), (244, 168, 60)),
    )
    picture = scene.copy()
    for number in range(count):
        size_px = int(scene.height * (0.24, 0.13, 0.08)[number % 3])
        drawn = balloon(size_px, palettes[number % 3])
        x = int(scene.width * (0.16 + 0.3 * number + 0.06 * float(rng.random())))
        y = int(scene.height * (0.06 + 0.09 * number + 0.05 * float(rng.random())))
        picture.paste(drawn, (x, y), drawn)
    return picture


def logo(size_px: int) -> Image.Image:
    """A mark with smooth edges on a transparent ground: a sun over waves, and a word."""
    scale = 4
    side = size_px * scale
    mark = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(mark)
    draw.ellipse((side * 0.22, side * 0.08, side * 0.78, side * 0.64), fill=(246, 178, 40, 255))
    for number, colour in enumerate(((24, 98, 140, 255), (38, 138, 176, 255), (92, 186, 204, 255))):
        top = side * (0.44 + 0.09 * number)
        along = np.linspace(0, 1, 80)
        crest = top + np.sin(along * 4 * np.pi + number * 1.4) * side * 0.03
        points = [(float(side * (0.08 + 0.84 * t)), float(y)) for t, y in zip(along, crest, strict=True)]
        draw.polygon([*points, (side * 0.92, side * 0.74), (side * 0.08, side * 0.74)], fill=colour)
    font = ImageFont.load_default(side * 0.15)
    draw.text((side / 2, side * 0.87), "LAKESIDE", font=font, fill=(24, 62, 92, 255), anchor="mm")
    return mark.resize((size_px, size_px), Image.Resampling.LANCZOS)


WORDS = (
    "ferry boat leaves the old pier every hour from nine until six and the last one back waits for nobody "
    "so bring a warm coat some bread cheese apples and the big blanket we can walk around the lake to the "
    "little mill where they bake on Saturdays if it rains we meet at the museum instead tickets are at "
    "the desk under my name"
)


def screen(width_px: int, height_px: int, seed: int, *, lines: int = 0) -> Image.Image:
    """A phone's chat screen with bubbles of readable text, as long as ``height_px`` asks."""
    rng = np.random.default_rng(seed)
    unit = width_px / 360
    picture = Image.new("RGB", (width_px, height_px), (238, 241, 244))
    draw = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(15 * unit), ImageFont.load_default(11 * unit)
    draw.rectangle((0, 0, width_px, 56 * unit), fill=(22, 96, 88))
    draw.ellipse((14 * unit, 12 * unit, 46 * unit, 44 * unit), fill=(246, 178, 40))
    draw.text(
        (58 * unit, 28 * unit),
        "Lakeside walk",
        font=ImageFont.load_default(18 * unit),
        fill="white",
        anchor="lm",
    )
    y, number = 70 * unit, 0
    while y < height_px - 90 * unit and (not lines or number < lines):
        mine = bool(rng.random() < 0.45)
        rows = _wrapped(draw, font, rng, int(rng.integers(4, 26)), 232 * unit)
        wide = max(draw.textlength(row, font=font) for row in rows) + 24 * unit
        high = len(rows) * 20 * unit + 30 * unit
        left = width_px - wide - 12 * unit if mine else 12 * unit
        draw.rounded_rectangle(
            (left, y, left + wide, y + high), 10 * unit, fill=(217, 242, 220) if mine else (255, 255, 255)
        )
        for row_number, row in enumerate(rows):
            draw.text((left + 12 * unit, y + (9 + 20 * row_number) * unit), row, font=font, fill=(28, 32, 36))
        clock = f"{9 + number // 20:02d}:{(number * 3) % 60:02d}"
        draw.text(
            (left + wide - 10 * unit, y + high - 8 * unit),
            clock,
            font=small,
            fill=(120, 128, 134),
            anchor="rs",
        )
        y += high + 9 * unit
        number += 1
    return picture


def _wrapped(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    rng: np.random.Generator,
    count: int,
    width: float,
) -> list[str]:
    """``count`` words in a row, broken into lines of at most ``width`` pixels."""
    words = WORDS.split()
    start = int(rng.integers(0, len(words)))
    rows = [""]
    for number in range(count):
        word = words[(start + number) % len(words)]
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and draw.textlength(longer, font=font) > width:
            rows.append(word)
        else:
            rows[-1] = longer
    rows[0] = rows[0][0].upper() + rows[0][1:]
    return rows
