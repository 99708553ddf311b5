"""simpleocr.document: texts, words and confidences that follow from the characters."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr.document import Char, Line, Page, Word
from simpleocr.geometry import Transform, box_to_polygon

law = settings(deadline=None, max_examples=50)
SIZE = 10  # pixels of a letter's square


def make_line(text: str, confidences: list[float] | None = None, end: float = 1.0) -> Line:
    """Letters of SIZE pixels in a row; `end` is how surely nothing follows."""
    confidences = confidences or [0.5] * len(text)
    chars = tuple(
        Char(c, confidence, "", 0.0, box_to_polygon((i * SIZE, 0, (i + 1) * SIZE, SIZE)))
        for i, (c, confidence) in enumerate(zip(text, confidences, strict=True))
    )
    return Line(chars, box_to_polygon((0, 0, len(text) * SIZE, SIZE)), math.prod(confidences) * end)


@law
@given(st.text("ab \u00a0é", max_size=20))
def test_words_are_what_stands_between_spaces(text: str) -> None:
    line = make_line(text)
    assert line.text == text
    assert [word.text for word in line.words] == [part for part in text.split(" ") if part]
    assert [char for word in line.words for char in word.chars] == [char for char in line.chars if char.text != " "]
    assert all(word.chars for word in line.words)


@law
@given(st.text("ab ", min_size=1, max_size=20).filter(lambda t: t == " ".join(t.split())), st.data())
def test_the_words_confidences_make_the_lines(text: str, data: st.DataObject) -> None:
    confidences = [data.draw(st.floats(0.01, 1)) for _ in text]
    line = make_line(text, confidences, end=0.75)
    assert math.prod(word.confidence for word in line.words) == pytest.approx(line.confidence)
    assert all(word.confidence <= min(c.confidence for c in word.chars) + 1e-9 for word in line.words)


def test_a_words_confidence_is_that_of_its_characters_and_its_end() -> None:
    line = make_line("ab c", [0.9, 0.4, 0.1, 0.7], end=0.5)
    assert [word.confidence for word in line.words] == pytest.approx([0.9 * 0.4 * 0.1, 0.7 * 0.5])


def test_confidences_at_the_ends_of_their_range() -> None:
    assert make_line("ab", [1.0, 1.0]).words[0].confidence == 1
    assert make_line("ab c", [0.0, 0.0, 0.0, 0.0]).words[0].confidence == 0
    assert [word.confidence for word in make_line("a b", [0.0, 1.0, 1.0]).words] == [0, 0]


def test_a_line_that_says_nothing() -> None:
    line = make_line("")
    assert (line.text, line.words, line.chars, line.confidence) == ("", (), (), 1)
    assert line.box == (0, 0, 0, SIZE)
    assert line.moved(Transform.translate(1, 2)).box == (1, 2, 1, 2 + SIZE)
    page = Page((line, make_line("a b"), line), (100, 50))
    assert page.text == "\na b\n"
    assert [word.text for word in page.words] == ["a", "b"]
    empty = Page((), (1, 1))
    assert (empty.text, empty.words, empty.chars) == ("", (), ())


def test_a_line_of_spaces_has_no_words() -> None:
    assert make_line("   ").words == ()


def test_boxes_and_polygons() -> None:
    line = make_line("ab cde")
    assert line.box == (0, 0, 6 * SIZE, SIZE)
    assert line.chars[1].box == (SIZE, 0, 2 * SIZE, SIZE)
    assert [word.box for word in line.words] == [(0, 0, 2 * SIZE, SIZE), (3 * SIZE, 0, 6 * SIZE, SIZE)]
    assert line.words[1].polygon == box_to_polygon((3 * SIZE, 0, 6 * SIZE, SIZE))


def test_moved_takes_every_polygon_along_and_nothing_else() -> None:
    line = make_line("ab c", [0.1, 0.2, 0.3, 0.4])
    assert [word.text for word in line.words] == ["ab", "c"]  # fills caches, which must not move along
    assert line.words[0].box == (0, 0, 2 * SIZE, SIZE)
    c, s = math.cos(0.3), math.sin(0.3)
    turn = Transform(((c, -s, 5), (s, c, -7), (0, 0, 1)))
    moved = line.moved(turn)
    assert moved.polygon == turn.apply_polygon(line.polygon)
    for before, after in zip(line.chars, moved.chars, strict=True):
        assert after == dataclasses.replace(before, polygon=turn.apply_polygon(before.polygon))
    corners = turn.apply_polygon(line.words[0].polygon)
    for point, expected in zip(moved.words[0].polygon, corners, strict=True):  # the word's rectangle has turned
        assert point == pytest.approx(expected)
    back = moved.moved(turn.invert())
    assert [x for point in back.polygon for x in point] == pytest.approx([x for p in line.polygon for x in p], abs=1e-9)
    assert (moved.text, moved.confidence, len(moved.words)) == (line.text, line.confidence, 2)
    assert line == make_line("ab c", [0.1, 0.2, 0.3, 0.4])  # itself as it was


def test_a_page_gathers_its_lines() -> None:
    lines = (make_line("ab c"), make_line("d"))
    page = Page(lines, (60, 30))
    assert page.text == "ab c\nd"
    assert page.words == (*lines[0].words, *lines[1].words)
    assert page.chars == (*lines[0].chars, *lines[1].chars)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (make_line("a"), "chars"),
        (make_line("a").chars[0], "confidence"),
        (make_line("a").words[0], "chars"),
        (Page((), (1, 1)), "lines"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_results_are_frozen_values(value: Char | Word | Line | Page, field: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, ())
    assert hash(value) == hash(dataclasses.replace(value))
    assert value == dataclasses.replace(value)
    assert value.text in {"a", ""}  # fills a cache, which must not count
    assert value == dataclasses.replace(value)


def test_what_is_not_sure_is_not_said() -> None:
    line = make_line("ab cd e f", [1, 1, 1, 0.5, 1, 1, 0.1, 1, 0.9])
    assert line.sure_text(0) == "ab cd e f"
    assert line.sure_text(0.8) == "ab unsure f"
    assert line.sure_text(0.95, "?") == "ab ?"
    assert line.sure_text(1) == "ab unsure"
    assert make_line("").sure_text(0.5) == ""
    assert Page((line, make_line("x", [0.3])), (9, 9)).sure_text(0.5) == "ab cd unsure f\nunsure"


def placed(text: str, left: float, top: float, right: float, height: float = 20) -> Line:
    polygon = box_to_polygon((left, top, right, top + height))
    return Line((Char(text, 0.9, "", 0.0, polygon),), polygon, 0.9)


@pytest.mark.parametrize(
    ("second", "between"),
    [
        (placed("b", 0, 26, 200), "\n"),
        (placed("b", 30, 30, 90), "\n"),
        (placed("b", 0, 45, 200, 24), "\n"),  # letters that hang below a line make it higher
        (placed("b", 0, 60, 200), "\n\n"),
        (placed("b", 240, 2, 300), "\t"),
        (placed("b", 400, -300, 600), "\n\n"),  # the next column
        (placed("b", 0, 36, 200, 40), "\n\n"),  # a heading
    ],
)
def test_what_is_written_between_two_lines(second: Line, between: str) -> None:
    page = Page((placed("a", 0, 0, 200), second), (700, 400))
    assert page.text == f"a{between}b"
    assert page.sure_text(0.99, "?") == f"?{between}?"
    assert [len(lines) for lines in page.paragraphs] == ([2] if between == "\n" else [1, 1])


@pytest.mark.parametrize("degrees", [0, 7, 90, 180, 270])
def test_rows_and_paragraphs_are_those_of_the_turned_page(degrees: float) -> None:
    angle = math.radians(degrees)
    turn = Transform(((math.cos(angle), -math.sin(angle), 0), (math.sin(angle), math.cos(angle), 0), (0, 0, 1)))
    boxes = [(0, 0, 200, 20), (0, 30, 90, 50), (120, 30, 200, 50), (0, 120, 200, 140)]
    lines = [
        Line((Char(text, 0.9, "", 0.0, polygon := turn.apply_polygon(box_to_polygon(box))),), polygon, 0.9)
        for text, box in zip("abcd", boxes, strict=True)
    ]
    assert Page(tuple(lines), (400, 400)).text == "a\nb\tc\n\nd"


@pytest.mark.parametrize("wrong", ["a", 90, -0.1, math.nan, None])
def test_a_confidence_that_is_none_is_refused(wrong: Any) -> None:
    for what in (make_line("a b"), Page((make_line("a b"),), (20, 10)), Page((), (20, 10))):
        with pytest.raises(ValueError, match=f"min_confidence {wrong!r} is not a number from 0 to 1"):
            what.sure_text(wrong)
        what.sure_text(np.float32(0.5))  # type: ignore[arg-type]  # a number all the same
