"""likelihood: against the sum and the maximum over every path there is, and against PyTorch's own loss."""

from itertools import groupby, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr import likelihood
from simpleocr.likelihood import NEVER, LogProbs, align, likelihoods, log_likelihood


def random_log_probs(steps: int, classes: int, seed: int, sharpness: float = 2.0) -> LogProbs:
    logits = np.random.default_rng(seed).normal(size=(steps, classes)) * sharpness
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), dtype=np.float32)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(c for c, _ in groupby(path) if c)


def every_text(log_probs: LogProbs) -> dict[tuple[int, ...], float]:
    """P of each text, by going through all C ** T paths."""
    steps, classes = log_probs.shape
    probabilities: dict[tuple[int, ...], float] = {}
    for path in product(range(classes), repeat=steps):
        p = float(np.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path))))
        probabilities[collapse(path)] = probabilities.get(collapse(path), 0.0) + p
    return probabilities


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 10_000))
def test_equals_the_sum_over_all_paths(steps: int, classes: int, seed: int) -> None:
    log_probs = random_log_probs(steps, classes, seed)
    probabilities = every_text(log_probs)
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
    texts = list(probabilities)
    found = likelihoods([log_probs] * len(texts), texts)
    for text, one in zip(texts, found, strict=True):
        assert np.exp(one.log_prob) == pytest.approx(probabilities[text], rel=1e-4, abs=1e-7)
        # each character's share is that of the texts that begin so
        before = 1.0
        for length in range(1, len(text) + 1):
            begins = sum(p for other, p in probabilities.items() if other[:length] == text[:length])
            assert np.exp(one.log_chars[length - 1]) == pytest.approx(begins / before, rel=1e-3)
            before = begins
        assert np.exp(one.log_prob - sum(one.log_chars)) == pytest.approx(probabilities[text] / before, rel=1e-3)


def test_agrees_with_pytorch_on_lines_of_many_lengths() -> None:
    lines = [random_log_probs(steps, 20, steps, 1.0) for steps in (30, 7, 90, 55)]
    texts = [[3, 3, 4, 5], [1], [7] * 20, [2, 9, 9, 9, 2]]
    found = likelihoods(lines, texts)
    for line, text, one in zip(lines, texts, found, strict=True):
        loss = torch.nn.functional.ctc_loss(
            torch.tensor(line)[:, None],
            torch.tensor([text]),
            torch.tensor([len(line)]),
            torch.tensor([len(text)]),
            reduction="none",
        )
        assert one.log_prob == pytest.approx(-float(loss), rel=1e-4)


def test_a_batch_is_the_same_as_one_by_one() -> None:
    lines = [random_log_probs(steps, 9, steps) for steps in (12, 3, 40)]
    texts: list[list[int]] = [[1, 2, 3], [], [4, 4]]
    together = likelihoods(lines, texts)
    for line, text, one in zip(lines, texts, together, strict=True):
        assert likelihoods([line], [text])[0].log_prob == pytest.approx(one.log_prob, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 150), st.lists(st.integers(1, 5), max_size=40)), min_size=1, max_size=5),
    st.sampled_from([-1, 2]),
    st.floats(0.1, 6),
    st.integers(0, 10_000),
)
def test_floats_and_their_logarithms_say_the_same(
    given: list[tuple[int, list[int]]], space: int, sharpness: float, seed: int
) -> None:
    """Sharp lines say nothing like the texts: their masses are too little for floats, and logarithms are taken."""
    lines = [random_log_probs(steps, 6, seed + i, sharpness) for i, (steps, _) in enumerate(given)]
    texts = [text for _, text in given]
    slow = likelihood._logarithmic(lines, texts, space)
    for one, prefixes in zip(likelihoods(lines, texts, space), slow, strict=True):
        expected = likelihood._likelihood(prefixes)
        assert one.log_prob == pytest.approx(expected.log_prob, rel=1e-9, abs=1e-9)
        assert one.log_chars == pytest.approx(expected.log_chars, rel=1e-7, abs=1e-7)
    for fast, exact in zip(likelihood._linear(lines, texts, space), slow, strict=True):
        assert exact[-1] < likelihood.LEAST + 1 or fast == pytest.approx(exact, rel=1e-9, abs=1e-9)


def test_the_empty_text_is_all_blanks() -> None:
    log_probs = random_log_probs(6, 5, 1)
    one = likelihoods([log_probs], [[]])[0]
    assert one.log_prob == pytest.approx(float(log_probs[:, 0].sum()), abs=1e-5)
    assert one.log_chars == ()
    assert likelihoods([], []) == []


def test_what_does_not_fit_is_impossible_not_an_error() -> None:
    assert log_likelihood(random_log_probs(3, 4, 0), [1, 1, 1]) <= NEVER / 2
    assert np.exp(log_likelihood(random_log_probs(2, 4, 0), [1, 2, 3])) == 0


def test_a_long_line_does_not_underflow() -> None:
    log_probs = np.full((4000, 100), np.log(0.01), dtype=np.float32)
    ids = [1, 2] * 500
    value = log_likelihood(log_probs, ids)
    assert -18_500 < value < -10_000
    assert align(log_probs, ids)[0][0] >= 0


@pytest.mark.parametrize("ids", [[0], [5], [-1], [1, 0, 2]])
def test_ids_that_are_no_characters_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="class ids"):
        likelihoods([random_log_probs(9, 5, 0)], [ids])
    with pytest.raises(ValueError, match="lines but"):
        likelihoods([random_log_probs(9, 5, 0)], [])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 10_000))
def test_alignment_is_the_likeliest_path(steps: int, classes: int, seed: int) -> None:
    log_probs = random_log_probs(steps, classes, seed)
    best: dict[tuple[int, ...], tuple[float, tuple[int, ...]]] = {}
    for path in product(range(classes), repeat=steps):
        score = sum(float(log_probs[t, c]) for t, c in enumerate(path))
        text = collapse(path)
        if text not in best or score > best[text][0]:
            best[text] = (score, path)
    for text, (score, _) in best.items():
        spans = align(log_probs, text)
        found = [0] * steps
        for c, (start, end) in zip(text, spans, strict=True):
            found[start:end] = [c] * (end - start)
        assert collapse(tuple(found)) == text
        assert sum(float(log_probs[t, c]) for t, c in enumerate(found)) == pytest.approx(score, abs=1e-4)


def test_alignment_of_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="too few"):
        align(random_log_probs(3, 4, 0), [1, 1, 1])
    assert align(random_log_probs(3, 4, 0), []) == []
