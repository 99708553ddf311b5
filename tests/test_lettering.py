"""training.lettering: characters in a row, each where the font has it or fixed for itself."""

from random import Random

import cv2
import numpy as np
import pytest

from training.fonts import Face, find_fonts
from training.lettering import lay_out, turned
from training.render import EM

DEJAVU = next(file for file in find_fonts() if file.name == "DejaVuSans.ttf")


class Drawn(Random):
    """Draws 0.01 where a number of 0..1 is asked for: what happens rarely, happens."""

    def random(self) -> float:
        return 0.01


def test_letters_are_set_closer_by_strength() -> None:
    face, text = Face(DEJAVU, EM), "minimum"  # lower case: no small capitals

    def width(strength: float) -> int:
        left, _, right, _ = lay_out(text, face, Drawn(0), strength)[1]
        return right - left

    gaps = EM * (len(text) - 1)
    closer = (width(0.0) - width(1.0)) / gaps
    assert closer == pytest.approx(0.12, abs=2 / gaps)


@pytest.mark.parametrize("degrees", [0.0, 7.0, -30.0, 90.0, 179.0])
def test_a_turned_glyph_keeps_its_ink_and_its_centre(degrees: float) -> None:
    glyph, _, _ = Face(DEJAVU, EM).glyph("g")
    found = turned(glyph, degrees)
    assert (found.shape[0] - glyph.shape[0]) % 2 == 0
    assert (found.shape[1] - glyph.shape[1]) % 2 == 0
    assert float(found.sum()) == pytest.approx(float(glyph.sum()), rel=0.02), "nothing is cut off"
    back = turned(found, -degrees)
    rows, columns = ((b - g) // 2 for b, g in zip(back.shape, glyph.shape, strict=True))
    middle = back[rows : rows + glyph.shape[0], columns : columns + glyph.shape[1]]
    assert float(cv2.absdiff(middle, glyph).mean()) < 25


def test_letters_fixed_each_for_itself_are_all_there() -> None:
    face = Face(DEJAVU, EM)
    straight, _ = lay_out("HHHHHHHH", face, Random(1), 1.0)
    tops = set()
    for seed in range(200):
        canvas, (left, top, right, bottom) = lay_out("HHHHHHHH", face, Random(seed), 1.0, loose=1.0)
        ink = np.argwhere(canvas > 127)
        assert ink.size
        assert top <= ink[:, 0].min()
        assert ink[:, 0].max() < bottom
        assert left <= ink[:, 1].min()
        assert ink[:, 1].max() < right
        assert float(canvas.sum()) > 0.5 * float(straight.sum())
        tops.add(top)
    assert len(tops) > 5
