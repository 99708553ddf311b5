"""simpleocr.check_boxes: empty squares are no letters, and letters are no squares."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr.check_boxes import READ_AS, without_check_boxes
from simpleocr.document import Char, Line
from simpleocr.geometry import box_to_polygon

FONTS = sorted((Path(mpl.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf"))
LETTERS = "".join(sorted(c for c in READ_AS if c.isalnum()))


def read(text: str, places: list[tuple[float, float]], size: tuple[int, int]) -> Line:
    """A line whose characters stand at given columns."""
    chars = tuple(
        Char(c, 0.9, "", 0.0, box_to_polygon((left, 0, right, size[1])))
        for c, (left, right) in zip(text, places, strict=True)
    )
    return Line(chars, box_to_polygon((0, 0, *size)), 0.5)


def form(side: int, thick: int, *, ticked: bool = False, light: bool = False, lower: int = 0) -> Image.Image:
    """A box and two letters; its right end a little lower, as on a page that is not quite level."""
    height = round(1.8 * side)
    image = Image.new("L", (6 * side, height), 255)
    canvas = ImageDraw.Draw(image)
    left, top = side // 2, height // 2 - side // 2
    for i in range(thick):
        canvas.polygon(
            [
                (left + i, top + i),
                (left + side - 1 - i, top + i + lower),
                (left + side - 1 - i, top + side - 1 - i + lower),
                (left + i, top + side - 1 - i),
            ],
            outline=0,
        )
    if ticked:
        canvas.line([(left, top), (left + side - 1, top + side - 1)], 0, thick)
        canvas.line([(left + side - 1, top), (left, top + side - 1)], 0, thick)
    canvas.text((2.2 * side, height // 2), "No", 0, ImageFont.truetype(FONTS[0], round(1.2 * side)), anchor="lm")
    return image.point(lambda grey: 255 - grey) if light else image


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize(("side", "thick", "lower"), [(8, 1, 0), (13, 1, 1), (14, 2, 0), (30, 2, 2), (60, 4, 0)])
@pytest.mark.parametrize(("text", "rest"), [("oNo", "No"), ("D No", "No")])
def test_an_empty_box_is_left_out(text: str, rest: str, side: int, thick: int, lower: int, light: bool) -> None:
    image = form(side, thick, light=light, lower=lower)
    places = [(side * 0.7, side * 1.2), *[(side * (1.6 + i), side * (2.4 + i)) for i in range(len(text) - 1)]]
    line = without_check_boxes(read(text, places, image.size), image)
    assert line.text == rest
    assert line.confidence == pytest.approx(0.5 * 0.9 ** (len(rest) - len(text))), (
        "what was not sure of the box is gone"
    )


def test_a_box_alone_says_nothing_and_a_ticked_one_stays() -> None:
    image = form(20, 2)
    assert without_check_boxes(read("0", [(14, 24)], image.size), image).chars == ()
    ticked = form(20, 2, ticked=True)
    assert without_check_boxes(read("B", [(14, 24)], ticked.size), ticked).text == "B"


@pytest.mark.parametrize("file", FONTS, ids=lambda file: file.stem)
@pytest.mark.parametrize("size", [9, 14, 24, 50])
def test_letters_stay(file: Path, size: int) -> None:
    font = ImageFont.truetype(file, size)
    if not font.getlength("x"):
        pytest.skip("draws no letters")
    for letter in LETTERS:
        image = Image.new("L", (4 * size, 2 * size), 255)
        ImageDraw.Draw(image).text((2 * size, size), letter, 0, font, anchor="mm")
        line = read(letter, [(1.8 * size, 2.2 * size)], image.size)
        assert without_check_boxes(line, image) is line, letter


@pytest.mark.parametrize("text", ["xox", "xo", "00", "oo", "o7", "D-"])
def test_within_words_and_numbers_nothing_is_left_out(text: str) -> None:
    image = form(20, 2)
    place = max(0, text.find("o"))
    places = [(14 + 30 * (i - place), 24 + 30 * (i - place)) for i in range(len(text))]
    line = read(text, [(float(a), float(b)) for a, b in places], image.size)
    assert without_check_boxes(line, image) is line


def test_only_doubtful_letters_are_asked() -> None:
    image = form(20, 2)
    sure = read("o", [(14, 24)], image.size)
    sure = replace(sure, chars=(replace(sure.chars[0], confidence=0.99),))
    assert without_check_boxes(sure, image) is sure
    empty = Line((), box_to_polygon((0, 0, 9, 9)), 1.0)
    assert without_check_boxes(empty, image) is empty
