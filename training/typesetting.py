"""Typesetting: characters in a row, as a printer sets them or as somebody screws them to a wall."""

import re
from random import Random

import cv2
import numpy as np
import numpy.typing as npt

from training.fonts import Face

PAD = 40  # free pixels around the text on its canvas, for neighbours and loose crops
SET_APART = re.compile(r"\S( \S)+")  # characters with a space between any two
LOOSE = 20  # a text of fewer characters may have each of them fixed for itself

Mask = npt.NDArray[np.uint8]


def small_capitals(text: str, rng: Random) -> list[float]:
    """The scale of each character where the first letters of capital words stand out, as on many signs; else ones."""
    if len(text) < 3 or text != text.upper() or rng.random() > 0.15:
        return [1.0] * len(text)
    small = rng.uniform(0.65, 0.88)
    return [1.0 if i == 0 or text[i - 1] == " " else small for i in range(len(text))]


def turned(glyph: Mask, degrees: float) -> tuple[Mask, int, int]:
    """A glyph (height, width) turned about its centre, cut to its ink; and how far its corner moved, right and down."""
    height, width = glyph.shape
    room = (height + width) // 2
    matrix = cv2.getRotationMatrix2D((room + (width - 1) / 2, room + (height - 1) / 2), degrees, 1.0)
    around = np.pad(glyph, room)
    whole = np.asarray(cv2.warpAffine(around, matrix, around.shape[::-1]), dtype=np.uint8)
    rows, columns = (np.flatnonzero(whole.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return glyph, 0, 0
    ink = whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return ink, int(columns[0]) - room, int(rows[0]) - room


def lay_out(
    text: str, face: Face, rng: Random, strength: float, loose: float = 0.0
) -> tuple[Mask, tuple[int, int, int, int]]:
    """Text in one line on a canvas: its coverage mask, and the box (left, top, right, bottom) of its ink.

    Args:
        text: characters that `face` draws.
        face: a font.
        rng: decides.
        strength: 0..1, how far the characters are from how the font has them.
        loose: 0..1; of short texts a tenth of it are fixed letter by letter: turned by some degrees, larger or smaller,
            higher or lower than the others.
    """
    tracking, jitter, turn, space = 0.0, 0.0, 0.0, rng.uniform(0.85, 1.4)
    draw = rng.random()
    if draw < 0.03:
        tracking = rng.uniform(-0.12, -0.05) * face.size * strength  # close, up to letters that touch
    elif draw < 0.25:
        tracking = rng.uniform(-0.05, 0.1) * face.size
    elif draw < 0.35 and len(text) < 30 and not text.isdigit():  # nobody could tell digits set wide from "1 2 3"
        tracking = rng.uniform(0.1, 0.7) * face.size
    if SET_APART.fullmatch(text):
        tracking, space = min(tracking, 0.0), rng.uniform(1.2, 3.0)
    if rng.random() < 0.05 * strength:
        jitter = 0.05 * face.size
    pens, x = [], 0.0
    scales = small_capitals(text, rng) if strength else [1.0] * len(text)
    if rng.random() < 0.1 * loose and len(text) < LOOSE:
        jitter, turn, sizes = rng.uniform(0.0, 0.08) * face.size, rng.uniform(0, 10), rng.uniform(0, 0.1)
        scales = [scale * float(np.exp(rng.gauss(0, sizes))) for scale in scales]
    for i, c in enumerate(text):
        if i:
            x += face.kerning(text[i - 1], c) + tracking
        pens.append(x)
        x += face.length(c) * scales[i] if c != " " else face.length(c) * space + max(0.0, tracking)
    height = face.ascent + face.descent
    canvas = np.zeros((height + 2 * PAD, int(x) + 2 * PAD + face.size), dtype=np.uint8)
    left, top, right, bottom = canvas.shape[1], canvas.shape[0], 0, 0
    for c, pen, scale in zip(text, pens, scales, strict=True):
        glyph, dx, dy = face.glyph(c)
        if not glyph.size:
            continue
        if scale != 1:
            shape = (max(1, round(glyph.shape[1] * scale)), max(1, round(glyph.shape[0] * scale)))
            glyph = np.asarray(cv2.resize(glyph, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
            dx, dy = round(dx * scale), round(dy * scale)
        if turn:
            glyph, right_by, down_by = turned(glyph, rng.gauss(0, turn))
            dx, dy = dx + right_by, dy + down_by
        gx = max(0, PAD + round(pen) + dx)
        gy = max(0, PAD + face.ascent + dy + (round(rng.gauss(0, jitter)) if jitter else 0))
        target = canvas[gy : gy + glyph.shape[0], gx : gx + glyph.shape[1]]
        np.maximum(target, glyph[: target.shape[0], : target.shape[1]], out=target)
        left, top, right, bottom = (
            min(left, gx),
            min(top, gy),
            max(right, gx + glyph.shape[1]),
            max(bottom, gy + glyph.shape[0]),
        )
    return canvas, (left, top, max(right, left + 1), max(bottom, top + 1))
