"""Deskew: a picture turned so that its lines are level and the right way up, and the way back from its pixels."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from simpleocr.geometry import Transform, box_to_polygon, polygon_to_box
from simpleocr.image import ground

ROOM = 1.08  # of a word's length and height that are cut out around it


def deskew(image: Image.Image, degrees: float) -> tuple[Image.Image, Transform]:
    """A picture whose lines rise by so many degrees, with them level; and the transform from its pixels to the picture's.

    It is as large as it must be for nothing to be lost; what lies beyond the picture gets its median grey: mostly the
    paper's, so that nothing is less in contrast than it was.

    Args:
        image: of mode "L".
        degrees: counter-clockwise positive, as geometry.skew() gives them.
    """
    turn = Transform.rotate(-degrees)
    left, top, right, bottom = polygon_to_box(turn.apply_polygon(box_to_polygon((0, 0, *image.size))))
    back = Transform.translate(left, top).then(turn.invert())
    size = (max(1, round(right - left)), max(1, round(bottom - top)))
    median = int(np.median(np.asarray(image)))
    level = image.transform(
        size, Image.Transform.AFFINE, back.coefficients[:6], Image.Resampling.BILINEAR, fillcolor=median
    )
    return level, back


@dataclass(frozen=True)
class QuarterTurn:
    """A picture turned by quarters, which changes no pixel.

    Args:
        apply: the turn.
        back: (width, height) before it -> transform from the turned picture's pixels to the picture's.
    """

    apply: Image.Transpose
    back: Callable[[int, int], Transform]

    def __call__(self, image: Image.Image) -> tuple[Image.Image, Transform]:
        """The turned picture, and the transform from its pixels to the picture's."""
        return image.transpose(self.apply), self.back(*image.size)


UPSIDE_DOWN = QuarterTurn(Image.Transpose.ROTATE_180, lambda w, h: Transform(((-1, 0, w), (0, -1, h), (0, 0, 1))))
UPWARDS = QuarterTurn(Image.Transpose.ROTATE_270, lambda _, h: Transform(((0, 1, 0), (-1, 0, h), (0, 0, 1))))
DOWNWARDS = QuarterTurn(Image.Transpose.ROTATE_90, lambda w, _: Transform(((0, -1, w), (1, 0, 0), (0, 0, 1))))
"""What sets text right that lies upside down, that runs upwards, that runs downwards."""


@dataclass(frozen=True)
class Incline:
    """A picture sheared upright until a line that climbs in it is level; letters keep their width and stand as they stood.

    What is level then fills a part of the height only, in a picture cut out tightly around the climbing line: the rest,
    which holds its neighbours, is left out.

    Args:
        slope: how far the line climbs for each pixel to the right.
    """

    slope: float

    def __call__(self, image: Image.Image) -> tuple[Image.Image, Transform]:
        """The sheared picture, and the transform from its pixels to the picture's."""
        width, height = image.size
        climb = self.slope * width
        level = max(1, round(height - abs(climb)))
        back = Transform(((1, 0, 0), (-self.slope, 1, (height - level + climb) / 2), (0, 0, 1)))
        return _cut_out(image, (width, level), back), back


@dataclass(frozen=True)
class Climb:
    """As Incline, by how much of the picture's height a line climbs from its beginning to its end.

    Args:
        share: of the height; below zero of a line that falls.
    """

    share: float

    def __call__(self, image: Image.Image) -> tuple[Image.Image, Transform]:
        """The sheared picture, and the transform from its pixels to the picture's."""
        return Incline(self.share * image.height / image.width)(image)


@dataclass(frozen=True)
class Diagonal:
    """A word that runs from corner to corner of a picture cut out upright around it, turned level and cut out.

    How steeply it runs follows from how high the word is for its length, and the picture for its width: it fills it.

    Args:
        height: of the word, for a length of 1.
        rises: whether it runs upwards; downwards if not.
    """

    height: float
    rises: bool

    def __call__(self, image: Image.Image) -> tuple[Image.Image, Transform]:
        """The word alone, with a little room, and the transform from its pixels to the picture's.

        Raises:
            ValueError: a picture that is wider for its height, or higher for its width, than such a word is long.
        """
        width, height = image.size
        aspect = width / height
        if not self.height < aspect < 1 / self.height:
            raise ValueError(
                f"no word {self.height} times as high as long runs through a picture of {width} x {height}"
            )
        angle = math.atan2(1 - self.height * aspect, aspect - self.height)
        length = width / (math.cos(angle) + self.height * math.sin(angle))
        size = max(1, round(ROOM * length)), max(1, round(ROOM * self.height * length))
        along, down = math.cos(angle), math.sin(angle) * (-1 if self.rises else 1)
        centred = Transform(((along, -down, width / 2), (down, along, height / 2), (0, 0, 1)))
        back = Transform.translate(-size[0] / 2, -size[1] / 2).then(centred)
        return _cut_out(image, size, back), back


def _cut_out(image: Image.Image, size: tuple[int, int], back: Transform) -> Image.Image:
    """A picture (width, height) of the pixels that back leads to; beyond the image lies its ground."""
    return image.transform(
        size, Image.Transform.AFFINE, back.coefficients[:6], Image.Resampling.BICUBIC, fillcolor=ground(image)
    )
