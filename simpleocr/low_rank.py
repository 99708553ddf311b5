"""Low rank: a convolution whose outputs lie in few dimensions, as one that computes those and one of 1 x 1 that spreads them.

It gives the same for a part of the time. training.low_rank makes such weights (Zhang et al. 2015, arXiv 1505.06798); they
are kept as any others, and found out here.

Shapes: D outputs, I inputs, K x L the kernel, R dimensions.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# How many activations a graph has, and what their ranges in model files are of, follows from these and from the basis
# below: another value or another sign would make those ranges wrong.
ROUNDED = 2.0**-22  # share of an output's energy, the sum of its squared weights, that float16 makes of nothing at most
STEP = 16  # the dimensions that are computed are a multiple of it: processors multiply so many at once
WORTH = 0.8  # of the multiplications: two convolutions of more are hardly faster than one


def most_dimensions(shape: Sequence[int]) -> int:
    """Of weights (D, I, K, L), how many dimensions make two convolutions worth it; 0 where none do."""
    depth, area = shape[0], math.prod(shape[1:])
    return int(WORTH * depth * area / (depth + area)) // STEP * STEP


def factors(weight: Array) -> tuple[Array, Array] | None:
    """Weights (D, I, K, L) -> (R, I, K, L) and (D, R, 1, 1), which do the same one after the other; None if not worth it.

    The dimensions are mixed, so that all go about equally far: in whole numbers they share their steps.
    """
    depth, inputs, *kernel = weight.shape
    most = most_dimensions(weight.shape)
    rows = weight.reshape(depth, -1).astype(np.float64)
    energies = (rows**2).sum(axis=1)
    if not most or not energies.any() or not np.isfinite(energies).all():
        return None
    products = rows @ rows.T
    left_out = np.cumsum(np.maximum(np.linalg.eigvalsh(products), 0.0))  # with the first 1, 2, ..., which are the least
    needed = depth - int(np.searchsorted(left_out, ROUNDED * left_out[-1], side="right"))
    if needed > most:  # of most convolutions, which are done with here
        return None
    rank = -(-needed // STEP) * STEP
    basis = np.linalg.eigh(products)[1][:, : -rank - 1 : -1]
    if (((rows - basis @ (basis.T @ rows)) ** 2).sum(axis=1) > ROUNDED * energies).any():
        return None  # an output with small weights, of which more than roundings would be lost
    # an eigenvector's sign is nobody's choice, and ranges were measured with one
    largest = basis[np.abs(basis).argmax(axis=0), np.arange(rank)]
    basis = (basis * np.sign(largest)) @ _cosines(rank)
    return (
        (basis.T @ rows).astype(np.float32).reshape(rank, inputs, *kernel),
        basis.astype(np.float32).reshape(depth, rank, *[1] * len(kernel)),
    )


def _cosines(size: int) -> Array:
    """(R, R) the orthonormal discrete cosine transform, each of whose columns has a part of nearly every row."""
    turns = np.outer(np.arange(size), np.arange(size) + 0.5) * (np.pi / size)
    rows: Array = np.cos(turns) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows
