"""Components: the connected regions of a mask, by runs and union-find."""

import numpy as np
import numpy.typing as npt


def label_regions(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Regions of cells that touch at a side: (H, W) of 0 outside, and 1, 2, ... inside, in no special order."""
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)  # (H, W + 1): 1 starts a run, -1 ends it
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    for upper, lower in _touching(rows, starts, ends, height):
        parents[root(lower)] = root(upper)
    names = np.array([root(run) for run in range(len(rows))], dtype=np.int64)
    _, numbers = np.unique(names, return_inverse=True)
    steps = np.zeros((height, width + 1), dtype=np.int64)
    steps[rows, starts] = numbers + 1
    steps[rows, ends] -= numbers + 1
    return np.asarray(steps.cumsum(axis=1)[:, :width])


def _touching(
    rows: npt.NDArray[np.intp], starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp], height: int
) -> list[tuple[int, int]]:
    """Pairs of runs of neighbouring rows that share a column."""
    first = np.searchsorted(rows, np.arange(height + 1))  # of each row
    pairs = []
    for row in range(1, height):
        above, below = first[row - 1], first[row]
        end = first[row + 1]
        if above == below or below == end:
            continue
        # of the runs above, sorted as they are, those that end after a run starts and start before it ends
        low = np.searchsorted(ends[above:below], starts[below:end], side="right")
        high = np.searchsorted(starts[above:below], ends[below:end], side="left")
        for run, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            pairs += [(int(above) + other, int(below) + run) for other in range(a, b)]
    return pairs
