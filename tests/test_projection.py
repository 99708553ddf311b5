from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr.detection import crop_line
from simpleocr.geometry import polygon_to_box
from simpleocr.projection import split_lines

FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
LINES = ["The quick brown fox", "jumps over", "the lazy dog, again;", "1111 www", "short."]


def page(lines: list[str], size: int = 28, ink: int = 20, paper: int = 245, gap: float = 1.6) -> Image.Image:
    font = ImageFont.truetype(str(FONT), size)
    image = Image.new("L", (size * 14, int(size * gap * (len(lines) + 1))), paper)
    draw = ImageDraw.Draw(image)
    for i, line in enumerate(lines):
        draw.text((size, int(size * gap * (i + 0.4))), line, ink, font=font)
    return image.convert("RGB")


@pytest.mark.parametrize("size", [12, 20, 40])
@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (90, 200), (230, 120)])
def test_every_line_is_found_in_order(size: int, ink: int, paper: int) -> None:
    image = page(LINES, size, ink, paper)
    boxes = [polygon_to_box(polygon) for polygon in split_lines(image)]
    assert len(boxes) == len(LINES)
    assert [top for _, top, _, _ in boxes] == sorted(top for _, top, _, _ in boxes)
    for i, (left, top, right, bottom) in enumerate(boxes):
        middle = size * 1.6 * (i + 0.4) + 0.6 * size
        assert top < middle < bottom
        assert 0 <= left < right <= image.width
        assert 0 <= top < bottom <= image.height


def test_lines_are_found_under_uneven_light() -> None:
    grey = np.asarray(page(LINES).convert("L"), dtype=np.float32)
    shaded = grey * np.linspace(0.45, 1, grey.shape[1])[None]
    assert len(split_lines(Image.fromarray(shaded.astype(np.uint8)).convert("RGB"))) == len(LINES)


def test_the_edges_of_a_sheet_do_not_join_its_lines() -> None:
    image = page(LINES)
    ImageDraw.Draw(image).line((3, 0, 3, image.height), fill=0, width=3)
    assert len(split_lines(image)) == len(LINES)


def test_marks_above_letters_belong_to_their_line() -> None:
    image = Image.new("L", (400, 240), 250)
    draw = ImageDraw.Draw(image)
    for top in (40, 100, 160):
        for left in range(40, 340, 12):  # strokes
            draw.rectangle((left, top, left + 3, top + 23), fill=10)
    draw.rectangle((100, 91, 130, 94), fill=10)
    tops = [polygon_to_box(polygon)[1] for polygon in split_lines(image.convert("RGB"))]
    assert len(tops) == 3
    assert tops[1] <= 91
    assert tops[2] > 150


@pytest.mark.parametrize("text", ["I", "l", "1111", "Handset", "g", "Hiii"])
def test_a_tight_crop_of_one_word_is_taken_whole(text: str) -> None:
    image = Image.new("L", (600, 120), 255)
    ImageDraw.Draw(image).text((40, 20), text, 0, font=ImageFont.truetype(str(FONT), 60))
    ink = np.argwhere(np.asarray(image) < 128)
    (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0)
    crop = image.crop((int(left) - 3, int(top) - 3, int(right) + 4, int(bottom) + 4)).convert("RGB")
    assert [polygon_to_box(polygon) for polygon in split_lines(crop)] == [(0, 0, crop.width, crop.height)]


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nothing_is_found_where_nothing_is(level: int) -> None:
    assert split_lines(Image.new("RGB", (300, 200), (level,) * 3)) == []
    noise = np.random.default_rng(0).normal(level, 2, (200, 300)).clip(0, 255).astype(np.uint8)
    assert split_lines(Image.fromarray(noise).convert("RGB")) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (5000, 3), (3, 5000), (17, 16)])
def test_odd_shapes_do_no_harm(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0]), dtype=np.uint8)
    image = Image.fromarray(noise).convert("RGB")
    for polygon in split_lines(image):
        crop, _ = crop_line(image, polygon)
        assert crop.width >= 1
        assert crop.height >= 1


def test_a_large_page_is_cropped_from_its_own_pixels() -> None:
    image = page(LINES, size=150)
    polygons = split_lines(image)
    assert len(polygons) == len(LINES)
    crop, to_page = crop_line(image, polygons[0])
    assert crop.height > 120
    left, top, _, _ = polygon_to_box(polygons[0])
    x, y = to_page.apply((0, 0))
    assert abs(x - left) <= 1
    assert abs(y - top) <= 1
    assert crop.getpixel((5, 5)) == image.getpixel((int(x) + 5, int(y) + 5))
