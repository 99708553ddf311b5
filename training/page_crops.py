"""Page crops: what the detector trains on; a page seen by a scanner or camera, and the maps it should give.

Every crop is a new view of its page: scaled so that letters are anything from small print to a headline, turned, seen
in perspective, folded, shadowed, blurred, copied. Shapes: H, W of the crop; its maps are (2, H / 4, W / 4).
"""

from dataclasses import dataclass
from random import Random
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from simpleocr.regions import CORE, LINE_ENDS, LINES, STRIDE, WORD_ENDS, WORDS
from training.augment import photographed
from training.backgrounds import Grey

SMALLEST, LARGEST = 8.0, 70.0  # pixels from ascenders to descenders that a line of interest has in a crop
UNREADABLE = 5.0  # pixels: lower lines are neither asked for nor forbidden

SHORT = 1.2  # heights of a line up to which it is a character or two alone, as in tables
OF_SINGLES = 3.0  # times that its cells count: they are few, and a table is wrong without them
HORIZON = 0.8  # how far, of the way from the crop's middle to the horizon, a page's corners may reach: beyond it no line has ends
FINER = 2  # pixels of a drawn map for one of the crop: an outline half a pixel wide makes cores of small print thicker

Quads = npt.NDArray[np.float64]
"""(N, 4, 2): corners clockwise from the top left, as read."""


@dataclass(frozen=True)
class PageCrop:
    """One training sample.

    Args:
        image: (H, W) grey, 0..255.
        maps: (2, H / 4, W / 4) how much of each cell lies in the core of a line, of a word.
        weights: (H / 4, W / 4) 0 where nothing is asked; more than 1 on single characters.
    """

    image: npt.NDArray[np.uint8]
    maps: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]


def to_quads(boxes: list[list[float]]) -> Quads:
    """Boxes (left, top, right, bottom) -> their corners."""
    edges = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return edges[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def core(quads: Quads, ends: float) -> Quads:
    """The middle half of each, `ends` of the height shorter on both sides, though not shorter for that than it is high.

    A single digit would hardly leave a trace else.
    """
    free = (1 - CORE) / 2
    top_left, top_right, bottom_right, bottom_left = (quads[:, i] for i in range(4))
    left, right = bottom_left - top_left, bottom_right - top_right
    tl, bl = top_left + free * left, bottom_left - free * left
    tr, br = top_right + free * right, bottom_right - free * right
    height = np.linalg.norm(left, axis=-1, keepdims=True)
    along = (top_right - top_left + bottom_right - bottom_left) / 2
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    step = along / np.maximum(length, 1e-6) * np.clip((length - CORE * height) / 2, 0, ends * height)
    return np.stack([tl + step, tr - step, br - step, bl + step], axis=1)


def draw_maps(lines: Quads, words: Quads, size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The maps of a crop of `size` x `size` pixels, and where they count; cells at an edge are covered in part."""
    maps = np.zeros((2, size // STRIDE, size // STRIDE), dtype=np.float32)
    for channel, quads, ends in ((LINES, lines, LINE_ENDS), (WORDS, words, WORD_ENDS)):
        drawn = np.zeros((FINER * size, FINER * size), dtype=np.uint8)
        for quad in core(quads, ends):  # a pixel's number is that of its middle, and the outline is drawn too
            cv2.fillConvexPoly(drawn, np.round((quad * FINER - 0.5) * 16).astype(np.int32), 255, shift=4)
        maps[channel] = cv2.resize(drawn, maps.shape[1:], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    ignored = np.zeros((size, size), dtype=np.uint8)
    for quad in lines:
        if np.linalg.norm(quad[3] - quad[0]) < UNREADABLE:
            cv2.fillConvexPoly(ignored, np.round(quad).astype(np.int32), 1)
    weights = 1 - cv2.resize(ignored, maps.shape[1:], interpolation=cv2.INTER_NEAREST).astype(np.float32)
    singles = np.zeros(weights.shape, dtype=np.uint8)
    for quad in lines:
        if np.linalg.norm(quad[1] - quad[0]) < SHORT * np.linalg.norm(quad[3] - quad[0]):
            cv2.fillConvexPoly(singles, np.round(quad / STRIDE).astype(np.int32), 1)
    weights[singles > 0] *= OF_SINGLES
    return maps, np.asarray(weights, dtype=np.float32)


def crop_page(
    page: npt.NDArray[np.uint8], lines: list[dict[str, Any]], photo: Grey, size: int, rng: Random
) -> PageCrop:
    """A random view of a page.

    Args:
        page: (H, W) grey.
        lines: as training.pages writes them.
        photo: what lies beyond the page's edges, where it does not go on.
        size: pixels of the crop's sides.
        rng: decides.
    """
    line_quads = to_quads([line["box"] for line in lines])
    word_quads = to_quads([word["box"] for line in lines for word in line["words"]])
    matrix, letters = _view(page.shape, line_quads, size, rng)
    border = int(np.median(page[[0, -1]])) if rng.random() < 0.7 else None
    view = _warp(page, matrix, size, border, photo)
    if len(line_quads):
        line_quads = np.asarray(cv2.perspectiveTransform(line_quads, matrix), dtype=np.float64)
        word_quads = np.asarray(cv2.perspectiveTransform(word_quads, matrix), dtype=np.float64)
    image = photographed(view, letters, rng)
    if rng.random() < 0.12:
        image = 255 - image
    maps, weights = draw_maps(line_quads, word_quads, size)
    encoded = cv2.imencode(
        ".jpg", np.clip(image, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, rng.randint(30, 95)]
    )[1]
    return PageCrop(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8), maps, weights)


def _view(shape: tuple[int, ...], quads: Quads, size: int, rng: Random) -> tuple[npt.NDArray[np.float64], float]:
    """The matrix from page to crop, and the height of the letters it was made for."""
    height, width = shape
    if len(quads):
        quad = quads[rng.randrange(len(quads))]
        centre = quad[0] + (quad[2] - quad[0]) * rng.random()
        letters = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))))
        scale = float(np.clip(letters / max(2.0, quad[3][1] - quad[0][1]), size / (3 * max(shape)), 2.5))
        letters = scale * float(np.median(quads[:, 3, 1] - quads[:, 0, 1]))
    else:
        centre, letters = np.array([rng.uniform(0, width), rng.uniform(0, height)]), 20.0
        scale = rng.uniform(0.4, 1.5)
    angle = np.radians(rng.gauss(0, rng.choice((0.5, 2, 5, 12))))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    squeeze = np.exp(rng.gauss(0, 0.12))
    stretch = np.diag([scale * squeeze, scale / squeeze, 1.0])
    to_centre = np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, 1]])
    tilt = np.eye(3)
    if rng.random() < 0.35:
        tilt[2, :2] = rng.gauss(0, 0.15) / size, rng.gauss(0, 0.15) / size
        corners = turn @ stretch @ to_centre @ np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]])
        tilt[2, :2] *= HORIZON / max(HORIZON, float((1 - tilt[2] @ corners).max()))
    place = np.array([[1, 0, size * rng.uniform(0.2, 0.8)], [0, 1, size * rng.uniform(0.2, 0.8)], [0, 0, 1]])
    return place @ tilt @ turn @ stretch @ to_centre, letters


def _warp(
    page: npt.NDArray[np.uint8], matrix: npt.NDArray[np.float64], size: int, border: int | None, photo: Grey
) -> Grey:
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if scale < 0.6:  # reduced with antialiasing first
        small = (max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale)))
        matrix = matrix @ np.diag([page.shape[1] / small[0], page.shape[0] / small[1], 1.0])
        page = np.asarray(cv2.resize(page, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if border is not None:
        seen = cv2.warpPerspective(
            page, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=border
        )
        return np.asarray(seen, dtype=np.float32)
    seen = cv2.warpPerspective(page, matrix, (size, size), flags=cv2.INTER_LINEAR)
    inside = cv2.warpPerspective(np.full(page.shape, 255, np.uint8), matrix, (size, size), flags=cv2.INTER_LINEAR)
    share = np.asarray(inside, dtype=np.float32) / 255
    beyond = np.asarray(cv2.resize(photo, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return np.asarray(seen + beyond * (1 - share), dtype=np.float32)
