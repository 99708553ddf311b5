"""simpleocr.reading_order: columns, tables, receipts, headings, pages that are turned a little."""

import math
from random import Random

import pytest

from simpleocr.geometry import Polygon, Transform, box_to_polygon
from simpleocr.reading_order import reading_order


def boxes_in_order(text: str) -> list[Polygon]:
    """A page drawn with characters: each run of one letter in a row is a line; letters are in reading order."""
    runs: dict[str, Polygon] = {}
    for row, line in enumerate(text.strip("\n").split("\n")):
        for letter in sorted(set(line) - {" ", "."}):
            left, right = line.index(letter), line.rindex(letter) + 1
            runs[letter] = box_to_polygon((left * 10.0, row * 24.0, right * 10.0, row * 24.0 + 18.0))
    return [runs[letter] for letter in sorted(runs)]


def check(polygons: list[Polygon]) -> None:
    for seed in range(5):
        mixed = list(range(len(polygons)))
        Random(seed).shuffle(mixed)
        order = reading_order([polygons[i] for i in mixed])
        assert [mixed[i] for i in order] == list(range(len(polygons)))


PAGES = {
    "one column": "AAAAAAAAAAAAAAAAAAAA\nBBBBBBBBBBBBBBBBBBBBBB\nCCCCCCCC\n\nDDDDDDDDDDDDDDDDDDDDDD\nEEEEEEEEEEEE",
    "two columns": (
        "AAAAAAAAAAAAAAAAAAAAAA  EEEEEEEEEEEEEEEEEEEEEE\nBBBBBBBBBBBBBBBBBBBBBB  FFFFFFFFFFFFFFFFFFFFFF\n"
        "CCCCCCCCCCCCCCCCCCCCCC  GGGGGGGGGGGGGGGGGGGGGG\nDDDDDDDDDDDDDD          HHHHHHHHHHHH"
    ),
    "a heading over two columns": (
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\nBBBBBBBBBBBBBBBBBBBBBB  FFFFFFFFFFFFFFFFFFFFFF\n"
        "CCCCCCCCCCCCCCCCCCCCCC  GGGGGGGGGGGGGGGGGGGGGG\nDDDDDDDDDDDDDDDDDDDDDD  HHHHHHHHHHHHHHHHHHHHHH\n"
        "EEEEEEEEEEEEEEEEEEEE    IIIIIIIIIIIIIIIIIIIII"
    ),
    "a footnote and a page number": (
        "AAAAAAAAAAAAAAAAAAAAAA  EEEEEEEEEEEEEEEEEEEEEE\nBBBBBBBBBBBBBBBBBBBBBB  FFFFFFFFFFFFFFFFFFFFFF\n"
        "CCCCCCCCCCCCCCCCCCCCCC  GGGGGGGGGGGGGGGGGGGGGG\nDDDDDDDDDDDDDDDDDDDD    HHHHHHHHHHHHHHHHHHHHH\n\n"
        "IIIIIIIIIIIIIIIIIII\n\n                    JJ"
    ),
    "a table": "AAAAA   BBBB   CCCC\nDDDDDDD EEE    FFF\nGGG     HHHHH  II\nJJJJ    KKK    LLLL",
    "a receipt": "   AAAAAAAA\n  BBBBBBBBBB\nCCCCCCCCC      DDDD\nEEEEEE         FFFF\nGGGGGGGG      HHHHH\nIIIII         JJJJJ",
    "an indent": "   AAAAAAAAAAAAAAAAAAA\nBBBBBBBBBBBBBBBBBBBBBB\nCCCCCCCCCCCCCCCCCC\n   DDDDDDDDDDDDDDDDDDD\nEEEEEEEEEE",
    "a form": "AAAAA  BBBBBBB\n\nCCCCCCC  DDDD    EEEE FFFF\n\nGGGG    HHHHHHHHH",
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("degrees", [0, 2, -4])
def test_pages_are_read_in_order(name: str, degrees: float) -> None:
    angle = math.radians(degrees)
    turn = Transform(((math.cos(angle), -math.sin(angle), 0), (math.sin(angle), math.cos(angle), 0), (0, 0, 1)))
    check([turn.apply_polygon(polygon) for polygon in boxes_in_order(PAGES[name])])


@pytest.mark.parametrize("shift", [10, 24, 34])
def test_a_column_may_begin_higher(shift: int) -> None:
    subtitle = box_to_polygon((10, 0, 250, 18))
    left = [box_to_polygon((0, 60 + shift + 24.0 * row, 220, 78 + shift + 24.0 * row)) for row in range(8)]
    right = [box_to_polygon((240, 60 + 24.0 * row, 460, 78 + 24.0 * row)) for row in range(8)]
    check([subtitle, *left, *right])


def test_lines_that_reach_beyond_their_letters_are_columns_still() -> None:
    left = [box_to_polygon((0, 24.0 * row, 221 if row == 3 else 217, 24.0 * row + 18)) for row in range(6)]
    right = [box_to_polygon((219, 24.0 * row, 436, 24.0 * row + 18)) for row in range(6)]
    check([*left, *right])


def test_nothing_and_one_line() -> None:
    assert reading_order([]) == []
    assert reading_order([box_to_polygon((0, 0, 10, 10))]) == [0]
