"""simpleocr.reading_order: columns, tables, receipts, headings, pages that are turned a little."""

import math
import time
from collections import Counter
from itertools import combinations, product
from random import Random

import pytest

from simpleocr.columns import Beside
from simpleocr.geometry import Box, Polygon, Transform, box_to_polygon, polygon_to_box
from simpleocr.reading_order import IN_ROWS, _are_columns, _columns, _groups, _most_apart, _starts, reading_order


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
    "a table": "AAAAA   BBBB   CCCC\nDDDDDDD EEE    FFF\nGGG     HHHHH  II\nJJJJ    KKK    LLLL",
    "a receipt": "   AAAAAAAA\n  BBBBBBBBBB\nCCCCCCCCC      DDDD\nEEEEEE         FFFF\nGGGGGGGG      HHHHH\nIIIII         JJJJJ",
    "an indent": "   AAAAAAAAAAAAAAAAAAA\nBBBBBBBBBBBBBBBBBBBBBB\nCCCCCCCCCCCCCCCCCC\n   DDDDDDDDDDDDDDDDDDD\nEEEEEEEEEE",
    "cells of two lines": "AAAA   CCCCC  EEEE\nBBBBB  DDD    FFFFF\n\n\nGGGGG  IIII\nHHH    JJJJ",
    "a form": "AAAAA  BBBBBBB\n\nCCCCCCC  DDDD    EEEE FFFF\n\nGGGG    HHHHHHHHH",
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("degrees", [0, 2, -4])
def test_pages_are_read_in_order(name: str, degrees: float) -> None:
    angle = math.radians(degrees)
    turn = Transform(((math.cos(angle), -math.sin(angle), 0), (math.sin(angle), math.cos(angle), 0), (0, 0, 1)))
    check([turn.apply_polygon(polygon) for polygon in boxes_in_order(PAGES[name])])


def rows(x: tuple[float, float], count: int, top: float = 0.0, height: float = 18.0) -> list[Polygon]:
    """Lines one under the other."""
    return [box_to_polygon((x[0], top + 24 * row, x[1], top + 24 * row + height)) for row in range(count)]


LEFT, RIGHT, THIRD = (0, 220), (240, 460), (480, 700)


def test_footnotes_and_page_numbers_are_read_after_all_columns() -> None:
    footnote, number = box_to_polygon((10, 220, 200, 232)), box_to_polygon((210, 250, 240, 268))
    columns = [*rows(LEFT, 8), *rows(RIGHT, 8)]
    check([*columns, footnote, number])
    check([*columns, number])
    check([*rows(LEFT, 1, -60), *columns, footnote])


@pytest.mark.parametrize("last", [1, 2, 3])
def test_the_end_of_a_longer_column_is_no_footnote(last: int) -> None:
    end = rows(LEFT, last, top=8 * 24 + 16)
    check([*rows(LEFT, 8), *end, *rows(RIGHT, 8)])
    check([*rows(LEFT, 8), *end, *rows(RIGHT, 5)])
    check([*rows(LEFT, 8), *rows(RIGHT, 8), *rows(RIGHT, last, 8 * 24 + 16), *rows(THIRD, 8)])


def test_columns_of_widely_spaced_lines_may_differ_in_length() -> None:
    left = [box_to_polygon((0, 36.0 * row, 220, 36.0 * row + 18)) for row in range(12)]
    right = [box_to_polygon((240, 36.0 * row, 460, 36.0 * row + 18)) for row in range(6)]
    check([*left, *right])


def test_every_line_comes_once_wherever_they_stand() -> None:
    rng = Random(3)
    for _ in range(300):
        polygons = [
            box_to_polygon((x, y, x + rng.choice([0, 10, 60, 200]), y + rng.choice([0, 9, 18])))
            for x, y in ((10.0 * rng.randrange(40), 6.0 * rng.randrange(60)) for _ in range(rng.randrange(1, 40)))
        ]
        assert sorted(reading_order(polygons)) == list(range(len(polygons)))


@pytest.mark.parametrize("shift", [10, 24, 34, 58, 82])
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


def cells(rows: int, columns: int, *, long: bool, wrapped: frozenset[int] = frozenset()) -> list[Polygon]:
    """A table, row by row; the first cell of the wrapped rows has three lines."""
    found = []
    for row in range(rows):
        top, count = 30.0 * row, 3 if row in wrapped else 1
        found += [box_to_polygon((0, top + 7 * i, 90, top + 7 * i + 18 / count)) for i in range(count)]
        for column in range(1, columns):
            found.append(box_to_polygon((300.0 * column, top, 300.0 * column + (200 if long else 90), top + 18)))
    return found


@pytest.mark.parametrize(
    "table",
    [cells(400, 4, long=False), cells(400, 2, long=True), cells(200, 4, long=False, wrapped=frozenset({100}))],
    ids=["of numbers", "with one column of text", "with a cell of several lines"],
)
def test_a_long_table_takes_no_longer_than_its_cells_are_many(table: list[Polygon]) -> None:
    start = time.perf_counter()
    order = reading_order(table)
    assert time.perf_counter() - start < 10  # seconds, on a busy machine; it was minutes
    assert order == list(range(len(table)))


def test_long_tables_without_columns_of_text_are_told_at_once() -> None:
    def starts(polygons: list[Polygon]) -> int:
        boxes = [polygon_to_box(polygon) for polygon in polygons]
        bands = _groups(boxes, range(len(boxes)), axis=1, gap=0.0)
        return _starts(boxes, bands, [_most_apart(boxes, band) - 1 for band in bands], 18.0)

    assert starts(cells(9, 4, long=False)) == starts(cells(9, 2, long=True)) == 0
    assert starts(cells(9, 3, long=True)) == 8  # two lines of two columns, the last, may be text
    assert starts(cells(9, 4, long=False, wrapped=frozenset({2, 5}))) == 6


def test_whether_there_are_columns_is_known_without_looking_for_them() -> None:
    rng = Random(5)
    said = Counter[tuple[bool, bool]]()
    for _ in range(120):
        boxes: list[Box] = []
        crowded, shift, widths = rng.choice([0, 0.2, 0.9]), rng.choice([0, 4]), rng.choice([[60, 170], [170, 180, 190]])
        for row, column in product(range(rng.randint(3, 10)), range(3)):
            # three lines in a row with three others that lie a little lower are one band: that is no table
            count = 3 if rng.random() < crowded else rng.choice([0, 1, 1, 1, 1])
            for i in range(count):
                left, top = 200.0 * column, 30.0 * row + 8 * i + shift * (column % 2) * (count == 3)
                boxes.append((left, top, left + rng.choice(widths), top + (6 if count == 3 else 18)))
        bands = _groups(boxes, range(len(boxes)), axis=1, gap=0.0)
        for start, end in combinations(range(len(bands) + 1), 2):
            members = [i for band in bands[start:end] for i in band]
            groups = _groups(boxes, members, axis=0, gap=-3.0)
            beside = Beside(-3.0)
            for number in range(start, end):
                for i in bands[number]:
                    beside.add(boxes[i], number)
            crowd = IN_ROWS * sum(max(0, _most_apart(boxes, band) - 2) for band in bands[start:end])
            are_columns = _are_columns(boxes, bands[start:end], beside, crowd)
            assert are_columns == bool(_columns(boxes, groups))
            said[are_columns, crowd > 0] += 1
    assert min(said.values()) > 50
    assert len(said) == 4
