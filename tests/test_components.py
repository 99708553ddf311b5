"""simpleocr.components: the regions that a flood fill finds."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simpleocr.components import label_regions


def flooded(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Cell by cell."""
    labels = np.zeros(mask.shape, dtype=np.int64)
    count = 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        count += 1
        todo = [start]
        while todo:
            y, x = todo.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not labels[y, x]:
                labels[y, x] = count
                todo += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return labels


def same_partition(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> bool:
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


@settings(deadline=None, max_examples=200)
@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 14))))
def test_regions_are_those_of_a_flood_fill(mask: npt.NDArray[np.bool_]) -> None:
    labels = label_regions(mask)
    assert labels.shape == mask.shape
    assert ((labels > 0) == mask).all()
    assert same_partition(labels, flooded(mask))
    assert set(np.unique(labels)) - {0} == set(range(1, int(labels.max()) + 1))


@pytest.mark.parametrize("text", ["#.#\n###", "###\n#.#\n#.#", "#.#.#\n#####", "..#\n.##\n##.\n#..", "#.\n.#"])
def test_shapes_that_meet_late(text: str) -> None:
    mask = np.array([[c == "#" for c in row] for row in text.split("\n")])
    assert same_partition(label_regions(mask), flooded(mask))
