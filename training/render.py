"""Render one line: text laid out, seen by a camera, painted and degraded; the effects are drawn at random.

They follow SynthTIGER (Yim et al. 2021, arXiv 2107.09313) for scenes and Tesseract's DegradeImage for print.
"""

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
from training.signs import crossed, metal, panel, style, two_tones
from training.typesetting import PAD, Mask, lay_out

EM = 40  # pixels at which glyphs are rasterised; then one warp brings them to their size in the crop

Matrix = npt.NDArray[np.float64]


EFFECTS: dict[str, str] = {
    "looseness": "crops that are loose or cut into the ink",
    "width": "condensed and stretched letters",
    "slant": "turned, sheared and curved lines, perspective",
    "lettering": "characters of a sign turned, larger or smaller, higher or lower than the others",
    "crossed": "wires, branches and posts before a sign",
    "neighbours": "other text beside the line",
    "print": "ink that spread or broke, dots, black and white, rules",
    "style": "outlines, shadows, relief, letters with sides or a glow, panels, frames, gradients in the ink, metal",
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
        surface = panel(surface, ground, rng, styled)
        if rng.random() < 0.55 * styled:
            surface, alpha = style(surface, alpha, ground, ink, rng)
    colour = np.full(mask.shape, ink, dtype=np.float32)
    if not document:
        draw = rng.random()
        if draw < 0.2 * styled:
            colour += clouds(mask.shape, rng) * np.float32(rng.uniform(5, 40))
        elif draw < 0.35 * styled:  # lit from above
            colour += np.linspace(-1, 1, mask.shape[0], dtype=np.float32)[:, None] * np.float32(rng.uniform(-60, 60))
        elif draw < 0.42 * styled:
            colour += metal(mask.shape, min(90.0, abs(ground - ink)), rng)
    # on a lively background the text must still stand out on average, else the label would be a guess
    covered = float(alpha.sum()) + 1e-6
    under = float((surface * alpha).sum()) / covered
    if abs(under - ink) < 25:
        colour += np.float32((60 if under < 128 else -60) + under - ink)
    if not document and rng.random() < 0.12 * styled * source.share("polarity"):
        two_tones(colour, alpha, surface, rng)
    image = surface + (colour - surface) * alpha
    if not document and rng.random() < 0.06 * strength * source.share("crossed"):
        image = crossed(image, rng)
    return image


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


def render_line(text: str, face: Face, source: Source, rng: Random) -> npt.NDArray[np.uint8]:
    """One picture of `text`, uint8 grey with shape (height, width); every character must be one that `face` draws."""
    # drawn apart: a sharp sign may be seen from the side, and a blurred one from the front
    strength, painted = source.strength * rng.random(), source.strength * rng.random()
    turned = source.strength * rng.random() ** 0.5 * source.share("slant")
    printed = strength * source.share("print")
    document = rng.random() < 0.45
    loose = 0.0 if document else strength * source.share("lettering")
    canvas, box = lay_out(text, face, rng, strength, loose)
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
