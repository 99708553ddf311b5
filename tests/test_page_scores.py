"""Page scores: words and boxes counted by hand, and what was wrong where."""

import numpy as np
import pytest
from PIL import Image

from simpleocr import metrics
from simpleocr.document import Page
from simpleocr.geometry import Box
from training.page_peers import line_of
from training.page_scores import COUNTS, Comparison, compare, figures, words_of
from training.page_sets import Piece, TruePage
from training.scores import bootstrap

PAPER = Image.new("RGB", (200, 100), "white")


def read_page(*lines: list[Piece]) -> Page:
    return Page(tuple(line_of(line) for line in lines), PAPER.size)


def true_page(
    pieces: list[Piece], level: str = "words", ordered: str | None = None, unknown: tuple[Box, ...] = ()
) -> TruePage:
    return TruePage("a.png", PAPER, level, pieces, ordered, list(unknown))


def values(comparison: Comparison) -> dict[str, float]:
    return {name: float(v) for name, v in figures(np.array(comparison.counts, dtype=np.float64)).items()}


A: Box = (0, 0, 40, 10)
B: Box = (50, 0, 90, 10)
C: Box = (0, 30, 40, 40)
D: Box = (120, 60, 160, 70)


def test_words_have_neither_case_nor_outer_marks() -> None:
    assert words_of("Total: (5.00) — don't TOTAL “x” -") == {"total": 2, "5.00": 1, "don't": 1, "x": 1}


def test_words_found_read_and_placed_by_hand() -> None:
    truth = true_page([(A, "Total:"), (B, "5.00"), (C, "(paid)"), (D, "total")])
    page = read_page([(A, "TOTAL"), (B, "S.00")], [((100, 80, 140, 90), "paid")])
    found = compare(page, truth)
    assert dict(zip(COUNTS, found.counts, strict=True)) == {
        "words_right": 2,
        "words_read": 3,
        "words_true": 4,
        "pieces_right": 2,
        "pieces_found": 3,
        "pieces_true": 4,
        "words_placed": 1,
        "placeable_read": 3,
        "placeable_true": 4,
        "edits": 0,
        "characters": 0,
    }
    assert found.misread == [("5.00", "s.00")]
    assert found.missed == ["total"]
    assert found.invented == []
    assert found.lost == [(B, "5.00"), (D, "total")]  # of the two, the one that was found is not the one that is lost
    assert [text for _, text in found.added] == ["s.00"]
    assert found.word_f1 == pytest.approx(4 / 7)
    assert found.wrong == 3
    of = values(found)
    assert of["word_precision"] == pytest.approx(2 / 3)
    assert of["word_recall"] == pytest.approx(2 / 4)
    assert of["detection_hmean"] == pytest.approx(4 / 7)
    assert of["end_to_end_f1"] == pytest.approx(2 / 7)
    assert "cer_in_order" not in of


def test_lines_match_as_a_whole_and_their_words_one_by_one() -> None:
    truth = true_page([((0, 0, 90, 10), "one two"), (C, "three")], "lines", "one two three")
    found = compare(read_page([(A, "two"), (B, "ten")], [(D, "extra")]), truth)
    assert found.misread == [("one", "ten")]
    assert found.missed == ["three"]
    assert found.invented == ["extra"]
    of = values(found)
    assert of["detection_recall"] == pytest.approx(1 / 2)
    assert of["end_to_end_f1"] == pytest.approx(2 * 1 / 6)
    assert of["cer_in_order"] == pytest.approx(
        metrics.edit_distance(prediction="two ten extra", target="one two three") / 13
    )


@pytest.mark.parametrize("level", ["words", "lines"])
def test_what_is_read_where_nobody_knows_what_stands_is_not_counted(level: str) -> None:
    ordered = "one two" if level == "lines" else None
    truth = true_page([(A, "one"), (C, "two")], level, ordered, unknown=(B, (100, 50, 200, 100)))
    inside, outside = (120.0, 60.0, 160.0, 70.0), (50.0, 12.0, 90.0, 22.0)
    right = [[(A, "one")], [(C, "two")]]
    found = compare(read_page([(B, "cut")], *right, [(inside, "one more")]), truth)
    assert found.counts == compare(read_page(*right), true_page(truth.pieces, level, ordered)).counts
    assert (found.invented, found.added, found.wrong) == ([], [], 0)
    assert set(values(found).values()) <= {0.0, 1.0}
    # what lies elsewhere counts, and so does all where boxes are not compared
    assert compare(read_page(*right, [(outside, "cut")]), truth).invented == ["cut"]
    assert compare(read_page(*right, [(inside, "cut")]), truth, boxes=False).wrong == 1
    # a true piece is one, whatever lies around it
    around = true_page([(A, "one")], level, unknown=((0, 0, 200, 100),))
    assert compare(read_page([(A, "ten")], [(C, "two")]), around).misread == [("one", "ten")]


def test_without_boxes_only_words_count() -> None:
    found = compare(read_page([(A, "x")]), true_page([(A, "x")]), boxes=False)
    assert values(found) == {"word_precision": 1, "word_recall": 1, "word_f1": 1}


def test_a_page_without_text_that_reads_as_nothing_is_right() -> None:
    found = compare(read_page(), true_page([]))
    assert found.word_f1 == 1
    assert values(found) == {}


def test_resampled_sets_without_text_do_not_blow_up_the_intervals() -> None:
    """As metrics.cer has it: so many edits of no character."""
    full = compare(read_page([(A, "right")]), true_page([(A, "right")], "lines", "right"))
    blank = compare(read_page([(A, "dirt")]), true_page([], "lines", ""))
    value, low, high = bootstrap(np.array([full.counts, blank.counts]), of=figures)["cer_in_order"]
    assert (value, low, high) == (4 / 5, 0, 4 + 4)  # of the blank page twice, at the most
    # one word read, none there: half of it is what the words right are a share of
    assert figures(np.array([blank.counts, full.counts], float))["word_f1"].tolist() == [0, 1]
    unread = compare(read_page(), true_page([(A, "right")]))
    of = figures(np.array([unread.counts, full.counts], float))
    assert of["word_precision"].tolist() == [1, 1], "nothing that was read is wrong"
    assert of["word_recall"].tolist() == [0, 1]


def test_sets_are_summed_page_by_page() -> None:
    counts = np.array([compare(read_page([(A, t)]), true_page([(A, "x")])).counts for t in ("x", "y")], float)
    assert float(figures(counts.sum(axis=0))["word_f1"]) == 0.5
    assert figures(np.stack([counts.sum(axis=0), 2 * counts[0]]))["word_f1"].tolist() == [0.5, 1.0]
