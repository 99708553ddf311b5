"""Scores: what is counted of each sample, the figures of a set, and their bootstrap intervals."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from simpleocr import metrics

DRAWS, SEED = 1000, 0  # of the bootstrap

COUNTS = (
    "edits",
    "characters",
    "caseless_edits",
    "caseless_characters",
    "word_edits",
    "words",
    *metrics.NORMALISATIONS,
    "samples",
    "right",
    "written",
    "there",
)
"""What is counted of each sample; the last three are spaces."""
FIGURES: dict[str, tuple[str, str, float]] = {
    "cer": ("edits", "characters", 0),
    "cer_caseless": ("caseless_edits", "caseless_characters", 0),
    "wer": ("word_edits", "words", 0),
    **{f"exact_{name}": (name, "samples", 0) for name in metrics.NORMALISATIONS},
    "space_precision": ("right", "written", 1),
    "space_recall": ("right", "there", 1),
}
"""Each figure is the ratio of two sums over the set; the number is added where the lower one is 0."""
Figures = Callable[[npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]]]


def sample_counts(*, prediction: str, target: str, fault: bool) -> tuple[int, ...]:
    """COUNTS of one sample; summed over a set, they give what the functions of `metrics` give.

    With a fault nothing was read: no match under any normalisation, even where nothing would have been right.
    """
    from rapidfuzz.distance import Levenshtein  # metrics.edit_distance is what it must agree with; this is faster

    pair: dict[str, Any] = {"predictions": [prediction], "targets": [target]}
    fold = metrics.NORMALISATIONS["caseless"]
    may_match = " " in prediction and " " in target  # else there is nothing to align
    return (
        Levenshtein.distance(prediction, target),
        len(target),
        Levenshtein.distance(fold(prediction), fold(target)),
        len(fold(target)),
        Levenshtein.distance(prediction.split(), target.split()),
        len(target.split()),
        *(not fault and metrics.matches(**pair, normalisation=name)[0] for name in metrics.NORMALISATIONS),
        1,
        metrics.right_spaces(prediction=prediction, target=target) if may_match else 0,
        prediction.count(" "),
        target.count(" "),
    )


def figures(sums: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Sums of COUNTS (..., len(COUNTS)) -> each of FIGURES (...)."""
    column = {name: sums[..., i] for i, name in enumerate(COUNTS)}
    return {
        name: np.where(column[under] > 0, column[over] / np.maximum(1, column[under]), column[over] + of_none)
        for name, (over, under, of_none) in FIGURES.items()
    }


def bootstrap(
    counts: npt.NDArray[np.int64], draws: int = DRAWS, seed: int = SEED, of: Figures = figures
) -> dict[str, tuple[float, float, float]]:
    """Each figure as (value, low, high): the set's, and the middle 95 % of what resampled sets give (Efron 1979).

    Args:
        counts: (samples, len(COUNTS)), or of what else `of` takes.
        draws: sets drawn from the samples with replacement.
        seed: the same seed gives the same intervals. Samples of one page are taken as independent, which they are not
            quite: on page sets the intervals are somewhat too narrow.
        of: sums over sets (..., counts) -> figures (...).
    """
    rng = np.random.default_rng(seed)
    columns = counts.astype(np.float64)
    total = len(counts)
    # drawing a sample k times is weighing its counts by k: one row of weights a draw, never a copy of the set
    sums = np.stack([np.bincount(rng.integers(total, size=total), minlength=total) @ columns for _ in range(draws)])
    values = of(columns.sum(axis=0))
    resampled = of(sums)
    low, high = ({name: float(np.percentile(v, share)) for name, v in resampled.items()} for share in (2.5, 97.5))
    return {name: (float(values[name]), low[name], high[name]) for name in values}
