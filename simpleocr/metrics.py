"""Metrics: edit distance, CER, WER, exact match under named normalisations, spaces, confusions, and calibration."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Literal

Operation = tuple[Literal["equal", "replace", "delete", "insert"], str, str]
"""What became of a character: (kind, of the target, of the prediction); "" on the side that has none."""


def align(*, prediction: Sequence[str], target: Sequence[str]) -> list[Operation]:
    """The fewest edits that turn `target` into `prediction` (Levenshtein 1966), in order, equal characters included.

    Both are sequences of units: a text for characters, a list for words.
    """
    rows, columns = len(target) + 1, len(prediction) + 1
    cost = [list(range(columns))] + [[i] + [0] * (columns - 1) for i in range(1, rows)]
    for i in range(1, rows):
        above, row, unit = cost[i - 1], cost[i], target[i - 1]
        for j in range(1, columns):
            row[j] = min(above[j - 1] + (unit != prediction[j - 1]), above[j] + 1, row[j - 1] + 1)
    operations: list[Operation] = []
    i, j = rows - 1, columns - 1
    while i or j:
        if i and j and cost[i][j] == cost[i - 1][j - 1] + (target[i - 1] != prediction[j - 1]):
            i, j = i - 1, j - 1
            kind: Literal["equal", "replace"] = "equal" if target[i] == prediction[j] else "replace"
            operations.append((kind, target[i], prediction[j]))
        elif i and cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
            operations.append(("delete", target[i], ""))
        else:
            j -= 1
            operations.append(("insert", "", prediction[j]))
    return operations[::-1]


def edit_distance(*, prediction: Sequence[str], target: Sequence[str]) -> int:
    """Insertions, deletions and replacements between two sequences (Levenshtein 1966)."""
    if prediction == target:
        return 0
    previous = list(range(len(prediction) + 1))
    for i, unit in enumerate(target, start=1):
        row = [i]
        for j, other in enumerate(prediction, start=1):
            row.append(min(previous[j - 1] + (unit != other), previous[j] + 1, row[j - 1] + 1))
        previous = row
    return previous[-1]


def cer(*, predictions: Sequence[str], targets: Sequence[str]) -> float:
    """Character error rate: edits over target length, summed over the set; can exceed 1."""
    edits = sum(edit_distance(prediction=p, target=t) for p, t in zip(predictions, targets, strict=True))
    return edits / max(1, sum(len(t) for t in targets))


def wer(*, predictions: Sequence[str], targets: Sequence[str]) -> float:
    """Word error rate: the same over words."""
    pairs = [(p.split(), t.split()) for p, t in zip(predictions, targets, strict=True)]
    return sum(edit_distance(prediction=p, target=t) for p, t in pairs) / max(1, sum(len(t) for _, t in pairs))


def _raw(text: str) -> str:
    return text


def _alphanumeric(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


NORMALISATIONS: dict[str, Callable[[str], str]] = {"raw": _raw, "caseless": str.casefold, "alphanumeric": _alphanumeric}
"""What is forgiven before two texts are compared: nothing; case; case and all but a-z0-9 (the scene-text protocol)."""


def matches(*, predictions: Sequence[str], targets: Sequence[str], normalisation: str) -> list[bool]:
    """For each pair, whether the texts are equal under one of NORMALISATIONS."""
    fold = NORMALISATIONS[normalisation]
    return [fold(p) == fold(t) for p, t in zip(predictions, targets, strict=True)]


def exact_match(*, predictions: Sequence[str], targets: Sequence[str], normalisation: str) -> float:
    """Share of pairs that are equal under one of NORMALISATIONS."""
    return sum(matches(predictions=predictions, targets=targets, normalisation=normalisation)) / max(1, len(targets))


def right_spaces(*, prediction: str, target: str) -> int:
    """How many spaces of `prediction` stand between the same letters as in `target`.

    The letters are aligned without the spaces, or letters would be given up to pair spaces that are elsewhere.
    """
    gaps_read, gaps_there = _gaps(prediction), _gaps(target)
    right, read, there, i, j = 0, False, False, 0, 0
    for kind, _, _ in align(prediction=prediction.replace(" ", ""), target=target.replace(" ", "")):
        if kind != "delete":
            read, j = read or j in gaps_read, j + 1
        if kind != "insert":
            there, i = there or i in gaps_there, i + 1
        if kind in ("equal", "replace"):
            right += read and there
            read = there = False
    return right


def _gaps(text: str) -> set[int]:
    """Before how many letters a space stands, for each space."""
    lengths = list(accumulate(len(word) for word in text.split(" ")))
    return set(lengths[:-1])


def confusions(*, predictions: Sequence[str], targets: Sequence[str]) -> Counter[tuple[str, str]]:
    """How often each (of the target, of the prediction) pair was an error; "" stands for nothing."""
    counts: Counter[tuple[str, str]] = Counter()
    for prediction, target in zip(predictions, targets, strict=True):
        if prediction != target:
            path = align(prediction=prediction, target=target)
            counts.update((of_target, of_prediction) for kind, of_target, of_prediction in path if kind != "equal")
    return counts


def calibration_bins(
    *, confidences: Sequence[float], right: Sequence[bool], bins: int = 15
) -> list[tuple[float, float, int]]:
    """Samples in order of confidence, in bins of equal size: (mean confidence, share that is right, samples) of each.

    Bins of equal size and not of equal width: most confidences are close to 1, and a bin of three says nothing. Samples
    of equal confidence share a bin, however many they are: an order among them would say what confidence does not.
    """
    order = sorted(zip(confidences, right, strict=True), key=lambda pair: pair[0])
    ends = [i for i in range(1, len(order) + 1) if i == len(order) or order[i][0] != order[i - 1][0]]
    wanted = {len(order) * i // bins for i in range(1, bins + 1)} - {0}
    edges = sorted({0, *(ends[bisect_left(ends, edge)] for edge in wanted)})
    groups = [order[low:high] for low, high in pairwise(edges)]
    return [
        (sum(c for c, _ in group) / len(group), sum(r for _, r in group) / len(group), len(group)) for group in groups
    ]


def calibration_error(*, confidences: Sequence[float], right: Sequence[bool], bins: int = 15) -> float:
    """Expected calibration error (Naeini et al. 2015): how far confidence is from the share that is right, on average."""
    found = calibration_bins(confidences=confidences, right=right, bins=bins)
    return sum(abs(confidence - share) * count for confidence, share, count in found) / max(1, len(right))


def risk_coverage(*, confidences: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """(coverage, risk) for every threshold: of the samples read most surely, the share that is wrong.

    Samples of equal confidence are taken in together (Geifman & El-Yaniv 2017).
    """
    order = sorted(zip(confidences, right, strict=True), key=lambda pair: -pair[0])
    points, wrong = [], 0
    for i, (confidence, is_right) in enumerate(order, start=1):
        wrong += not is_right
        if i == len(order) or order[i][0] != confidence:
            points.append((i / len(order), wrong / i))
    return points
