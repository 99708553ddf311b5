"""Backgrounds: flat, shaded, textured and photographed grey surfaces for text to stand on."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import cv2
import numpy as np
import numpy.typing as npt

from simpleocr.image import load_image

Grey = npt.NDArray[np.float32]
"""Grey values 0..255 with shape (height, width)."""

PHOTO_SIDE = 640  # a photograph is kept at this size: crops of it are small


def find_photos(folders: Sequence[Path]) -> list[Path]:
    """The picture files below `folders`, sorted in each.

    Raises:
        ValueError: a folder that does not exist or holds no picture.
    """
    photos: list[Path] = []
    for folder in folders:
        files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
        if not files:
            raise ValueError(f"no pictures for backgrounds in {folder}")
        photos += files
    return photos


def load_photos(folders: Sequence[Path]) -> list[npt.NDArray[np.uint8]]:
    """The pictures of `folders` as grey arrays; with no folder none, and backgrounds are made up instead.

    Raises:
        ValueError: as find_photos(), or a picture cannot be read.
    """
    photos = []
    for file in find_photos(folders):
        image = load_image(file).convert("L")
        image.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
        photos.append(np.asarray(image).copy())
    return photos


def gradient(shape: tuple[int, int], rng: Random) -> Grey:
    """A plane from -0.5 to 0.5 across the longer way, in a random direction; shape (height, width)."""
    height, width = shape
    x, y = rng.uniform(-1, 1), rng.uniform(-1, 1)
    ramp = np.linspace(-x, x, width, dtype=np.float32)[None] + np.linspace(-y, y, height, dtype=np.float32)[:, None]
    return ramp / np.float32(2 * (abs(x) + abs(y)) + 1e-6)


def clouds(shape: tuple[int, int], rng: Random) -> Grey:
    """Smooth random relief within about -1..1; cells of two pixels up to the whole height."""
    height, width = shape
    cell = rng.uniform(2, max(3, height))
    grid = (max(2, round(height / cell) + 1), max(2, round(width / cell * rng.choice((0.3, 1, 1, 3))) + 1))
    noise = np.random.default_rng(rng.getrandbits(64)).standard_normal(grid, dtype=np.float32)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32) * np.float32(
        0.5
    )


def photo(
    shape: tuple[int, int],
    photos: Sequence[npt.NDArray[np.uint8]],
    rng: Random,
    pixels: tuple[float, float] = (0.4, 1.5),
) -> Grey:
    """A random crop of a random photograph, one in two mirrored.

    Args:
        shape: (height, width).
        photos: grey pictures.
        rng: decides.
        pixels: how many of the photograph's go into one, at least and at most.
    """
    height, width = shape
    picture = rng.choice(photos)
    scale = min(rng.uniform(*pixels), picture.shape[0] / height, picture.shape[1] / width)
    h, w = min(picture.shape[0], max(4, int(height * scale))), min(picture.shape[1], max(4, int(width * scale)))
    top, left = rng.randint(0, picture.shape[0] - h), rng.randint(0, picture.shape[1] - w)
    crop = cv2.resize(
        picture[top : top + h, left : left + w],
        (width, height),
        interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR,
    )
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return crop.astype(np.float32)


def background(
    shape: tuple[int, int], level: float, photos: Sequence[npt.NDArray[np.uint8]], rng: Random, strength: float
) -> Grey:
    """A surface of mean grey `level` (0..255); how lively grows with `strength` in 0..1."""
    surface = np.full(shape, level, dtype=np.float32)
    draw = rng.random()
    if draw < 0.25 * strength and photos:
        crop = photo(shape, photos, rng)
        surface += (crop - crop.mean()) * np.float32(rng.uniform(0.15, 1.0) * strength)
    elif draw < 0.45 * strength:
        surface += clouds(shape, rng) * np.float32(rng.uniform(4, 50) * strength)
    elif draw < 0.65 * strength:
        surface += gradient(shape, rng) * np.float32(rng.uniform(10, 120) * strength)
    return surface
