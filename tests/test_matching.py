"""Matching: by hand, and against the best of all assignments."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleocr.geometry import Box
from training.matching import lying_in, matched, overlaps

SIDES = st.integers(0, 12)
BOXES = st.lists(
    st.tuples(SIDES, SIDES, st.integers(1, 8), st.integers(1, 8)).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])),
    max_size=5,
)


def best(found: list[Box], true: list[Box], least: float) -> int:
    """Pairs of the largest assignment, by trying all."""
    table = overlaps(found, true)
    few, many = sorted((len(found), len(true)))
    turned = len(found) > len(true)
    return max(
        sum(bool((table[j, i] if turned else table[i, j]) >= least) for i, j in zip(range(few), order, strict=True))
        for order in permutations(range(many), few)
    )


def disjoint(boxes: list[Box]) -> list[Box]:
    kept: list[Box] = []
    for box in boxes:
        if not kept or overlaps([box], kept).max() == 0:
            kept.append(box)
    return kept


def test_overlaps_by_hand() -> None:
    table = overlaps([(0, 0, 10, 10), (3, 3, 3, 9)], [(0, 0, 10, 5), (5, 0, 15, 10), (20, 20, 30, 30), (3, 3, 3, 9)])
    assert table[0].tolist() == pytest.approx([0.5, 50 / 150, 0, 0])
    assert table[1].tolist() == [0, 0, 0, 0]
    assert overlaps([], [(0, 0, 1, 1)]).shape == (0, 1)


def test_each_box_has_one_other_and_the_closest_comes_first() -> None:
    true: list[Box] = [(0, 0, 10, 10), (20, 0, 30, 10)]
    found: list[Box] = [(0, 0, 10, 8), (0, 0, 10, 9), (20, 0, 30, 10), (20, 0, 24, 10)]
    assert matched(found, true) == [(2, 1), (1, 0)]
    assert matched(found, true, 0.95) == [(2, 1)]
    assert matched([], true) == matched(found, []) == matched([], []) == []


def test_two_that_are_half_of_one_do_not_both_count() -> None:
    assert matched([(0, 0, 5, 10), (5, 0, 10, 10)], [(0, 0, 10, 10)]) == [(0, 0)]


@given(found=BOXES, true=BOXES)
def test_no_assignment_is_better_where_true_boxes_lie_apart(found: list[Box], true: list[Box]) -> None:
    apart = disjoint(true)
    assert len(matched(found, apart, 0.51)) == best(found, apart, 0.51)


@given(found=BOXES, true=BOXES)
def test_pairs_are_one_to_one_and_at_least_half_of_the_best(found: list[Box], true: list[Box]) -> None:
    pairs = matched(found, true)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(overlaps([found[i]], [true[j]]).item() >= 0.5 for i, j in pairs)
    assert best(found, true, 0.5) / 2 <= len(pairs) <= best(found, true, 0.5)


def test_boxes_that_lie_in_others_by_hand() -> None:
    places: list[Box] = [(0, 0, 100, 20), (0, 50, 10, 60)]
    found: list[Box] = [(90, 0, 109, 20), (90, 0, 110, 20), (0, 5, 10, 9), (0, 0, 10, 60), (3, 3, 3, 9)]
    assert lying_in(found, places) == {0, 2}
    assert lying_in([], places) == lying_in(found, []) == set()
