"""simpleocr.outline: sheets that are photographed aslant, and what is none."""

import math
from itertools import pairwise
from pathlib import Path
from random import Random

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from simpleocr import OCR
from simpleocr.geometry import Polygon, Transform, polygon_to_box
from simpleocr.outline import area, find_sheet, flattened, four_sided, hull, surrounds

FONT = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
SAID = [f"{word} of line {number}" for number, word in enumerate(["quick", "brown", "Fox", "jumps", "over", "the"], 1)]
SLANTS: list[Polygon] = [
    ((220, 130), (640, 100), (780, 900), (90, 940)),  # from below
    ((120, 60), (800, 230), (780, 800), (100, 960)),  # from the left
    ((330, 60), (700, 160), (690, 930), (60, 720)),  # and turned
]


def sheet_of_text() -> Image.Image:
    sheet = Image.new("RGB", (600, 800), (244, 240, 232))
    draw, face = ImageDraw.Draw(sheet), ImageFont.truetype(str(FONT), 26)
    for number, text in enumerate(SAID):
        draw.text((60, 80 + 110 * number), text, (30, 30, 40), face)
    return sheet


def photograph(sheet: Image.Image, corners: Polygon, size: tuple[int, int] = (900, 1000)) -> Image.Image:
    """A sheet as it is seen with its corners there, on a desk that is not all alike."""
    rng = np.random.default_rng(0)
    desk = rng.normal(70, 12, (size[1] // 20, size[0] // 20, 3)).clip(0, 255).astype(np.uint8)
    photo = Image.fromarray(desk).resize(size, Image.Resampling.BICUBIC)
    values = Transform.from_corners(sheet.size, corners).invert().coefficients
    seen = sheet.transform(size, Image.Transform.PERSPECTIVE, values, Image.Resampling.BICUBIC)
    mask = Image.new("L", sheet.size, 255).transform(size, Image.Transform.PERSPECTIVE, values)
    photo.paste(seen, mask=mask)
    return photo


@pytest.mark.parametrize("corners", SLANTS)
def test_the_corners_of_a_sheet_are_found_and_it_is_seen_from_above(corners: Polygon) -> None:
    photo = photograph(sheet_of_text(), corners).convert("L")
    found = find_sheet(photo)
    assert found is not None
    for corner, expected in zip(found, corners, strict=True):
        assert math.dist(corner, expected) < 12, (found, corners)
    flat, back = flattened(photo, found)
    assert np.asarray(flat).min() < 90, "the print is on it"
    assert np.asarray(flat)[9:-9, [9, -10]].min() > 150, "nothing of the desk is"
    for corner, expected in zip(
        ((0, 0), (flat.width, 0), (flat.width, flat.height), (0, flat.height)), found, strict=True
    ):
        assert back.apply(corner) == pytest.approx(expected)


@pytest.mark.parametrize("corners", SLANTS[:1])
def test_a_photographed_sheet_is_read_in_the_pixels_of_the_photograph(reader: OCR, corners: Polygon) -> None:
    photo = photograph(sheet_of_text(), corners)
    page = reader(photo)
    assert [line.text for line in page.lines] == SAID
    place = Transform.from_corners((600, 800), corners)
    for number, line in enumerate(page.lines):
        left, top, right, bottom = polygon_to_box(line.polygon)
        x, y = place.apply((100, 95 + 110 * number))
        assert left < x < right
        assert top < y < bottom


@pytest.fixture(scope="module")
def reader() -> OCR:
    return OCR()


def patterns() -> dict[str, Image.Image]:
    rng = np.random.default_rng(1)
    page = sheet_of_text().convert("L")
    desk = Image.new("L", (900, 1000), 60)
    upright, cut = desk.copy(), desk.copy()
    upright.paste(page, (150, 100))
    cut.paste(page.resize((1000, 700)), (-50, 100))
    disc = desk.copy()
    ImageDraw.Draw(disc).ellipse((100, 100, 800, 800), fill=240)
    star = desk.copy()
    points = [
        (450 + r * math.cos(a), 500 + r * math.sin(a))
        for a, r in zip(np.arange(8) * math.pi / 4, [440, 120] * 4, strict=True)
    ]
    ImageDraw.Draw(star).polygon(points, fill=240)
    little = photograph(sheet_of_text(), ((180, 110), (680, 110), (740, 900), (120, 900))).convert("L")
    return {
        "blank": Image.new("L", (900, 1000), 250),
        "page": page,
        "from right above": upright,
        "aslant, but little": little,
        "turned": upright.rotate(7, fillcolor=60),
        "cut off": cut,
        "disc": disc,
        "star": star,
        "noise": Image.fromarray(rng.integers(0, 256, (900, 1000), dtype=np.uint8)),
        "small": Image.new("L", (3, 2), 9),
        "line": Image.new("L", (2000, 20), 200),
    }


@pytest.mark.parametrize("name", sorted(patterns()))
def test_what_is_no_sheet_aslant_stays_as_it_is(name: str) -> None:
    assert find_sheet(patterns()[name]) is None


POINTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=4, max_size=30)


@given(POINTS)
def test_a_hull_surrounds_all_points_and_four_edges_surround_the_hull(points: list[tuple[int, int]]) -> None:
    outer = hull(points)
    if len(outer) < 3:
        return
    assert set(outer) <= set(points)
    corners = (*outer, outer[0])
    for a, b in pairwise(corners):
        for c in points:
            assert (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) >= 0
    if (four := four_sided(outer)) is not None:
        assert area(four) >= area(outer) - 1e-6
        middle = (sum(x for x, _ in outer) / len(outer), sum(y for _, y in outer) / len(outer))
        assert surrounds(four, middle)


def test_the_four_edges_of_a_square_with_its_corners_cut_off_are_the_squares() -> None:
    rng = Random(3)
    square = [(0.0, 0.0), (100.0, 0.0), (100.0, 80.0), (0.0, 80.0)]
    cut = [(5.0, 0.0), (95.0, 0.0), (100.0, 6.0), (100.0, 75.0), (93.0, 80.0), (4.0, 80.0), (0.0, 77.0), (0.0, 3.0)]
    inside = [(rng.uniform(10, 90), rng.uniform(10, 70)) for _ in range(20)]
    four = four_sided(hull(cut + inside))
    assert four is not None
    assert sorted((round(x), round(y)) for x, y in four) == sorted(square)


@pytest.mark.parametrize(("edges", "found"), [(1, True), (3, False)])
def test_a_sheet_lies_on_something_darker(edges: int, found: bool) -> None:
    """Other light things may reach the picture's border, though not along most of it."""
    photo = Image.new("L", (640, 480), 60)
    canvas = ImageDraw.Draw(photo)
    for edge in ((0, 0, 640, 24), (0, 456, 640, 480), (0, 0, 24, 480))[:edges]:
        canvas.rectangle(edge, fill=230)
    canvas.polygon([(250, 60), (390, 60), (540, 430), (100, 430)], fill=235)
    assert (find_sheet(photo) is not None) is found
