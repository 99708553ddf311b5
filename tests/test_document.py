"""simpleocr.document: texts, words and scores that follow from the characters."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr.document import Char, Line, Page, Word, mean_score
from simpleocr.geometry import Transform, box_to_polygon

law = settings(deadline=None, max_examples=50)
SIZE = 10  # pixels of a letter's square


def make_line(text: str, scores: list[float] | None = None) -> Line:
    """Letters of SIZE pixels in a row."""
    chars = tuple(
        Char(c, score, "", 0.0, box_to_polygon((i * SIZE, 0, (i + 1) * SIZE, SIZE)))
        for i, (c, score) in enumerate(zip(text, scores or [0.5] * len(text), strict=True))
    )
    return Line(chars, box_to_polygon((0, 0, len(text) * SIZE, SIZE)))


@law
@given(st.text("ab \u00a0é", max_size=20))
def test_words_are_what_stands_between_spaces(text: str) -> None:
    line = make_line(text)
    assert line.text == text
    assert [word.text for word in line.words] == [part for part in text.split(" ") if part]
    assert [char for word in line.words for char in word.chars] == [char for char in line.chars if char.text != " "]
    assert all(word.chars for word in line.words)


@law
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=30))
def test_scores_are_geometric_means(scores: list[float]) -> None:
    line = make_line("x" * len(scores), scores)
    expected = math.prod(scores) ** (1 / len(scores))
    assert line.score == pytest.approx(expected)
    assert line.words[0].score == pytest.approx(expected)
    assert min(scores) * (1 - 1e-9) <= line.score <= min(1.0, max(scores) * (1 + 1e-9))


def test_a_words_score_is_that_of_its_own_characters() -> None:
    line = make_line("ab c", [0.9, 0.4, 0.1, 0.7])
    assert [word.score for word in line.words] == pytest.approx([0.6, 0.7])
    assert line.score == pytest.approx((0.9 * 0.4 * 0.1 * 0.7) ** 0.25)  # of a line, the spaces count


def test_scores_at_the_ends_of_their_range() -> None:
    assert mean_score([]) == 0
    assert make_line("").score == 0
    assert make_line("ab", [1.0, 1.0]).score == 1
    assert 0 <= make_line("ab", [0.0, 0.0]).score < 1e-9
    assert 0 <= make_line("ab", [0.0, 1.0]).score < 1e-3
    assert make_line("a" * 5000, [0.01] * 5000).score == pytest.approx(0.01)  # a product would be 0


def test_a_line_that_says_nothing() -> None:
    line = make_line("")
    assert (line.text, line.words, line.chars, line.score) == ("", (), (), 0)
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
    assert (moved.text, moved.score, len(moved.words)) == (line.text, line.score, 2)
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
        (make_line("a").chars[0], "score"),
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
