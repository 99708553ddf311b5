"""training.typesetting: characters in a row, each where the font has it or fixed for itself."""

from random import Random

import numpy as np
import numpy.typing as npt
import pytest

from training.fonts import Face, find_fonts
from training.render import EM
from training.typesetting import lay_out, turned

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


def centroid(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Of its ink, (x, y)."""
    y, x = np.indices(mask.shape)
    return np.array([np.average(x, weights=mask), np.average(y, weights=mask)])


@pytest.mark.parametrize("degrees", [0.0, 7.0, -30.0, 90.0, 179.0])
@pytest.mark.parametrize("char", ["g", "-", "W"])
def test_a_turned_glyph_keeps_its_ink_and_its_place(char: str, degrees: float) -> None:
    glyph, _, _ = Face(DEJAVU, EM).glyph(char)
    found, right, down = turned(glyph, degrees)
    assert float(found.sum()) == pytest.approx(float(glyph.sum()), rel=0.03), "nothing is cut off"
    edges = (found[0], found[-1], found[:, 0], found[:, -1])
    assert all(edge.any() for edge in edges), "cut to its ink"
    # what is so far from the centre is as far from it, counter-clockwise; y goes down
    middle = np.array([(glyph.shape[1] - 1) / 2, (glyph.shape[0] - 1) / 2])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    expected = middle + np.array([[cos, sin], [-sin, cos]]) @ (centroid(glyph) - middle)
    assert np.abs(centroid(found) + np.array([right, down]) - expected).max() < 0.3
    assert degrees or np.array_equal(found, glyph[glyph.any(axis=1)][:, glyph.any(axis=0)])


def test_a_glyph_without_ink_is_left_alone() -> None:
    assert turned(np.zeros((3, 4), dtype=np.uint8), 30.0)[1:] == (0, 0)


def test_letters_fixed_each_for_itself_are_all_there() -> None:
    face, text, tops, fixed = Face(DEJAVU, EM), "HHHHHHHH", set(), 0
    for seed in range(400):
        straight, (_, top, _, bottom) = lay_out(text, face, Random(seed), 0.5)
        canvas, (left, upper, right, lower) = lay_out(text, face, Random(seed), 0.5, loose=1.0)
        if np.array_equal(canvas, straight):
            continue
        fixed += 1
        ink = np.argwhere(canvas)
        assert (upper, left) == tuple(ink.min(axis=0)), "the box is that of the ink"
        assert (lower, right) == tuple(ink.max(axis=0) + 1)
        assert 0.7 < float(canvas.sum()) / float(straight.sum()) < 1.4, "every letter is there"
        assert abs(upper - top) < 0.7 * EM
        assert abs(lower - bottom) < 0.7 * EM
        tops.add(upper)
    assert 20 < fixed < 60
    assert len(tops) > 5
    long = text * 3
    assert all(
        np.array_equal(lay_out(long, face, Random(i), 0.5)[0], lay_out(long, face, Random(i), 0.5, loose=1.0)[0])
        for i in range(40)
    )


def test_what_is_left_out_changes_no_other_draw() -> None:
    face = Face(DEJAVU, EM)
    same = [
        np.array_equal(lay_out("Word", face, Random(i), 0.5)[0], lay_out("Word", face, Random(i), 0.5, loose=0.5)[0])
        for i in range(200)
    ]
    assert 0.9 < np.mean(same) < 1
