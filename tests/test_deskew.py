"""deskew: what was level before it was turned is level again, and the way back leads to the same pixels."""

from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageDraw

from simpleocr.deskew import DOWNWARDS, UPSIDE_DOWN, UPWARDS, Climb, Diagonal, Incline, QuarterTurn, deskew
from simpleocr.geometry import Transform, box_to_polygon, skew


@pytest.mark.parametrize("degrees", [-10.0, -0.4, 0.0, 2.5, 30.0])
def test_a_line_that_rises_is_level_and_the_way_back_leads_to_it(degrees: float) -> None:
    image = Image.new("L", (500, 300), 250)
    start, along = (100.0, 200.0), Transform.rotate(degrees).apply((250.0, 0.0))
    ImageDraw.Draw(image).line((start, (start[0] + along[0], start[1] + along[1])), 0, 5)
    level, back = deskew(image, degrees)
    rows, columns = np.nonzero(np.asarray(level) < 100)
    assert np.ptp(rows) < 8
    assert np.ptp(columns) == pytest.approx(250, abs=6)
    left = back.apply((float(columns.min()), float(rows.mean())))
    assert left == pytest.approx(start, abs=4)
    assert np.asarray(level).min() < 60
    assert np.asarray(level)[0, 0] == 250  # beyond the picture lies paper
    for corner in box_to_polygon((0, 0, *image.size)):  # nothing is lost
        x, y = back.invert().apply(corner)
        assert -1 <= x <= level.width + 1
        assert -1 <= y <= level.height + 1


@pytest.mark.parametrize(("turn", "size"), [(UPSIDE_DOWN, (7, 4)), (UPWARDS, (4, 7)), (DOWNWARDS, (4, 7))])
def test_quarter_turns_lead_back_to_the_pixel_they_came_from(turn: QuarterTurn, size: tuple[int, int]) -> None:
    for x, y in product(range(7), range(4)):
        image = Image.new("L", (7, 4))
        image.putpixel((x, y), 9)
        turned, back = turn(image)
        assert turned.size == size
        (ty,), (tx,) = np.nonzero(np.asarray(turned))
        assert back.apply((tx + 0.5, ty + 0.5)) == pytest.approx((x + 0.5, y + 0.5))


def test_skew_by_hand() -> None:
    assert skew([]) == 0
    level, rising = box_to_polygon((0, 0, 90, 5)), Transform.rotate(7).apply_polygon(box_to_polygon((0, 0, 100, 5)))
    assert skew([level]) == 0
    assert skew([level, rising]) == pytest.approx(7)  # the longer one has more to say
    assert skew([level, rising, level]) == pytest.approx(0)
    steep = Transform.rotate(10).apply_polygon(level)
    assert skew([rising, level, steep]) == pytest.approx(7)  # as many rise more as less
    assert skew([Transform.rotate(170).apply_polygon(level)]) == pytest.approx(170)


@pytest.mark.parametrize("slope", [0.3, 0.05, -0.2])
def test_a_line_that_climbs_is_level_without_what_lies_above_and_below_it(slope: float) -> None:
    width, height = 200, 120
    image = Image.new("L", (width, height), 250)
    draw = ImageDraw.Draw(image)
    middle = [(x, height / 2 - slope * (x - width / 2)) for x in (0, width)]
    draw.line(middle, 0, 5)
    draw.line([(x, y - height / 2) for x, y in middle], 100, 3)  # its neighbour
    level, back = Incline(slope)(image)
    assert level.size == (width, round(height - abs(slope) * width))
    rows, columns = np.nonzero(np.asarray(level) < 60)
    assert np.ptp(rows) < 8
    assert np.ptp(columns) > width - 8
    for x in (10, 190):
        _, y = back.apply((x, float(rows.mean())))
        assert y == pytest.approx(height / 2 - slope * (x - width / 2), abs=1.5)


def test_a_line_climbs_by_a_share_of_any_picture() -> None:
    image = Image.new("L", (50, 100), 250)
    ImageDraw.Draw(image).line([(0, 70), (50, 30)], 0, 5)
    level, back = Climb(0.4)(image)
    assert level.size == (50, 60)
    assert np.ptp(np.nonzero(np.asarray(level) < 60)[0]) < 8
    assert back.apply((50, 30)) == pytest.approx((50, 30))


@pytest.mark.parametrize("degrees", [20, 45, 70])
@pytest.mark.parametrize("rises", [True, False])
@pytest.mark.parametrize("height", [0.25, 0.45])
def test_a_word_from_corner_to_corner_is_cut_out_level(height: float, rises: bool, degrees: float) -> None:
    word = box_to_polygon((-100, -100 * height, 100, 100 * height))
    turned = np.array(Transform.rotate(degrees if rises else -degrees).apply_polygon(word))
    corners = turned - turned.min(axis=0)
    image = Image.new("L", tuple(np.ceil(corners.max(axis=0)).astype(int).tolist()), 250)
    ImageDraw.Draw(image).polygon([tuple(corner) for corner in corners.tolist()], fill=0)
    level, back = Diagonal(height, rises)(image)
    assert level.size == pytest.approx((216, 216 * height), abs=3)
    rows, columns = np.nonzero(np.asarray(level) < 128)
    assert np.ptp(columns) == pytest.approx(200, abs=4)
    assert np.ptp(rows) == pytest.approx(200 * height, abs=4)
    first = (float(columns.min()), float(rows.min()))
    assert back.apply(first) == pytest.approx(tuple(corners[0]), abs=4)


@pytest.mark.parametrize("size", [(400, 100), (100, 400)])
def test_no_word_runs_from_corner_to_corner_of_what_is_longer_than_it(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"0\.25 times as high as long"):
        Diagonal(0.25, rises=True)(Image.new("L", size))
