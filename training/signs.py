"""Signs: what letters that are not print may look like, and what stands around them and before them; float32 grey.

`alpha` is the coverage of the letters, 0..1; `surface` what lies under them; both have shape (height, width).
"""

from collections.abc import Sequence
from random import Random

import cv2
import numpy as np

from training.backgrounds import Grey

GLOWING = 90  # greys from the ground to letters that glow, at least: their halo takes away the half of it


def two_tones(colour: Grey, alpha: Grey, surface: Grey, rng: Random) -> None:
    """Some letters, or all from one on, in another grey that stands out from what lies under them."""
    inked = alpha.max(axis=0) > 0.1
    starts = np.flatnonzero(inked[1:] & ~inked[:-1]) + 1  # of letters, but for those that touch the one before
    if len(starts) < 3:
        return
    to_the_end = rng.random() < 0.6
    first = rng.randrange(int(to_the_end), len(starts))
    last = len(starts) if to_the_end else first + rng.choice((1, 1, 2))
    letters = np.s_[:, starts[first] : starts[last] if last < len(starts) else None]
    under = float((surface[letters] * alpha[letters]).sum()) / (float(alpha[letters].sum()) + 1e-6)
    other = float(np.clip(under + rng.choice((-1, 1)) * rng.uniform(50, 180), 0, 255))
    if abs(other - under) >= 45:
        colour[letters] = other


def panel(surface: Grey, ground: float, rng: Random, strength: float) -> Grey:
    """A sign's edge: beyond it, close to one or several sides of the crop, lies something else; or a frame runs there."""
    if rng.random() >= 0.35 * strength:
        return surface
    height, width = surface.shape
    other = np.float32(np.clip(ground + rng.choice((-1, 1)) * rng.uniform(15, 150), 0, 255))
    slope = rng.gauss(0, 0.04) * height
    thickness = round(height * rng.uniform(0.03, 0.12)) if rng.random() < 0.4 else 3 * height
    for side in rng.sample(range(4), rng.choice((1, 1, 2, 4))):
        depth = height * rng.uniform(0.0, 0.12)
        across, along = (height, width) if side < 2 else (width, height)
        at = depth - thickness / 2 if side % 2 == 0 else across - depth + thickness / 2
        ends = np.array([[-1, at - slope], [along, at + slope]]).round().astype(int)
        a, b = ends if side < 2 else ends[:, ::-1]
        surface = surface + (other - surface) * stroke(surface.shape, a.tolist(), b.tolist(), max(1, thickness))
    return surface


def extrude(surface: Grey, alpha: Grey, ground: float, ink: float, rng: Random) -> Grey:
    """Letters with sides, as those screwed to a wall have: the face moved step by step, in a shade of its own."""
    height = alpha.shape[0]
    reach = max(1.5, height * rng.uniform(0.03, 0.16))
    angle = rng.uniform(0, 2 * np.pi)
    deep = alpha
    steps = int(np.ceil(reach))
    for step in range(1, steps + 1):
        dx, dy = np.cos(angle) * reach * step / steps, np.sin(angle) * reach * step / steps
        moved = cv2.warpAffine(alpha, np.array([[1, 0, dx], [0, 1, dy]]), alpha.shape[::-1])
        deep = np.maximum(deep, np.asarray(moved, dtype=np.float32))
    shade = np.float32(rng.choice(((ground + ink) / 2, ink * 0.6, rng.uniform(0, 255), 0.0, ground * 0.5)))
    return surface + (shade - surface) * deep


def glow(surface: Grey, alpha: Grey, ink: float, rng: Random) -> Grey:
    """Letters of light, which light what is around them."""
    reach = alpha.shape[0] * rng.uniform(0.04, 0.2)
    halo = np.asarray(cv2.GaussianBlur(alpha, (0, 0), max(0.6, reach)), dtype=np.float32)
    halo *= np.float32(rng.uniform(0.3, 0.9)) / max(float(halo.max()), 0.1)
    return surface + (np.float32(ink) - surface) * halo


def metal(shape: tuple[int, int], reach: float, rng: Random) -> Grey:
    """What is added to letters that mirror: sky above an edge and ground below; shape (height, width), up to `reach` / 2."""
    height, width = shape
    edge = height * rng.uniform(0.35, 0.65) + np.linspace(-1, 1, width) * rng.gauss(0, 0.05) * height
    above = np.clip((edge[None] - np.arange(height)[:, None]) / max(1.0, height * rng.uniform(0, 0.1)) + 0.5, 0, 1)
    ramp = np.linspace(0.5, -0.5, height)[:, None] * rng.uniform(-0.4, 0.4)
    return np.asarray(((above - 0.5) * rng.uniform(-0.6, 0.6) + ramp) * reach, dtype=np.float32)


def crossed(image: Grey, rng: Random) -> Grey:
    """A wire, a branch or a post before the letters: thin beside the crop, though a thin letter may be behind it."""
    height, width = image.shape
    upright = rng.random() < 0.5
    thickness = max(1, int(min(height, width) * rng.uniform(0.02, 0.12 if upright else 0.07)))
    x = rng.uniform(0, width)
    lean = rng.gauss(0, 0.15) if upright else rng.choice((-1, 1)) * rng.uniform(0.3, 12)  # columns a row
    above, below = ((round(x + lean * (y - height / 2)), y) for y in (-thickness, height + thickness))
    return image + (np.float32(rng.uniform(0, 255)) - image) * stroke(image.shape, above, below, thickness)


def stroke(shape: tuple[int, int], start: Sequence[int], end: Sequence[int], thickness: int) -> Grey:
    """Coverage 0..1 of a line from (x, y) to (x, y); shape (height, width)."""
    covered = np.zeros(shape, dtype=np.uint8)  # OpenCV smooths the edges of lines in bytes alone
    cv2.line(covered, start, end, 255, thickness, cv2.LINE_AA)
    return covered.astype(np.float32) / np.float32(255)


def style(surface: Grey, alpha: Grey, ground: float, ink: float, rng: Random) -> tuple[Grey, Grey]:
    """A shadow, a relief, an outline, an extrusion, a glow, or letters that are only an outline."""
    height = alpha.shape[0]
    draw = rng.random()
    if rng.random() < 0.35:
        return extrude(surface, alpha, ground, ink, rng), alpha
    if ink - ground > GLOWING and rng.random() < 0.2:
        return glow(surface, alpha, ink, rng), alpha
    if draw < 0.12:
        # raised or cut letters: a lit and a shaded edge, and a face almost of the ground's colour
        dx, dy = rng.choice((-1, 1)), rng.choice((-1, 1))
        soft = np.asarray(cv2.GaussianBlur(alpha, (0, 0), max(0.4, 0.02 * height)), dtype=np.float32)
        edges = np.roll(soft, (dy, dx), (0, 1)) - np.roll(soft, (-dy, -dx), (0, 1))
        return surface + edges * np.float32(rng.uniform(60, 160)), alpha * np.float32(rng.uniform(0.1, 0.6))
    if draw < 0.45:
        dx, dy = round(rng.gauss(0, 0.05) * height), round(rng.gauss(0, 0.05) * height)
        moved = np.asarray(
            cv2.warpAffine(alpha, np.array([[1, 0, dx], [0, 1, dy]], dtype=np.float64), alpha.shape[::-1])
        )
        if rng.random() < 0.5:
            moved = np.asarray(cv2.GaussianBlur(moved, (0, 0), max(0.5, 0.04 * height)))
        shade = np.float32(rng.choice((0, ground * 0.5, 255 - ink)))
        return surface + (shade - surface) * moved * np.float32(rng.uniform(0.3, 0.9)), alpha
    reach = max(1, round(height * rng.uniform(0.02, 0.06)))
    wide = cv2.dilate(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    wide = np.asarray(wide, dtype=np.float32)
    if draw < 0.85:
        rim = np.float32(255 if ink < 128 else 0)
        return surface + (rim - surface) * wide, alpha
    return surface, np.clip(wide - alpha, 0, 1)
