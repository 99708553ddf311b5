"""Which words of a page a text is compared with, and which part of the text each line is asked about."""

from dataclasses import replace

import pytest

from simpleocr import Char, Line, Page
from simpleocr.geometry import box_to_polygon
from simpleocr.passages import closest

HEIGHT = 20


def line(text: str, left: int, top: int) -> Line:
    """Letters ten pixels wide, each seen in the middle six."""
    chars = tuple(
        Char(c, 0.9, "", 0.0, box_to_polygon((left + 10 * i + 2, top, left + 10 * i + 8, top + HEIGHT)))
        for i, c in enumerate(text)
    )
    return Line(chars, box_to_polygon((left, top, left + 10 * len(text), top + HEIGHT)), 0.9)


RECEIPT = Page(
    (
        line("Corner Market", 0, 0),
        line("2 x Oat milk", 0, 30),
        line("5.80", 300, 30),
        line("1 x Rye bread", 0, 60),
        line("3.45", 300, 60),
        line("TOTAL", 0, 90),
        line("9.25", 300, 90),
    ),
    (400, 120),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Corner Market", [(0, "Corner Market", "Corner Market")]),
        ("TOTAL 9.25", [(5, "TOTAL", "TOTAL"), (6, "9.25", "9.25")]),
        ("TOTAL\t9.25", [(5, "TOTAL", "TOTAL"), (6, "9.25", "9.25")]),
        ("total 9.28", [(5, "TOTAL", "total"), (6, "9.25", "9.28")]),
        ("TOTAL9.25", [(5, "TOTAL", "TOTAL"), (6, "9.25", "9.25")]),
        ("milk", [(1, "milk", "milk")]),
        ("Oat silk", [(1, "Oat milk", "Oat silk")]),
        ("milk 5.80", [(1, "milk", "milk"), (2, "5.80", "5.80")]),
        ("Rye", [(3, "Rye", "Rye")]),
        ("Ry", [(3, "Rye", "Ry")]),
        ("3.45", [(4, "3.45", "3.45")]),
    ],
)
def test_a_text_is_compared_with_words_runs_of_words_lines_and_rows(
    text: str, expected: list[tuple[int, str, str]]
) -> None:
    assert [(piece.line, piece.read, piece.text) for piece in closest(text, RECEIPT)] == expected


def test_a_word_is_cut_out_with_room_and_a_whole_line_as_it_was_found() -> None:
    (word,), (whole,) = closest("milk", RECEIPT), closest("TOTAL", RECEIPT)
    assert whole.polygon == RECEIPT.lines[5].polygon
    (left, top), _, (right, bottom), _ = word.polygon
    assert (left, top, right, bottom) == pytest.approx((80, 30, 120, 50), abs=1)


def test_what_is_nowhere_and_a_page_without_text_have_an_answer() -> None:
    assert "".join(piece.text for piece in closest("?!", RECEIPT)) == "?!"
    assert closest("a", Page((), (5, 5))) == ()
    empty = Page((replace(RECEIPT.lines[0], chars=()),), (400, 120))
    assert [(piece.read, piece.text) for piece in closest("a b", empty)] == [("", "a b")]
