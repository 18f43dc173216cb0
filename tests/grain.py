"""Noise as a grainy film or a dark room has it, the same in every run: what a test finds today it finds tomorrow."""

from __future__ import annotations

import numpy as np
from PIL import Image


def grain(size_px: tuple[int, int], sigma: float, seed: int = 0) -> Image.Image:
    """A grey picture of middle grey with Gaussian noise of ``sigma`` levels; another ``seed``, another picture."""
    width_px, height_px = size_px
    levels = np.random.default_rng(seed).normal(128, sigma, (height_px, width_px))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))
