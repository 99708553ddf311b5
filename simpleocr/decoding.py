"""Decoding: log-probabilities over timesteps -> text, with the span, score and runner-up of every character."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simpleocr.vocabulary import BLANK, Vocabulary

LogProbs = npt.NDArray[np.float32]
"""Shape (T, C): natural logarithms of each class's probability in each timestep."""


@dataclass(frozen=True)
class Span:
    """One character and where it was seen.

    Args:
        char: the character.
        start, end: timesteps, end exclusive.
        score: its highest probability within the span.
        runner_up: the next likely character in the timestep where it is highest; "" for the blank.
        runner_up_score: that one's probability there.
    """

    char: str
    start: int
    end: int
    score: float
    runner_up: str
    runner_up_score: float


@dataclass(frozen=True)
class Decoded:
    """What a line says.

    Args:
        spans: one a character, in order of reading; never a space first, last or twice, as normalize() has it.
    """

    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The characters in a row."""
        return "".join(span.char for span in self.spans)


Decoder = Callable[[LogProbs, Vocabulary], Decoded]


def greedy(log_probs: LogProbs, vocabulary: Vocabulary) -> Decoded:
    """The likeliest class of each timestep, repeats merged, blanks dropped (Graves et al. 2006, best path).

    Args:
        log_probs: (T, C) with C = vocabulary.num_classes.
        vocabulary: what the classes mean.

    Raises:
        ValueError: the shape does not fit the vocabulary.
    """
    if log_probs.ndim != 2 or log_probs.shape[1] != vocabulary.num_classes:
        raise ValueError(f"log_probs have shape {log_probs.shape}, not (T, {vocabulary.num_classes})")
    if not len(log_probs):
        return Decoded(())
    best = log_probs.argmax(axis=1)
    edges = np.flatnonzero(np.diff(best)) + 1
    spans: list[Span] = []
    for start, end in zip([0, *edges], [*edges, len(best)], strict=True):
        if best[start] != BLANK:
            spans.append(_span(log_probs, vocabulary, int(best[start]), int(start), int(end)))
    return Decoded(tuple(_single_spaces(spans)))


def _span(log_probs: LogProbs, vocabulary: Vocabulary, class_id: int, start: int, end: int) -> Span:
    peak = start + int(log_probs[start:end, class_id].argmax())
    others = log_probs[peak].copy()
    others[class_id] = -np.inf
    second = int(others.argmax())
    return Span(
        char=vocabulary.character(class_id),
        start=start,
        end=end,
        score=float(np.exp(log_probs[peak, class_id])),
        runner_up="" if second == BLANK else vocabulary.character(second),
        runner_up_score=float(np.exp(log_probs[peak, second])),
    )


def _single_spaces(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in spans:
        if span.char != " " or (kept and kept[-1].char != " "):
            kept.append(span)
    if kept and kept[-1].char == " ":
        kept.pop()
    return kept


DECODERS: dict[str, Decoder] = {"greedy": greedy}
"""The named decoders; to add one is one function and one entry."""
