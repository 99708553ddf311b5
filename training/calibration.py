"""Calibration: whether confidences are probabilities, under each normalisation, and the temperature that makes them so."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simpleocr import metrics
from simpleocr.consensus import agreement
from simpleocr.likelihood import Likelihood, LogProbs, likelihoods
from simpleocr.retry import Look, weighted
from simpleocr.vocabulary import BLANK, Vocabulary
from training.scores import DRAWS, SEED

# Only upwards: pictures that nobody rendered are harder to judge than held-out rendered ones, and a network that is made
# surer on the latter is too sure of the former.
TEMPERATURES = (1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0)
NOTCHES = 2  # of them that a temperature is above the best one at most
ROWS = 256  # likelihoods that are computed together
CURVE_POINTS = 50  # of a risk-coverage curve that are kept


def folding(vocabulary: Vocabulary, normalisation: str) -> npt.NDArray[np.int64]:
    """(C,) the class that each class becomes when texts are compared: of "A" that of "a", of what is dropped the blank."""
    fold = metrics.NORMALISATIONS[normalisation]
    ids = np.arange(vocabulary.num_classes)
    for class_id, c in enumerate(vocabulary.characters, start=1):
        folded = fold(c)
        if not folded:
            ids[class_id] = BLANK
        elif len(folded) == 1 and not vocabulary.unknown(folded):
            ids[class_id] = vocabulary.encode(folded)[0]
    return ids


def folded(log_probs: LogProbs, ids: npt.NDArray[np.int64]) -> LogProbs:
    """(T, C) with the probability of each class added to that of the one it becomes."""
    out = np.zeros(log_probs.shape)
    np.add.at(out.T, ids, np.exp(log_probs.T.astype(np.float64)))
    return np.asarray(np.log(np.maximum(out, 1e-30)), dtype=np.float32)


def tempered(log_probs: LogProbs, temperature: float) -> LogProbs:
    """The log_probs that another temperature would have given."""
    if temperature == 1:
        return log_probs
    scaled = log_probs / temperature
    return np.asarray(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True), dtype=np.float32)


def _in_batches(rows: Sequence[LogProbs], texts: Sequence[Sequence[int]], space: int) -> list[Likelihood]:
    """As likelihoods(), rows of about the same length together: a batch costs what its longest costs."""
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i]), len(texts[i])))
    found: dict[int, Likelihood] = {}
    for start in range(0, len(order), ROWS):
        part = order[start : start + ROWS]
        found |= zip(part, likelihoods([rows[i] for i in part], [texts[i] for i in part], space), strict=True)
    return [found[i] for i in range(len(rows))]


def confidences(
    looks: Sequence[Look], vocabulary: Vocabulary, normalisation: str = "raw", temperature: float = 1.0
) -> list[float]:
    """How likely each line is right when texts are compared under a normalisation.

    Two characters side by side that become one ("Aa") are lost in the sum where nothing was between them; at least as
    likely as the very text is what it stands for, so no figure is below that.

    Args:
        looks: what retry.looks() gave.
        vocabulary: of the network.
        normalisation: a key of metrics.NORMALISATIONS.
        temperature: by which the network's is multiplied.
    """
    ids = folding(vocabulary, normalisation)
    rows, texts = [], []
    for look in looks:
        text = [c for c in ids[vocabulary.encode(look.line.text)].tolist() if c != BLANK]
        for reading in look.readings:
            log_probs = tempered(reading.log_probs, temperature)
            rows.append(log_probs if normalisation == "raw" else folded(log_probs, ids))
            texts.append(text)
    space = vocabulary.space if vocabulary.space >= 0 and ids[vocabulary.space] != BLANK else -1
    found = iter(_in_batches(rows, texts, space))
    given = [
        weighted(float(agreement(np.array([next(found).log_prob for _ in look.readings]))), look.odds) for look in looks
    ]
    if normalisation == "raw":
        return given
    return [max(pair) for pair in zip(given, confidences(looks, vocabulary, "raw", temperature), strict=True)]


def by_chance(given: Sequence[float]) -> tuple[float, float]:
    """The calibration error that 95 % of sets as large as this one show whose confidences are exactly right.

    It is not 0, for of 17 lines that are right with a probability of 0.9 seldom 15.3 are; a set whose error lies above it
    is told from a calibrated one (Bröcker & Smith 2007).
    """
    rng, ordered = np.random.default_rng(SEED), np.sort(np.asarray(given, np.float64))
    off, start = np.zeros(DRAWS), 0
    for _, _, count in metrics.calibration_bins(confidences=given, right=[False] * len(given)):
        of = ordered[start : start + count]
        start += count
        off += np.abs((rng.random((DRAWS, count)) < of).sum(axis=1) - of.sum())
    low, high = np.quantile(off / max(1, len(given)), (0.025, 0.975))
    return float(low), float(high)


def account(given: Sequence[float], right: Sequence[bool]) -> dict[str, Any]:
    """Calibration error, what it would be by chance, its bins, the risk-coverage curve and the area under it, as JSON values."""
    bins = metrics.calibration_bins(confidences=given, right=right)
    curve = metrics.risk_coverage(confidences=given, right=right)
    area = sum((after[0] - before[0]) * after[1] for before, after in zip([(0.0, 0.0), *curve], curve, strict=False))
    few = [curve[i * (len(curve) - 1) // (CURVE_POINTS - 1)] for i in range(CURVE_POINTS)] if curve else []
    return {
        "error": metrics.calibration_error(confidences=given, right=right),
        "by_chance": dict(zip(("low", "high"), by_chance(given), strict=True)),
        "bins": [{"confidence": round(c, 4), "right": round(r, 4), "samples": n} for c, r, n in bins],
        "risk_coverage": [[round(x, 4), round(y, 4)] for x, y in dict.fromkeys(few)],
        "area_under_risk_coverage": area,
    }


def surprises(given: Sequence[float], right: Sequence[bool]) -> npt.NDArray[np.float64]:
    """Log loss of each line; confidences of exactly 0 and 1 are taken as a millionth off."""
    clipped = np.clip(given, 1e-6, 1 - 1e-6)
    return -np.log(np.where(right, clipped, 1 - clipped))


def most_cautious(losses: Mapping[float, npt.NDArray[np.float64]]) -> float:
    """The highest temperature that is not told from the best one, by the log loss of each line at each.

    The best surprises least. One that does not surprise more by over a standard error of the difference, line by line, is
    as good here (after the rule of Breiman et al. 1984 for trees), and better where pictures are stranger than these. Few
    lines tell nothing from anything, so it is at most NOTCHES above the best.
    """
    temperatures = sorted(losses)
    best = min(range(len(temperatures)), key=lambda i: float(losses[temperatures[i]].mean()))
    alike = temperatures[best]
    for t in temperatures[best + 1 : best + 1 + NOTCHES]:
        worse = losses[t] - losses[temperatures[best]]
        if worse.mean() <= worse.std() / math.sqrt(len(worse)):
            alike = t
    return alike


def careful_temperature(looks: Sequence[Look], targets: Sequence[str], vocabulary: Vocabulary) -> tuple[float, float]:
    """The most cautious of TEMPERATURES, and its mean log loss (Guo et al. 2017)."""
    right = [look.line.text == target for look, target in zip(looks, targets, strict=True)]
    losses = {t: surprises(confidences(looks, vocabulary, temperature=t), right) for t in TEMPERATURES}
    chosen = most_cautious(losses)
    return chosen, float(losses[chosen].mean())
