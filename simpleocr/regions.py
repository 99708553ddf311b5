"""Regions: the map of a LineNet -> rotated rectangles around lines, in closed form."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simpleocr.components import label_regions
from simpleocr.geometry import Polygon

STRIDE = 4  # pixels of a map's cell
MULTIPLE = 32  # of which a page's sides must be: the coarsest stage's stride
LINES, WORDS = 0, 1  # channels of the maps
CORE = 0.5  # of a line's height, that its core has
LINE_ENDS, WORD_ENDS = 0.25, 0.12  # heights that the core of a line, of a word ends before it
MIN_HEIGHT = 3.0  # pixels of the page as it was looked at
STEEP = 3.0  # a region so many times longer than high has a direction of its own; a shorter one has that of the page
DOUBTFUL = 0.5  # mean probability of a region's cells under which it is none

Map = npt.NDArray[np.float32]
"""(H / 4, W / 4) probabilities."""


@dataclass(frozen=True)
class Region:
    """One line as a rotated rectangle, in pixels.

    Args:
        x, y: its middle.
        length, height: its sides.
        slope: its direction: dy / dx.
        score: mean probability of its core.
    """

    x: float
    y: float
    length: float
    height: float
    slope: float
    score: float

    def scaled(self, x: float, y: float) -> "Region":
        """In a picture so many times wider and higher."""
        longer = math.hypot(x, self.slope * y) / math.hypot(1, self.slope)
        return Region(
            x=self.x * x,
            y=self.y * y,
            length=self.length * longer,
            height=self.height * x * y / longer,
            slope=self.slope * y / x,
            score=self.score,
        )

    @property
    def polygon(self) -> Polygon:
        """Its corners."""
        norm = math.hypot(1, self.slope)
        u, v = self.length / 2 / norm, self.height / 2 / norm
        (ax, ay), (dx, dy) = (u, self.slope * u), (-self.slope * v, v)  # along, and down across the line
        return (
            (self.x - ax - dx, self.y - ay - dy),
            (self.x + ax - dx, self.y + ay - dy),
            (self.x + ax + dx, self.y + ay + dy),
            (self.x - ax + dx, self.y - ay + dy),
        )


def without(words: Map, lines: npt.NDArray[np.bool_], threshold: float) -> Map:
    """The map of words without those that touch a line's core: what no line was found for."""
    labels = label_regions(words > threshold)
    touching = np.unique(labels[lines])
    return np.where(np.isin(labels, touching[touching > 0]), np.float32(0), words)


def regions(probs: Map, threshold: float, *, ends: float = LINE_ENDS, doubtful: float = DOUBTFUL) -> list[Region]:
    """The lines of a map, in pixels of the picture that it is of.

    A region's thickness is its mass over its length: cells that a core covers in part count in part, so that a line is
    measured more finely than in cells.

    Args:
        probs: of one kind of core.
        threshold: above which a cell belongs to one.
        ends: heights that a core ends before the line does.
        doubtful: mean probability of a region's cells under which it is none.
    """
    labels = label_regions(probs > threshold)
    count = int(labels.max(initial=0)) + 1
    if count == 1:
        return []
    # the mass of cells above and below that are covered too little belongs to the region beside them
    wide = labels.copy()
    wide[:-1] = np.where(wide[:-1] == 0, labels[1:], wide[:-1])
    wide[1:] = np.where(wide[1:] == 0, labels[:-1], wide[1:])
    y, x = np.nonzero(labels)
    of, weight = labels[y, x], probs[y, x].astype(np.float64)

    def total(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(np.bincount(of, weights=values, minlength=count))

    mass = total(weight)
    mass[0] = 1.0
    mean_x, mean_y = total(weight * x) / mass, total(weight * y) / mass
    dx, dy = x - mean_x[of], y - mean_y[of]
    variance_x = total(weight * dx * dx) / mass + 1 / 12
    slopes = total(weight * dx * dy) / mass / variance_x
    spread = np.bincount(wide.ravel(), weights=probs.ravel(), minlength=count)
    cells = np.bincount(of, minlength=count)
    reach = np.zeros((2, count))
    np.minimum.at(reach[0], of, dx)
    np.maximum.at(reach[1], of, dx)
    extents = reach[1] - reach[0] + 1
    heights = spread / extents
    long = extents > STEEP * np.maximum(heights, 1.0) / CORE
    long[0] = False
    usual = float(np.median(np.repeat(slopes[long], np.maximum(1, extents[long].astype(int))))) if long.any() else 0.0
    found = []
    for i in range(1, count):
        slope = float(slopes[i]) if long[i] else usual
        stretch = math.hypot(1, slope)
        height = float(heights[i]) / stretch / CORE * STRIDE  # across its direction, a slanting band is thinner
        score = float(mass[i] / cells[i])
        if height < MIN_HEIGHT or score < doubtful:
            continue
        middle = float(mean_x[i] + (reach[0][i] + reach[1][i]) / 2)
        found.append(
            Region(
                x=(middle + 0.5) * STRIDE,
                y=float(mean_y[i] + slope * (middle - mean_x[i]) + 0.5) * STRIDE,
                length=float(extents[i]) * STRIDE * stretch + 2 * ends * height,
                height=height,
                slope=slope,
                score=score,
            )
        )
    return found
