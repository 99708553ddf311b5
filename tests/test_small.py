"""Small pictures: a crop of one line is read as a whole, rows of print are not."""

import pytest
from PIL import Image

from simpleocr import OCR
from simpleocr.document import Char, Line
from simpleocr.geometry import Polygon, box_to_polygon
from simpleocr.small import are_sure, as_one, holds
from training.simple import MONO, SERIF, line


def said(text: str, confidence: float, place: Polygon) -> Line:
    return Line(tuple(Char(c, confidence ** (1 / len(text)), "", 0.0, place) for c in text), place, confidence)


@pytest.fixture(scope="module")
def ocr() -> OCR:
    return OCR()


@pytest.mark.parametrize("text", ["s", "x", ",", '"', "Exit"])
@pytest.mark.parametrize("family", [SERIF, MONO])
def test_a_crop_of_a_line_is_read_as_by_recognize(ocr: OCR, text: str, family: str) -> None:
    picture = line(text, family)
    assert ocr(picture).text == text
    (alone,) = ocr.recognize([picture])
    assert alone.text == text


@pytest.mark.parametrize("text", ["Hello", "Street", "Receipt", "2026"])
@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_a_word_that_does_not_lie_level(ocr: OCR, text: str, turn: Image.Transpose) -> None:
    picture = line(text, SERIF).transpose(turn)
    page = ocr(picture)
    assert page.text == text
    left, top, right, bottom = page.lines[0].box
    assert 0 <= left < right <= picture.width
    assert 0 <= top < bottom <= picture.height


def test_rows_stay_rows(ocr: OCR) -> None:
    rows = [line(text, SERIF, 20) for text in ("Milk 1.20", "Bread 2.75", "Sum 3.95")]
    picture = Image.new("L", (max(row.width for row in rows) + 20, 3 * 40 + 20), 255)
    for i, row in enumerate(rows):
        picture.paste(row, (10, 10 + 40 * i))
    assert as_one(picture, [], ocr.network.preprocessing) is picture
    assert ocr(picture).text.split() == ["Milk", "1.20", "Bread", "2.75", "Sum", "3.95"]


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270])
def test_two_lines_on_their_end(ocr: OCR, turn: Image.Transpose) -> None:
    picture = Image.new("L", (76, 54), 255)
    for i, text in enumerate(("First row", "Next row")):
        row = line(text, SERIF, 15, margins=(2, 1))
        picture.paste(row, (2, 4 + 24 * i))
    assert ocr(picture.transpose(turn)).text.split() == ["First", "row", "Next", "row"]


def test_a_strip_so_wide_that_no_line_is_found_in_it(ocr: OCR) -> None:
    picture = line("the cat sat on the mat and " * 14, SERIF, 30)
    assert picture.width > 5000
    text = ocr(picture).text
    assert text.count("cat sat on the mat") > 8


def test_which_holds_by_hand() -> None:
    wide, tall = Image.new("L", (100, 40)), Image.new("L", (40, 100))
    upper, lower = box_to_polygon((0.0, 0.0, 90.0, 18.0)), box_to_polygon((0.0, 20.0, 90.0, 38.0))
    every = box_to_polygon((0.0, 0.0, 100.0, 40.0))
    assert not holds(Line((), every, 1.0), [], wide)
    assert holds(said("a", 0.51, every), [], wide)
    assert not holds(said("a", 0.49, every), [], wide)
    assert holds(said("c", 0.61, every), [said("C", 0.9, upper)], wide)
    assert not holds(said("c", 0.59, every), [said("C", 0.9, upper)], wide)
    rows = [said("O", 0.6, upper), said("D", 0.8, lower)]
    assert holds(said("Hello", 0.71, every), rows, tall)
    # surely read in one row: only what is surer still
    assert not holds(said("42_", 0.98, every), [said("42", 0.99, upper)], wide)
    # of two rows the whole has only the larger one
    assert not holds(said("$4.99", 1.0, every), [said("Special offer", 0.4, upper), said("$4.99", 1.0, lower)], wide)
    # two lines that run upwards stand beside each other, and are two
    up = [box_to_polygon(box) for box in ((0.0, 0.0, 18.0, 38.0), (20.0, 0.0, 38.0, 38.0))]
    left, right = ((d, a, b, c) for a, b, c, d in up)
    assert are_sure([said("one", 0.95, left), said("two", 0.95, right)])
    assert not holds(said("H", 0.9, every), [said("one", 0.8, left), said("two", 0.8, right)], wide)
    assert not holds(said("Hello", 0.69, every), rows, tall)
    assert not holds(said("Hello", 0.89, every), rows, wide)
    assert holds(said("Hello", 0.91, every), rows, wide)
    assert not are_sure(rows)
    assert are_sure([said("O", 0.9, upper), said("D", 0.91, lower)])
    assert not are_sure([said("C", 0.99, upper)])
    assert not are_sure([])


@pytest.mark.parametrize(
    ("size", "small"),
    [((4000, 160), True), ((161, 4000), False), ((1, 1), True), ((60_000, 1), False), ((1, 900), True)],
)
def test_what_may_be_a_crop(ocr: OCR, size: tuple[int, int], small: bool) -> None:
    assert (as_one(Image.new("L", size), [], ocr.network.preprocessing) is not None) == small


def test_a_large_picture_may_be_one_where_it_has_two_greys_and_few_lines(ocr: OCR) -> None:
    picture = Image.new("L", (900, 600), 240)
    picture.paste(30, (100, 100, 300, 500))
    line = said("I", 0.5, box_to_polygon((0, 0, 10, 10)))
    smaller = as_one(picture, [line], ocr.network.preprocessing)
    assert smaller is not None
    assert smaller.size == (300, 200)
    assert as_one(picture, 4 * [line], ocr.network.preprocessing) is None
    assert as_one(picture.rotate(90, expand=True).resize((400, 900)), [line], ocr.network.preprocessing) is None
    ramp = Image.linear_gradient("L").resize((900, 600))
    assert as_one(ramp, [line], ocr.network.preprocessing) is None


@pytest.mark.parametrize(
    ("text", "size"), [("7", 400), ("42", 500), ("SALE", 400), ("Hello", 500), ("Good morning", 140)]
)
def test_letters_of_hundreds_of_pixels(text: str, size: int, ocr: OCR) -> None:
    """A detector looks for letters larger than it knows in vain: "Good morning" was 5000, "42" an r or nothing."""
    picture = line(text, SERIF.replace("Serif", "Sans"), size)
    assert min(picture.size) > 160
    (found,) = ocr(picture).lines
    assert found.text == text
    assert found.confidence > 0.8
    left, top, right, bottom = found.box
    assert 0 <= left < right <= picture.width
    assert 0 <= top < bottom <= picture.height
