"""Lettering: a font that can write a text, for pictures to look at."""

from collections.abc import Callable, Collection
from functools import cache, lru_cache

from PIL import ImageFont

INSTALLED = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "Arial Unicode.ttf",
)  # what systems have, those with most characters first; Pillow knows where

Font = ImageFont.FreeTypeFont
FontOf = Callable[[float], Font]  # pixels to the em -> font
NOWHERE = "\uffff"  # no character, so that every font draws what it draws for those that it lacks
SMALL = 20  # pixels at which that is compared


def lettering(text: str) -> FontOf:
    """What makes a font of any size in pixels that has the characters of a text.

    Pillow's own where that has them, for it is there everywhere and the same; else the first of INSTALLED that does. If none
    has all of them, the one that has most.
    """
    needed = {c for c in text if not c.isspace()}
    best: FontOf = _own
    fewest = _lacking(_own, needed)
    for name in INSTALLED if fewest else ():
        font = _installed(name)
        if font is not None and (lacking := _lacking(font, needed)) < fewest:
            best, fewest = font, lacking
        if not fewest:
            break
    return best


def _own(size: float) -> Font:
    font = ImageFont.load_default(size)
    assert isinstance(font, Font), "Pillow without FreeType"
    return font


@cache
def _installed(name: str) -> FontOf | None:
    try:
        font = ImageFont.truetype(name)
    except OSError:  # there is none of that name
        return None
    return lambda size: font.font_variant(size=size)


def _lacking(font: FontOf, characters: Collection[str]) -> int:
    return sum(not _draws(font, c) for c in characters)


@lru_cache(maxsize=4096)
def _draws(font: FontOf, character: str) -> bool:
    small = font(SMALL)
    return bytes(small.getmask(character)) != bytes(small.getmask(NOWHERE))
