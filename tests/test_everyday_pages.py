"""Pages that people read every day, drawn here: calendars, tables, posters, menus; each cell and each line is found."""

from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr import OCR
from simpleocr.geometry import skew

SANS = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@pytest.fixture(scope="module")
def ocr() -> OCR:
    return OCR()


def drawn(size: tuple[int, int], *texts: tuple[str, tuple[float, float], int]) -> Image.Image:
    """A white page with black texts, each at (x, y), in a size in pixels."""
    page = Image.new("L", size, 255)
    for text, place, height in texts:
        ImageDraw.Draw(page).text(place, text, 0, font=ImageFont.truetype(str(SANS), height))
    return page


def rows(text: str) -> list[list[str]]:
    return [row.split() for row in text.splitlines() if row.strip()]


def test_every_day_of_a_calendar_is_read(ocr: OCR) -> None:
    names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    days = [(str(day), (100.0 + 70 * ((day + 3) % 7), 110.0 + 40 * ((day + 3) // 7)), 16) for day in range(1, 32)]
    header = [(name, (90.0 + 70 * i, 70.0), 16) for i, name in enumerate(names)]
    page = ocr(drawn((620, 340), ("March 2024", (40, 20), 26), *header, *days))
    assert rows(page.text)[1:] == [
        names,
        *([str(day) for day in range(1, 32) if (day + 3) // 7 == week] for week in range(5)),
    ]


@pytest.mark.parametrize("size", [13, 18])
def test_single_digits_of_a_table_are_whole(ocr: OCR, size: int) -> None:
    names = ("North", "South", "East", "West", "Total", "Online")
    digits = {(row, column): str((3 * row + 7 * column + 1) % 10) for row in range(6) for column in range(4)}
    cells = [(name, (30.0, 30.0 + 2 * size * row), size) for row, name in enumerate(names)]
    cells += [(said, (200.0 + 110 * column, 30.0 + 2 * size * row), size) for (row, column), said in digits.items()]
    page = ocr(drawn((640, 60 + 12 * size), *cells))
    table = [[name, *(digits[row, column] for column in range(4))] for row, name in enumerate(names)]
    # whether a stroke alone, of 13 pixels, is "1" or "l" is another question than whether it was found whole
    assert [[cell.replace("l", "1") for cell in row] for row in rows(page.text)] == [
        [cell.replace("l", "1") for cell in row] for row in table
    ]
    heights = [line.box[3] - line.box[1] for line in page.lines]
    assert all(0.7 * size < height < 1.4 * size for height in heights)


@pytest.mark.parametrize("size", [14, 20, 30])
def test_a_letter_alone_before_or_behind_a_line_is_read_once_and_with_it(ocr: OCR, size: int) -> None:
    texts = ["I agree to the terms.", "A man came to the door.", "I think so too.", "Vitamin C", "Is it you or I"]
    page = ocr(
        drawn((24 * size, 16 * size), *((text, (40, 40 + 2.6 * size * i), size) for i, text in enumerate(texts)))
    )
    assert [line.text for line in page.lines] == texts


@pytest.fixture(scope="module", params=["torch", "onnx-int8"])
def either(request: pytest.FixtureRequest) -> OCR:
    return OCR(runtime=request.param)


@pytest.mark.parametrize(("large", "size", "below"), [(125, 34, 30), (125, 42, 30), (110, 42, 24), (110, 42, 30)])
def test_a_short_word_beside_large_letters_is_no_letter_of_theirs(
    either: OCR, large: int, size: int, below: int
) -> None:
    x = 50 + ImageFont.truetype(str(SANS), large).getlength("50%")
    off, books = ("OFF", (x, 30 + 0.25 * large), size), ("all books", (x, 30 + 0.75 * large), below)
    page = either(drawn((700, 420), ("50%", (20, 30), large), off, books))
    assert sorted(line.text for line in page.lines) == ["50%", "OFF", "all books"]
    assert all(abs(skew([line.polygon])) < 2 for line in page.lines), "three words are no skewed page"


def test_small_lines_beside_large_letters_are_lines_of_their_own(ocr: OCR) -> None:
    page = ocr(drawn((760, 260), ("50%", (40, 40), 120), ("OFF", (380, 55), 40), ("all books", (380, 115), 32)))
    assert sorted(line.text for line in page.lines) == ["50%", "OFF", "all books"]


def test_prices_are_read_with_what_they_are_of(ocr: OCR) -> None:
    dishes = [("Porridge with berries", "5.50"), ("Two eggs on toast", "6.80"), ("Pancakes, maple syrup", "7.20")]
    named = [(dish, (40.0, 90.0 + 34 * i), 20) for i, (dish, _) in enumerate(dishes)]
    priced = [(price, (560.0, 90.0 + 34 * i), 20) for i, (_, price) in enumerate(dishes)]
    page = ocr(drawn((680, 420), ("Breakfast", (40, 30), 30), *named, *priced, ("Lunch", (40, 260), 30)))
    assert [line.text for line in page.lines] == ["Breakfast", *(said for pair in dishes for said in pair), "Lunch"]
