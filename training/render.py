"""Render one line: text laid out, seen by a camera, painted and degraded; the effects are drawn at random.

They follow SynthTIGER (Yim et al. 2021, arXiv 2107.09313) for scenes and Tesseract's DegradeImage for print.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import cv2
import numpy as np
import numpy.typing as npt

from simpleocr.vocabulary import Vocabulary
from training import augment
from training.backgrounds import Grey, background, clouds, photo
from training.corpus import Corpus
from training.fonts import Face

EM = 40  # pixels at which glyphs are rasterised; then one warp brings them to their size in the crop
PAD = 40  # free pixels around the text on its canvas, for neighbours and loose crops

Mask = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]


EFFECTS: dict[str, str] = {
    "looseness": "crops that are loose or cut into the ink",
    "width": "condensed and stretched letters",
    "slant": "turned, sheared and curved lines, perspective",
    "neighbours": "other text beside the line",
    "print": "ink that spread or broke, dots, black and white, rules",
    "style": "outlines, shadows, relief, letters with sides, panels, frames, gradients in the ink",
    "background": "photographs, textures and gradients behind",
    "contrast": "greys close to each other",
    "polarity": "light text on dark",
    "sensor": "uneven light, shadows, blur, low resolution, noise, exposure",
    "show_through": "of these, print on the other side of the paper",
    "stamp": "of these, rubber stamps",
}
"""What can be left out of a corpus, to learn what it is worth."""


@dataclass(frozen=True)
class Source:
    """All that samples are drawn from.

    Args:
        corpus: texts.
        fonts: font files.
        photos: grey pictures for backgrounds.
        vocabulary: the characters that texts may have.
        strength: 0..1, how hard the hardest samples are.
        without: those of EFFECTS that are left out.
        kinds: those of texts.KINDS that texts are of; none: all.
    """

    corpus: Corpus
    fonts: Sequence[Path]
    photos: Sequence[npt.NDArray[np.uint8]]
    vocabulary: Vocabulary
    strength: float = 1.0
    without: frozenset[str] = frozenset()
    kinds: Sequence[str] = ()

    def share(self, effect: str) -> float:
        """1, or 0 of what is left out: a factor of the effect's strength."""
        return float(effect not in self.without)


def small_capitals(text: str, rng: Random) -> list[float]:
    """The scale of each character where the first letters of capital words stand out, as on many signs; else ones."""
    if len(text) < 3 or text != text.upper() or rng.random() > 0.15:
        return [1.0] * len(text)
    small = rng.uniform(0.65, 0.88)
    return [1.0 if i == 0 or text[i - 1] == " " else small for i in range(len(text))]


SET_APART = re.compile(r"\S( \S)+")  # characters with a space between any two


def lay_out(text: str, face: Face, rng: Random, strength: float) -> tuple[Mask, tuple[int, int, int, int]]:
    """Text in one line on a canvas: its coverage mask, and the box (left, top, right, bottom) of its ink."""
    tracking, jitter, space = 0.0, 0.0, rng.uniform(0.85, 1.4)
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


# characters that only their height or their place in the line tells from another
SIZED = frozenset("cCkKoOpPsSuUvVwWxXyYzZ0.,·'‘’°-_–—lI|1^")


def needs_line(text: str) -> bool:
    """Whether what a text says cannot be told from its ink alone: "x" or "X", a comma or an apostrophe."""
    return all(c in SIZED or c == " " for c in text)


def line_box(box: tuple[int, int, int, int], face: Face, rng: Random) -> tuple[int, int, int, int]:
    """The ink's box grown to the height of the line, or most of it: what is cut out of pages has it, whatever it says."""
    share = rng.uniform(0.6, 1.0)
    top = PAD + face.ascent - round(share * face.ascent)
    bottom = PAD + face.ascent + round(share * face.descent)
    return box[0], min(box[1], top), box[2], max(box[3], bottom)


def add_neighbours(canvas: Mask, box: tuple[int, int, int, int], face: Face, source: Source, rng: Random) -> None:
    """Draw other text beside, above or below, so close that a loose crop cuts through it."""
    left, top, right, bottom = box
    word, _ = lay_out(_drawable(source.corpus.word(rng), face), face, rng, 0)
    word = word[PAD:-PAD, PAD:-PAD]
    where = rng.choice(("left", "right", "above", "below"))
    gap = round(face.size * rng.uniform(0.2, 0.5))
    x, y = PAD, max(0, PAD + rng.randint(-3, 3))
    if where == "left":
        word, x = word[:, -max(1, left - gap) :], max(0, left - gap - word.shape[1])
    elif where == "right":
        x = right + gap
    else:
        x = max(0, left + rng.randint(-PAD, PAD))
        y = bottom + gap // 2 if where == "below" else top - gap // 2 - word.shape[0]
        if y < 0:
            word, y = word[-y:], 0
    target = canvas[y : y + word.shape[0], x : x + word.shape[1]]
    np.maximum(target, word[: target.shape[0], : target.shape[1]], out=target)


def _drawable(text: str, face: Face) -> str:
    return "".join(c for c in text if face.draws(c)) or "I"


def view(
    box: tuple[int, int, int, int], source: Source, rng: Random, strength: float
) -> tuple[Matrix, tuple[int, int]]:
    """How the crop sees the canvas: the matrix (3, 3) from canvas to crop pixels, and the crop's (width, height)."""
    left, top, right, bottom = box
    w, h = right - left, bottom - top
    em = max(h, EM * 0.5)
    squeeze, draw = 1.0, rng.random()
    if draw < 0.5:
        squeeze = float(np.exp(rng.gauss(-0.05, 0.2)))
    elif draw < 0.62:
        squeeze = rng.uniform(0.5, 0.8)
    squeeze **= source.share("width")
    shear = rng.gauss(0, 0.2) * strength if rng.random() < 0.4 * strength else 0.0
    angle = 0.0
    if rng.random() < 0.75 * strength:
        angle = np.radians(rng.gauss(0, rng.choice((2, 7, 7, 14)))) * strength
        angle *= min(1.0, 5 * em / (w * squeeze))  # a long line is turned less, or its crop would be mostly background
    cos, sin = np.cos(angle), np.sin(angle)
    centre = np.array([[1, 0, -(left + right) / 2], [0, 1, -(top + bottom) / 2], [0, 0, 1]])
    matrix = (
        np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        @ np.array([[squeeze, shear, 0], [0, 1, 0], [0, 0, 1]])
        @ centre
    )
    if rng.random() < 0.45 * strength:
        tilt_x = rng.gauss(0, 0.4) * strength / max(w * squeeze, em)
        tilt_y = rng.gauss(0, 0.25) * strength / max(w * squeeze, em)
        matrix = np.array([[1, 0, 0], [0, 1, 0], [tilt_x, tilt_y, 1]]) @ matrix
    corners = matrix @ np.array([[left, right, right, left], [top, top, bottom, bottom], [1, 1, 1, 1]])
    corners = corners[:2] / corners[2]
    (x0, y0), (x1, y1) = corners.min(axis=1), corners.max(axis=1)
    margins = [margin * (y1 - y0) for margin in _margins(rng, source.strength * source.share("looseness"))]
    x0, y0, x1, y1 = x0 - margins[0], y0 - margins[1], x1 + margins[2], y1 + margins[3]
    if y1 - y0 < 0.5 * EM and rng.random() < 0.7:  # a lone dot or dash: mostly cropped with the line's height around it
        grow = rng.uniform(0.2, 0.7) * EM
        share = rng.random()
        y0, y1 = y0 - grow * share, y1 + grow * (1 - share)
    height = round(np.exp(rng.uniform(np.log(13), np.log(52))))
    scale = height / (y1 - y0)
    width = max(4, round((x1 - x0) * scale))
    to_crop = np.array([[scale, 0, -x0 * scale], [0, scale, -y0 * scale], [0, 0, 1]])
    return to_crop @ matrix, (width, height)


def _margins(rng: Random, strength: float) -> list[float]:
    """Free space on each side of a crop as a share of its height; below zero the crop cuts into the ink.

    Nobody tunes the boxes of real crops, and a network that never saw loose ones reads them badly: cutting a twentieth
    off each side of iiit5k, svt and ic15 once brought three to four points. So most crops here are loose somewhere, but
    for clean print, of strength 0.
    """
    if not strength:
        return [abs(rng.gauss(0.06, 0.04)) for _ in range(4)]
    draw = rng.random()
    usual = 0.03 if draw < 0.3 else 0.1 if draw < 0.7 else rng.uniform(0.1, 0.4)
    margins = [rng.gauss(usual, 0.4 * usual + 0.02) for _ in range(4)]
    for side in range(4):
        draw = rng.random()
        if draw < 0.08:
            margins[side] = rng.uniform(0.1, 0.6)
        elif draw < 0.14:
            margins[side] = rng.uniform(-0.07, 0.0)
    return margins


def warp(mask: Mask, matrix: Matrix, size: tuple[int, int], bend: float) -> Mask:
    """The mask seen through `matrix`; reduced with antialiasing; `bend` lifts the middle of the canvas by so many pixels."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))) / abs(matrix[2, 2]))
    if scale < 0.6:
        shrunk = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
        ratio = (mask.shape[1] / shrunk[0], mask.shape[0] / shrunk[1])
        mask = np.asarray(cv2.resize(mask, shrunk, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        matrix = matrix @ np.diag([ratio[0], ratio[1], 1.0])
        bend /= ratio[1]
    if not bend:
        return np.asarray(cv2.warpPerspective(mask, matrix, size, flags=cv2.INTER_LINEAR), dtype=np.uint8)
    inverse = np.linalg.inv(matrix).astype(np.float32)
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    depth = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    from_x = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]) / depth
    from_y = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]) / depth
    from_y += np.float32(bend) * (1 - (from_x / np.float32(mask.shape[1] / 2) - 1) ** 2)
    return np.asarray(cv2.remap(mask, from_x, from_y, cv2.INTER_LINEAR), dtype=np.uint8)


def grey_levels(rng: Random, strength: float, document: bool) -> tuple[float, float]:
    """Grey of background and text, 0..255, far enough apart to be read."""
    if document and rng.random() < 0.95:
        return 255 - abs(rng.gauss(0, 30)), min(150.0, abs(rng.gauss(0, 50)))
    draw = rng.random()
    low, high = (90, 255) if draw > 0.6 * strength else (45, 120) if draw > 0.2 * strength else (22, 60)
    contrast = rng.uniform(low, high)
    darker = rng.uniform(0, 255 - contrast)
    return (darker, darker + contrast) if rng.random() < 0.5 else (darker + contrast, darker)


def paint(mask: Mask, source: Source, rng: Random, strength: float, document: bool) -> Grey:
    """Text of coverage `mask` on a background: outlines, shadows, textures, rules; float32 grey."""
    ground, ink = grey_levels(rng, strength * source.share("contrast"), document)
    if "polarity" in source.without:
        ground, ink = max(ground, ink), min(ground, ink)
    lively = strength * source.share("background")
    surface = background(mask.shape, ground, source.photos, rng, lively * (0.5 if document else 1.0))
    alpha = mask.astype(np.float32) / np.float32(255)
    styled = strength * source.share("style")
    if document:
        surface = _rule(surface, ink, rng, strength * source.share("print"))
    else:
        surface = _panel(surface, ground, rng, styled)
        if rng.random() < 0.55 * styled:
            surface, alpha = _style(surface, alpha, mask, ground, ink, rng)
    colour = np.full(mask.shape, ink, dtype=np.float32)
    if not document:
        draw = rng.random()
        if draw < 0.2 * styled:
            colour += clouds(mask.shape, rng) * np.float32(rng.uniform(5, 40))
        elif draw < 0.35 * styled:  # metal, or lit from above
            colour += np.linspace(-1, 1, mask.shape[0], dtype=np.float32)[:, None] * np.float32(rng.uniform(-60, 60))
    # on a lively background the text must still stand out on average, else the label would be a guess
    covered = float(alpha.sum()) + 1e-6
    under = float((surface * alpha).sum()) / covered
    if abs(under - ink) < 25:
        colour += np.float32((60 if under < 128 else -60) + under - ink)
    if not document and rng.random() < 0.12 * styled * source.share("polarity"):
        _two_tones(colour, alpha, surface, rng)
    return surface + (colour - surface) * alpha


def _two_tones(colour: Grey, alpha: Grey, surface: Grey, rng: Random) -> None:
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


def _panel(surface: Grey, ground: float, rng: Random, strength: float) -> Grey:
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
        cv2.line(surface, a.tolist(), b.tolist(), float(other), max(1, thickness), cv2.LINE_AA)
    return surface


def _rule(surface: Grey, ink: float, rng: Random, strength: float) -> Grey:
    """Underlines and table rules near the edges."""
    height, width = surface.shape
    thickness = max(1, round(height * rng.uniform(0.02, 0.07)))
    if rng.random() < 0.12 * strength:
        y = rng.randint(int(height * 0.84), height - 1) if rng.random() < 0.8 else rng.randint(0, int(height * 0.08))
        cv2.line(surface, (0, y), (width, y + rng.randint(-1, 1)), ink, thickness)
    if rng.random() < 0.04 * strength:
        x = rng.choice((rng.randint(0, 2), width - 1 - rng.randint(0, 2)))
        cv2.line(surface, (x, 0), (x, height), ink, thickness)
    return surface


def _extrude(surface: Grey, alpha: Grey, ground: float, ink: float, rng: Random) -> Grey:
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


def _style(surface: Grey, alpha: Grey, mask: Mask, ground: float, ink: float, rng: Random) -> tuple[Grey, Grey]:
    """A shadow, a relief, an outline, an extrusion, or letters that are only an outline."""
    height = mask.shape[0]
    draw = rng.random()
    if rng.random() < 0.35:
        return _extrude(surface, alpha, ground, ink, rng), alpha
    if draw < 0.12:
        # raised or cut letters: a lit and a shaded edge, and a face almost of the ground's colour
        dx, dy = rng.choice((-1, 1)), rng.choice((-1, 1))
        soft = np.asarray(cv2.GaussianBlur(alpha, (0, 0), max(0.4, 0.02 * height)), dtype=np.float32)
        edges = np.roll(soft, (dy, dx), (0, 1)) - np.roll(soft, (-dy, -dx), (0, 1))
        return surface + edges * np.float32(rng.uniform(60, 160)), alpha * np.float32(rng.uniform(0.1, 0.6))
    if draw < 0.45:
        dx, dy = round(rng.gauss(0, 0.05) * height), round(rng.gauss(0, 0.05) * height)
        moved = np.asarray(
            cv2.warpAffine(alpha, np.array([[1, 0, dx], [0, 1, dy]], dtype=np.float64), mask.shape[::-1])
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


def render_line(text: str, face: Face, source: Source, rng: Random) -> npt.NDArray[np.uint8]:
    """One picture of `text`, uint8 grey with shape (height, width); every character must be one that `face` draws."""
    # drawn apart: a sharp sign may be seen from the side, and a blurred one from the front
    strength, painted = source.strength * rng.random(), source.strength * rng.random()
    turned = source.strength * rng.random() ** 0.5 * source.share("slant")
    printed = strength * source.share("print")
    document = rng.random() < 0.45
    canvas, box = lay_out(text, face, rng, strength)
    if rng.random() < (0.85 if needs_line(text) else 0.3 if document else 0.05):
        box = line_box(box, face, rng)
    if rng.random() < 0.35 * source.strength * source.share("neighbours"):
        add_neighbours(canvas, box, face, source, rng)
    canvas = augment.print_ink(canvas, rng, printed)
    bend = 0.0
    if not document and len(text) > 3 and rng.random() < 0.2 * turned:
        bend = rng.gauss(0, 0.35) * (box[3] - box[1])
        box = (box[0], box[1] - max(0, round(bend)), box[2], box[3] - min(0, round(bend)))
    matrix, size = view(box, source, rng, turned * (0.4 if document else 1.0))
    mask = warp(canvas, matrix, size, bend)
    image = paint(mask, source, rng, painted, document)
    image = augment.degrade(image, rng, strength * source.share("sensor"), source.without)
    if document and rng.random() < 0.12 * printed:
        image = augment.binarize(image, rng, strength)
    return np.clip(image, 0, 255).astype(np.uint8)


def render_empty(source: Source, rng: Random) -> npt.NDArray[np.uint8]:
    """A picture without text: paper, a wall, a photograph, noise."""
    shape = (rng.randint(14, 52), rng.randint(14, 250))
    if (
        source.photos and rng.random() < 0.5
    ):  # as it is, from near and from afar: folds, edges and twigs look like letters
        image = photo(shape, source.photos, rng, (0.5, 6.0))
    else:
        image = background(shape, rng.uniform(0, 255), source.photos, rng, 1.0)
    return np.clip(augment.degrade(image, rng, 1.0), 0, 255).astype(np.uint8)


def encode(image: npt.NDArray[np.uint8], rng: Random) -> bytes:
    """A file's bytes: mostly JPEG, at qualities from poor to perfect, for the codec is one of the effects."""
    if rng.random() < 0.15:
        return bytes(cv2.imencode(".png", image)[1])
    quality = rng.randint(15, 60) if rng.random() < 0.2 else rng.randint(60, 97)
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
