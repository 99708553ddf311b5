"""From which sides a line is looked at when its first reading is doubtful: slightly changed, and turned as a whole."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from simpleocr.deskew import DOWNWARDS, UPSIDE_DOWN, UPWARDS, Climb, Diagonal, Incline
from simpleocr.geometry import Transform
from simpleocr.image import box_of, ground, ink
from simpleocr.preprocessing import Preprocessing

TALL = 1.5  # height over width from which a picture may hold text that was turned by a quarter
SLOPES = (0.1, 0.2, 0.3, 0.45)  # of lines that climb, as they do in boxes drawn upright around them
STEEPEST = 0.6  # of a picture's height that a line may climb by one of these slopes
CLIMBS = (0.4, 0.55, 0.7)  # shares of the height that a line climbs where the picture is too narrow for such a slope
DIAGONALS = (0.25, 0.45)  # height over length of words that run from corner to corner
SQUARISH = (0.5, 2.0)  # width over height of pictures through which they are looked for: in others they lie or stand
SLENDER = 1 / 3  # width over height of a picture in which a word stands on its end rather than climbs by these shares
COLOURFUL = 64  # of 255 that the strength of colours must differ by for letters to be looked for in it
NARROWEST = 0.05  # width over height of a picture that is looked at from other sides: a narrower one is no line


def _stretched(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize((max(1, round(image.width * factor)), image.height), Image.Resampling.BICUBIC)


def _trimmed(sides: float, ends: float) -> Callable[[Image.Image], Image.Image]:
    """Shares of the height cut off above and below, and at both ends; below zero, room is added, in the edge's greys."""

    def trim(image: Image.Image) -> Image.Image:
        above, before = round(sides * image.height), round(ends * image.height)
        if min(above, before) < 0:
            return Image.fromarray(np.pad(np.asarray(image), ((-above, -above), (-before, -before)), mode="edge"))
        if image.height - 2 * above < 4 or image.width - 2 * before < 4:
            return image
        return image.crop((before, above, image.width - before, image.height - above))

    return trim


def _to_ink(image: Image.Image) -> Image.Image:
    """Without wide margins of an even ground; most pictures as they are."""
    box = box_of(ink(image))
    if box is None:
        return image
    left, top, right, bottom = box
    room = max(1, round(0.12 * (bottom - top)))
    return image.crop(
        (max(0, left - room), max(0, top - room), min(image.width, right + room), min(image.height, bottom + room))
    )


def _rotated(degrees: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=ground(image))


def _sheared(slope: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(
        image.size,
        Image.Transform.AFFINE,
        (1, slope, -slope * image.height / 2, 0, 1, 0),
        Image.Resampling.BICUBIC,
        fillcolor=ground(image),
    )


@dataclass(frozen=True)
class View:
    """The same text seen a little differently.

    Args:
        apply: grey line picture -> another.
        longest: width over height up to which it is taken: a long line that is turned is mostly what lies around it.
    """

    apply: Callable[[Image.Image], Image.Image]
    longest: float = math.inf


VIEWS: dict[str, View] = {
    "narrower": View(_stretched(0.8)),
    "wider": View(_stretched(1.25), 10),
    "trimmed": View(_trimmed(0.06, 0.06)),
    "trimmed more": View(_trimmed(0.12, 0.12), 10),
    "trimmed above and below": View(_trimmed(0.08, 0), 10),
    "padded": View(_trimmed(-0.08, -0.08)),
    "cropped to its ink": View(_to_ink, 10),
    "inverted": View(ImageOps.invert, 10),
    "turned left": View(_rotated(5), 6),
    "turned right": View(_rotated(-5), 6),
    "leaning left": View(_sheared(0.25), 10),
    "leaning right": View(_sheared(-0.25), 10),
}
"""To add one is one entry."""


@dataclass(frozen=True)
class Turn:
    """A picture turned as a whole.

    Args:
        turn: what sets it right, and gives the transform back.
        odds: what the odds of a reading that was turned so are multiplied with before they are compared with those of
            what stands upright: few texts are upside down.
        aspects: width over height of the pictures on which it is tried, more than the first and up to the second.
        in_colours: whether it is seen by how strong its colours are, and not by how light it is, if it has any: letters may
            be as light as what they stand on.
        cuts: whether it may cut something off above and below, so that it is no reading of all of it that reads less.
    """

    turn: Callable[[Image.Image], tuple[Image.Image, Transform]]
    odds: float
    aspects: tuple[float, float] = (0.0, math.inf)
    in_colours: bool = False
    cuts: bool = False


def _climbing(slope: float) -> Turn:
    return Turn(Incline(slope), 0.5, (NARROWEST, STEEPEST / abs(slope)), cuts=True)


def _climbing_steeply(share: float) -> Turn:
    return Turn(Climb(share), 0.25, (SLENDER, abs(share) / max(SLOPES)), cuts=True)


def _across(height: float, *, rises: bool) -> Turn:
    return Turn(Diagonal(height, rises), 0.25, SQUARISH, cuts=True)


TURNS: dict[str, Turn] = {
    "upside down": Turn(UPSIDE_DOWN, 0.12),
    "upwards": Turn(UPWARDS, 1.0, (0.0, 1 / TALL)),
    "downwards": Turn(DOWNWARDS, 1.0, (0.0, 1 / TALL)),
    "level, in its colours": Turn(
        lambda image: (image, Transform.identity()), 0.5, (NARROWEST, math.inf), in_colours=True
    ),
    **{f"rising by {slope}": _climbing(slope) for slope in SLOPES},
    **{f"falling by {slope}": _climbing(-slope) for slope in SLOPES},
    **{f"rising by {share} of the height": _climbing_steeply(share) for share in CLIMBS},
    **{f"falling by {share} of the height": _climbing_steeply(-share) for share in CLIMBS},
    **{f"rising across, {height} as high as long": _across(height, rises=True) for height in DIAGONALS},
    **{f"falling across, {height} as high as long": _across(height, rises=False) for height in DIAGONALS},
}
"""How a line may lie in its picture: what sets it right, named by where its text runs."""


@dataclass(frozen=True)
class Effort:
    """From how many sides a doubtful line is looked at.

    Args:
        views: of VIEWS.
        turns: of TURNS.
    """

    views: Mapping[str, View]
    turns: Mapping[str, Turn]


ALL_AROUND = Effort(VIEWS, TURNS)
ON_A_PAGE = Effort({name: VIEWS[name] for name in ("narrower", "trimmed", "padded")}, {})
"""Pages have many lines, which lie as most of them do."""


@dataclass(frozen=True)
class Turned:
    """A picture that was turned.

    Args:
        turn: how.
        picture: as it stands now, grey.
        back: from its pixels to those of the picture that was turned.
    """

    turn: Turn
    picture: Image.Image
    back: Transform


def every_side(
    image: Image.Image, effort: Effort, preprocessing: Preprocessing
) -> tuple[list[Image.Image], list[Turned]]:
    """One picture from every side that is tried: its views, and it turned as a whole."""
    grey, colours = image.convert("L"), strength_of_colours(image) if effort.turns else None
    aspect = grey.width / grey.height
    views = effort.views.values() if aspect >= NARROWEST else ()
    pictures = [view.apply(grey) for view in views if aspect <= view.longest]
    fitting = (turn for turn in effort.turns.values() if turn.aspects[0] < aspect <= turn.aspects[1])
    lights = ((turn, colours if turn.in_colours else grey) for turn in fitting)
    turned = [Turned(turn, *turn.turn(light)) for turn, light in lights if light is not None]
    return [p for p in pictures if _fits(p, preprocessing)], [t for t in turned if _fits(t.picture, preprocessing)]


def strength_of_colours(image: Image.Image) -> Image.Image | None:
    """How strong the colours of a picture are, 0..255; None where that hardly differs."""
    if image.mode != "RGB":
        return None
    saturation = image.convert("HSV").getchannel("S")
    return saturation if np.ptp(np.asarray(saturation)) >= COLOURFUL else None


def is_tall(image: Image.Image) -> bool:
    """Whether a picture may hold text that was turned by a quarter."""
    return image.height > TALL * image.width


def is_squarish(image: Image.Image) -> bool:
    """Whether a word may run from corner to corner of a picture."""
    return SQUARISH[0] < image.width / image.height <= SQUARISH[1]


def _fits(picture: Image.Image, preprocessing: Preprocessing) -> bool:
    return preprocessing.width(picture.size) <= preprocessing.max_width
