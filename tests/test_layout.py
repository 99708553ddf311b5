"""simpleocr.layout: one line, pages on their side, pages upside down."""

import numpy as np
import pytest
from PIL import Image

from simpleocr import layout
from simpleocr.deskew import DOWNWARDS, UPSIDE_DOWN, UPWARDS, QuarterTurn, deskew
from simpleocr.detection import crop_line, detect_lines
from simpleocr.geometry import Polygon, Transform, box_to_polygon, levelled, polygon_to_box, skew
from simpleocr.layout import find_lines, find_turned_lines, other_ways, upside_down
from tests.test_detection import DarkNet, bars
from tests.test_projection import LINES, page

ROWS = [(60, 80, 500, 100), (60, 180, 420, 200), (60, 280, 520, 300)]


def test_lines_come_in_reading_order() -> None:
    found = find_lines(DarkNet(), bars((600, 400), *ROWS))
    assert len(found) == 3
    tops = [polygon_to_box(polygon)[1] for polygon in found]
    assert tops == sorted(tops)


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270])
def test_the_lines_of_a_page_on_its_side_run_along_it(turn: Image.Transpose) -> None:
    image = bars((600, 400), *ROWS).transpose(turn)
    ways = dict(other_ways(DarkNet(), image, find_lines(DarkNet(), image)))
    assert list(ways) == [UPSIDE_DOWN, DOWNWARDS, UPWARDS]
    upwards = ways[UPWARDS]
    assert ways[DOWNWARDS] == upside_down(upwards)
    assert all(polygon[1][1] < polygon[0][1] - 100 for polygon in upwards)
    assert len(upwards) == 3
    for polygon in upwards:
        (ax, ay), (bx, by), *_ = polygon
        assert abs(by - ay) > 5 * abs(bx - ax), "it runs upwards or downwards"
        left, top, right, bottom = polygon_to_box(polygon)
        assert -20 < left < right < image.width + 20
        assert -20 < top < bottom < image.height + 20
        inside = image.convert("L").crop((int(left), int(top), int(right), int(bottom)))
        assert inside.getextrema()[0] < 50  # type: ignore[operator]


@pytest.mark.parametrize("degrees", [-10.0, -3.0, 4.0, 15.0])
def test_lines_that_rise_together_are_found_and_ordered(degrees: float) -> None:
    image = bars((600, 400), *ROWS).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    found = find_lines(DarkNet(), image)
    assert len(found) == 3
    assert skew(found) == pytest.approx(degrees, abs=1)
    heights = [polygon_to_box(polygon)[1] for polygon in levelled(found)]
    assert heights == sorted(heights)
    for polygon in found:  # the middle of each lies on a bar
        x, y = (sum(c[i] for c in polygon) / 4 for i in (0, 1))
        assert image.convert("L").getpixel((round(x), round(y))) < 60  # type: ignore[operator]


def test_a_picture_of_one_row_is_one_line() -> None:
    image = bars((600, 40), (20, 10, 200, 30), (300, 10, 560, 30))
    assert find_lines(DarkNet(), image) == [box_to_polygon((0, 0, 600, 40))]
    assert len(find_lines(DarkNet(), bars((600, 400), (20, 100, 200, 120), (350, 100, 560, 120)))) == 2


def test_nothing_is_no_line() -> None:
    assert find_lines(DarkNet(), Image.new("RGB", (300, 200), "white")) == []


def test_without_a_detector_the_ink_tells() -> None:
    assert len(find_lines(None, page(LINES))) == len(LINES)


def test_upside_down_each_line_begins_where_it_ended() -> None:
    first, second = box_to_polygon((0, 0, 10, 2)), box_to_polygon((0, 5, 20, 8))
    turned = upside_down([first, second])
    assert turned[0][0] == (20, 8)
    assert turned[1][0] == (10, 2)
    assert upside_down(turned) == [first, second]


@pytest.mark.parametrize("turn", [UPSIDE_DOWN, UPWARDS, DOWNWARDS])
def test_a_turned_page_is_found_as_the_upright_one(turn: QuarterTurn) -> None:
    image = bars((600, 400), *ROWS)
    back = {UPSIDE_DOWN: UPSIDE_DOWN, UPWARDS: DOWNWARDS, DOWNWARDS: UPWARDS}[turn]
    lying, to_upright = back(image)  # what `turn` sets right
    found = find_turned_lines(DarkNet(), lying, turn)
    for one, other in zip(found, find_lines(DarkNet(), image), strict=True):
        assert np.allclose(to_upright.apply_polygon(one), other)
        crop, _ = crop_line(lying, one)
        assert np.array_equal(np.asarray(crop), np.asarray(crop_line(image, other)[0]))


def test_a_levelled_page_is_seen_where_its_lines_are() -> None:
    page = Image.new("RGB", (900, 1200), "white")
    page.paste(bars((600, 400), *ROWS), (150, 500))
    image = page.rotate(9, Image.Resampling.BICUBIC, expand=True, fillcolor="white").convert("L")
    found = detect_lines(DarkNet(), image)
    whole, back = deskew(image, skew(found))
    part, place = layout._around(whole, back, found)
    assert part.height < 0.7 * whole.height
    for polygon in found:
        left, top, right, bottom = polygon_to_box(place.invert().apply_polygon(polygon))
        assert 0 <= left < right <= part.width
        assert 20 < top < bottom < part.height - 20, "with room above and below"
        inside = part.crop((int(left), int(top), int(right), int(bottom)))
        assert inside.getextrema()[0] < 50  # type: ignore[operator]


LEVEL: list[Polygon] = [box_to_polygon((60, top, 460, top + 20)) for top in (80, 180, 280)]
RISING = [Transform.rotate(5).apply_polygon(polygon) for polygon in LEVEL]


def looked_at_twice(first: list[Polygon], second: list[Polygon], monkeypatch: pytest.MonkeyPatch) -> list[Polygon]:
    """What find_lines() gives where a detector finds some lines at first, and others on the page as it is set right."""
    looks = iter([first, second])
    monkeypatch.setattr(layout, "detect_lines", lambda detector, grey: next(looks))
    return find_lines(DarkNet(), Image.new("L", (600, 400), 250))


def test_a_page_is_read_as_it_lies_where_less_is_found_once_it_is_level(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_at_twice(RISING, LEVEL[:2], monkeypatch) == RISING
    assert looked_at_twice(RISING, LEVEL, monkeypatch) != RISING


def test_a_page_is_read_as_it_lies_where_less_is_found_on_its_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "find_sheet", lambda grey: box_to_polygon((10.0, 10.0, 590.0, 390.0)))
    assert looked_at_twice(LEVEL, LEVEL[:2], monkeypatch) == LEVEL
    assert looked_at_twice(LEVEL[:2], LEVEL, monkeypatch) != LEVEL[:2]
