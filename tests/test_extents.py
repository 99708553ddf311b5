"""extents: characters lie where their ink does, whatever timesteps read them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from simpleocr import OCR
from simpleocr.extents import Ink, extents, ink_of

FONTS = Path(mpl.get_data_path(), "fonts", "ttf")


def ink(*runs: tuple[int, int], width: int = 80) -> Ink:
    """1 in the columns of the runs, 0 elsewhere."""
    columns = np.zeros(width, dtype=np.float32)
    for start, end in runs:
        columns[start:end] = 1.0
    return columns


def test_a_word_is_as_wide_as_its_ink() -> None:
    # read in the timesteps of columns 12 and 32
    assert extents("ab", [(3, 4), (8, 9)], ink((10, 24), (28, 40))) == [(10, 27), (27, 40)]
    # with a space read between, what is free is the space's
    found = extents("a b", [(3, 4), (6, 7), (10, 11)], ink((10, 22), (37, 50)))
    assert found == [(10, 22), (22, 37), (37, 50)]


def test_letters_that_touch_meet_where_there_is_least_ink() -> None:
    columns = ink((10, 40))
    columns[25] = 0.4
    assert extents("ab", [(3, 4), (7, 8)], columns) == [(10, 25), (25, 40)]
    # of one grey, where the second mostly begins
    ((_, end), (begin, _)) = extents("ab", [(3, 4), (7, 8)], ink((10, 40)))
    assert end == begin
    assert 24 <= end <= 26


def test_what_is_free_between_spread_letters_is_neithers() -> None:
    assert extents("ab", [(3, 4), (12, 13)], ink((10, 20), (44, 56))) == [(10, 20), (44, 56)]


def test_what_stands_beside_a_line_is_not_its() -> None:
    # a neighbour at either end of the crop
    assert extents("a", [(8, 9)], ink((0, 6), (30, 44), (70, 80))) == [(30, 44)]
    # ink without end, as a photograph has it: no further than letters are wide
    ((left, right),) = extents("a", [(8, 9)], ink((0, 80)))
    assert 10 <= left < 32 < 36 < right <= 60


@pytest.mark.parametrize("text", ["", " ", "  ", " a", "a ", "a  b", " a b "])
def test_spaces_anywhere(text: str) -> None:
    found = extents(text, [(2 * i, 2 * i + 1) for i in range(len(text))], ink((2, 50)))
    assert len(found) == len(text)
    for (_, end), (begin, _) in pairwise(found):
        assert end <= begin


@given(st.data())
def test_extents_rise_and_letters_have_width(data: Any) -> None:
    steps = data.draw(st.integers(1, 40))
    columns = np.array(
        data.draw(st.lists(st.floats(0, 2, width=32), min_size=4 * steps - 3, max_size=4 * steps)), np.float32
    )
    starts = sorted(data.draw(st.sets(st.integers(0, steps - 1), max_size=steps)))
    read = [(a, data.draw(st.integers(a + 1, b))) for a, b in pairwise([*starts, steps])]
    text = data.draw(st.text("a ", min_size=len(read), max_size=len(read)))
    found = extents(text, read, columns)
    assert len(found) == len(text)
    for c, (left, right) in zip(text, found, strict=True):
        assert 0 <= left <= right <= len(columns)
        assert c == " " or left < right
    for (_, end), (begin, _) in pairwise(found):
        assert end <= begin


def test_ink_is_what_differs_from_the_ground_in_light_and_in_dark() -> None:
    line = np.full((1, 32, 60), 1.0, dtype=np.float32)
    line[:, 8:24, 20:40] = -1.0
    for one in (line, -line, line + np.linspace(0, 0.3, 60, dtype=np.float32)):  # and where the light changes
        found = ink_of(one)
        assert (found[20:40] > 0.8).all()
        assert (found[:20] < 0.1).all()
        assert (found[40:] < 0.1).all()
    assert not ink_of(np.zeros((1, 32, 5), dtype=np.float32)).any()


@pytest.mark.parametrize(
    ("face", "size", "dark"),
    [
        ("DejaVuSans.ttf", 18, True),
        ("DejaVuSerif.ttf", 30, False),
        ("DejaVuSansMono.ttf", 48, True),
        ("DejaVuSerif.ttf", 18, True),
    ],
)
def test_boxes_of_words_and_letters_are_those_that_were_drawn(face: str, size: int, *, dark: bool) -> None:
    text = "Market Street closed on Sunday"
    font = ImageFont.truetype(str(FONTS / face), size)
    ground, colour = (250, 30) if dark else (20, 230)
    image = Image.new("L", (round(font.getlength(text)) + size, 2 * size), ground)
    ImageDraw.Draw(image).text((size / 2, size / 3), text, colour, font=font)
    (line,) = OCR().recognize([image])
    assert line.text == text
    place = 0
    for word in line.words:
        place = text.index(word.text, place)
        left, _, right, _ = font.getbbox(word.text)
        start = size / 2 + font.getlength(text[:place])
        assert word.box[0] == pytest.approx(start + left, abs=0.2 * size)
        assert word.box[2] == pytest.approx(start + right, abs=0.2 * size)
        for i, char in enumerate(word.chars):
            left, _, right, _ = font.getbbox(char.text)
            middle = start + font.getlength(word.text[:i]) + (left + right) / 2
            assert (char.box[0] + char.box[2]) / 2 == pytest.approx(middle, abs=0.25 * size)
        place += len(word.text)
