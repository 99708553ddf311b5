"""simpleocr.gutters: what runs across a gutter is cut, what is parted by a wide space is joined."""

import math
import time
from dataclasses import replace
from random import Random

import pytest
from PIL import Image, ImageDraw

from simpleocr.geometry import Transform
from simpleocr.gutters import mend_lines
from simpleocr.regions import Region

HEIGHT, PITCH = 20.0, 30.0


def word(left: float, right: float, row: int) -> Region:
    return Region(x=(left + right) / 2, y=50 + row * PITCH, length=right - left, height=HEIGHT, slope=0.0, score=0.9)


def page(regions: list[Region], size: tuple[int, int] = (700, 400)) -> Image.Image:
    image = Image.new("L", size, 250)
    for region in regions:
        box = (region.x - region.length / 2, region.y - 6, region.x + region.length / 2, region.y + 6)
        ImageDraw.Draw(image).rectangle(box, fill=20)
    return image


def turned(regions: list[Region], degrees: float, size: tuple[int, int]) -> list[Region]:
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = (
        Transform.translate(-size[0] / 2, -size[1] / 2)
        .then(Transform(((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))))
        .then(Transform.translate(size[0] / 2, size[1] / 2))
    )
    found = []
    for r in regions:
        x, y = turn.apply((r.x, r.y))
        found.append(Region(x, y, r.length, r.height, math.tan(angle + math.atan(r.slope)), r.score))
    return found


def spans(regions: list[Region]) -> list[tuple[int, int, int]]:
    return sorted((round((r.y - 50) / PITCH), round(r.x - r.length / 2), round(r.x + r.length / 2)) for r in regions)


COLUMNS = [word(left, right, row) for row in range(8) for left, right in ((40, 330), (370, 660)) if row != 3]


@pytest.mark.parametrize("degrees", [0, 4, -7])
def test_a_line_across_a_gutter_is_cut_in_two(degrees: float) -> None:
    size = (700, 400)
    ink = [*COLUMNS, word(40, 330, 3), word(370, 660, 3)]
    image = page(ink, size).rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=250)
    found = mend_lines(turned([*COLUMNS, word(40, 660, 3)], degrees, size), image)
    level = turned(found, -degrees, size)
    assert len(level) == 16
    assert [span for row, *span in spans(level) if row == 3] == [
        [pytest.approx(40, abs=4), pytest.approx(330, abs=4)],
        [pytest.approx(370, abs=4), pytest.approx(660, abs=4)],
    ]


def test_a_heading_over_both_columns_stays_whole() -> None:
    heading = word(40, 660, -1)
    found = mend_lines([*COLUMNS, heading], page([*COLUMNS, heading]))
    assert heading in found


@pytest.mark.parametrize("degrees", [0, 3])
def test_lines_that_all_run_across_a_gutter_are_cut(degrees: float) -> None:
    """Columns closer than a letter is high: no row tells where the gutter is, but the white in all of them."""
    size = (700, 400)
    ink = [word(left, right, row) for row in range(7) for left, right in ((40, 340), (358, 660))]
    image = page(ink, size).rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=250)
    found = mend_lines(turned([word(36, 664, row) for row in range(7)], degrees, size), image)
    assert len(found) == 14
    for row, *span in spans(turned(found, -degrees, size)):
        half = [36, 340] if span[0] < 200 else [358, 664]
        assert span == pytest.approx(half, abs=5), row


def test_a_title_above_and_what_was_found_too_long_hide_no_gutter() -> None:
    """Two rows were told apart, with ends that reach into the white; the others run across."""
    ink = [word(left, right, row) for row in range(6) for left, right in ((40, 340), (358, 660))]
    ends = [word(left, right, row) for row in (2, 3) for left, right in ((36, 346), (351, 664))]
    across = [word(36, 664, row) for row in (0, 1, 4, 5)]
    title = word(40, 600, -1)
    found = mend_lines([title, *ends, *across], page([title, *ink]))
    assert title in found
    assert len(found) == 13


def test_numbers_of_a_list_stay_with_their_items() -> None:
    ink = [word(left, right, row) for row in range(9) for left, right in ((40, 60), (75, 500))]
    lines = [word(36, 504, row) for row in range(9)]
    assert spans(mend_lines(lines, page(ink))) == spans(lines)


def test_three_columns_found_in_any_pieces_are_three() -> None:
    sides = ((40, 340), (358, 660), (678, 980))
    ink = [word(left, right, row) for row in range(8) for left, right in sides]
    halves = [word(left, right, row) for row in (1, 2) for left, right in ((36, 342), (356, 984))]
    across = [word(36, 984, row) for row in (0, 3, 4, 5, 6, 7)]
    assert len(mend_lines([*halves, *across], page(ink, (1020, 400)))) == 24


def test_what_reaches_far_into_a_gutter_ends_where_its_ink_does() -> None:
    long = word(40, 362, 3)
    found = mend_lines([*COLUMNS, long, word(370, 660, 3)], page([*COLUMNS, word(40, 330, 3)]))
    assert next(span for row, *span in spans(found) if row == 3) == pytest.approx([40, 331], abs=2)


@pytest.mark.parametrize("seed", range(8))
def test_justified_text_is_cut_nowhere(seed: int) -> None:
    rng, ink = Random(seed), []
    for row in range(9):
        left = 40.0
        while left < 660:
            right = min(660.0, left + rng.uniform(30, 110))
            ink.append(word(left, 660 if right > 625 else right, row))
            left = 660 if right > 625 else right + rng.uniform(10, 20)
    lines = [word(36, 664, row) for row in range(9)]
    assert spans(mend_lines(lines, page(ink))) == spans(lines)


def test_wide_spaces_of_justified_text_are_joined() -> None:
    words = [word(40, 120, 3), word(165, 230, 3), word(280, 330, 3)]
    found = mend_lines([*COLUMNS, *words, word(370, 660, 3)], page([*COLUMNS, *words]))
    assert [span for row, *span in spans(found) if row == 3] == [[40, 330], [370, 660]]


def test_two_that_reach_into_each_other_are_one() -> None:
    # nothing above or below tells: the letters at the end of one were read once more at the beginning of the other
    pieces = [word(40, 200, 0), word(192, 400, 0)]
    assert spans(mend_lines(pieces, page(pieces))) == [(0, 40, 400)]
    beside = [word(40, 200, 0), word(197, 400, 0)]
    assert spans(mend_lines(beside, page(beside))) == [(0, 40, 200), (0, 197, 400)]
    inside = [word(40, 600, 0), word(300, 340, 0)]
    assert (0, 40, 600) in spans(mend_lines(inside, page(inside)))
    lower = [word(40, 200, 0), replace(word(192, 400, 0), y=59)]
    assert len(mend_lines(lower, page(lower))) == 2


def test_cells_of_a_table_stay_apart() -> None:
    cells = [word(left, left + 60, row) for row in range(6) for left in (40, 140, 240)]
    assert spans(mend_lines(cells, page(cells))) == spans(cells)


def test_what_lies_between_two_words_and_is_flat_is_none() -> None:
    words = [word(40, 120, 0), word(170, 260, 0)]
    trace = Region(x=145, y=52, length=48, height=7, slope=0.0, score=0.6)
    assert trace not in mend_lines([*words, trace], page(words))
    under = Region(x=145, y=90, length=48, height=7, slope=0.0, score=0.6)  # small print is not in their row
    assert under in mend_lines([*words, under], page(words))


def test_no_lines_and_one_line() -> None:
    assert mend_lines([], page([])) == []
    assert mend_lines(COLUMNS[:1], page([])) == COLUMNS[:1]


def test_thousands_of_cells_are_compared_in_seconds() -> None:
    found = [word(50.0 * column, 50.0 * column + 25, row) for row in range(50) for column in range(50)]
    start = time.perf_counter()
    mended = mend_lines(found, Image.new("L", (2600, 1600), 250))
    assert time.perf_counter() - start < 15  # on a busy machine; it was half a minute on an idle one
    assert spans(mended) == spans(found)
