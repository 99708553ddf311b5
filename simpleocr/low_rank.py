"""Low rank: a convolution whose outputs lie in few dimensions, as one that computes those and one of 1 x 1 that spreads them.

It gives the same for a part of the time. training.low_rank makes such weights (Zhang et al. 2015, arXiv 1505.06798); they
are kept as any others, and found out here.

Shapes: D outputs, I inputs, K x L the kernel, R dimensions.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ROUNDED = 1e-6  # share of the weights' energy that float16 may have made of nothing: it rounds to 1e-7 of it
STEP = 16  # the dimensions that are computed are a multiple of it: processors multiply so many at once
WORTH = 0.8  # of the multiplications, beyond which two convolutions are not faster than one


def factors(weight: Array) -> tuple[Array, Array] | None:
    """Weights (D, I, K, L) -> (R, I, K, L) and (D, R, 1, 1), which do the same one after the other; None if not worth it.

    The dimensions are mixed, so that all go equally far: in whole numbers they share their steps.
    """
    depth, inputs, *kernel = weight.shape
    area = inputs * math.prod(kernel)
    most = int(WORTH * depth * area / (depth + area)) // STEP * STEP
    if not most:
        return None
    rows = weight.reshape(depth, -1).astype(np.float64)
    energies, basis = np.linalg.eigh(rows @ rows.T)  # ascending
    left_out = np.cumsum(np.maximum(energies, 0.0))  # with the first 1, 2, ... of them
    if (needed := depth - int(np.searchsorted(left_out, ROUNDED * left_out[-1], side="right"))) > most:
        return None
    rank = max(STEP, -(-needed // STEP) * STEP)
    basis = basis[:, : -rank - 1 : -1]
    # the sign of an eigenvector is nobody's choice; ranges that were measured hold for one
    largest = basis[np.abs(basis).argmax(axis=0), np.arange(rank)]
    basis = (basis * np.sign(largest)) @ _cosines(rank)
    return (
        (basis.T @ rows).astype(np.float32).reshape(rank, inputs, *kernel),
        basis.astype(np.float32).reshape(depth, rank, *[1] * len(kernel)),
    )


def _cosines(size: int) -> Array:
    """(R, R) the orthonormal discrete cosine transform, in which every row has a part of every column."""
    turns = np.outer(np.arange(size), np.arange(size) + 0.5) * (np.pi / size)
    rows: Array = np.cos(turns) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows
