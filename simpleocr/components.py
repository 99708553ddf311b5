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

    # all rows in a row: of the runs above, those that end after a run starts and start before it ends
    above = (rows - 1) * (width + 1)
    low = np.searchsorted(rows * (width + 1) + ends, above + starts, side="right")
    high = np.searchsorted(rows * (width + 1) + starts, above + ends, side="left")
    for run, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        for upper in range(first, last):
            parents[root(run)] = root(upper)
    names = np.array([root(run) for run in range(len(rows))], dtype=np.int64)
    _, numbers = np.unique(names, return_inverse=True)
    steps = np.zeros((height, width + 1), dtype=np.int64)
    steps[rows, starts] = numbers + 1
    steps[rows, ends] -= numbers + 1
    return np.asarray(steps.cumsum(axis=1)[:, :width])
