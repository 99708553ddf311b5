"""Decoding: log-probabilities over timesteps -> text, with the span and the runner-up of every character."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from simpleocr.beam import NextCharacter, beam_search
from simpleocr.constraints import Constraint
from simpleocr.likelihood import NEVER, Likelihood, LogProbs, align
from simpleocr.vocabulary import BLANK, Vocabulary

EMPTY = np.log(0.5)  # logarithm of the probability of no text, above which a constraint does not make one


@dataclass(frozen=True)
class Span:
    """One character and where it was seen.

    Args:
        char: the character.
        start, end: timesteps, end exclusive.
        runner_up: the next likely character in the timestep where it is highest; "" for the blank.
        runner_up_score: that one's probability there.
    """

    char: str
    start: int
    end: int
    runner_up: str
    runner_up_score: float


@dataclass(frozen=True)
class Decoded:
    """What a line says.

    Args:
        spans: one a character, in order of reading; never a space first, last or twice, as normalize() has it.
        log_mass: the logarithm of the probability of everything that might have been written; below 0 under a
            constraint, and NEVER where nothing that it allows fits into the line.
        log_prior: what a language added to the logarithm of the text's probability before it was compared with others.
        allowed: under a constraint, how likely the line says this text if it says one that is allowed; None where there is
            none, or where that is not known of this text.
    """

    spans: tuple[Span, ...]
    log_mass: float = 0.0
    log_prior: float = 0.0
    allowed: Likelihood | None = None

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
    edges = (np.flatnonzero(np.diff(best)) + 1).tolist()
    spans = [
        _span(log_probs, vocabulary, int(best[start]), start, end)
        for start, end in zip([0, *edges], [*edges, len(best)], strict=True)
        if best[start] != BLANK
    ]
    return Decoded(tuple(_single_spaces(spans)))


def beam(
    log_probs: LogProbs,
    vocabulary: Vocabulary,
    *,
    constraint: Constraint | None = None,
    language: NextCharacter | None = None,
    weight: float = 0.0,
) -> Decoded:
    """The likeliest text, summed over its alignments, by prefix beam search; see beam.beam_search().

    Under a constraint, what most likely says nothing is not made to say what is allowed.

    Raises:
        ValueError: the shape does not fit the vocabulary.
    """
    if constraint is not None and not constraint.accepts(()) and says_nothing(log_probs):
        return Decoded((), NEVER)
    # as much for every character as the language counts, or it would rather read fewer
    found = beam_search(log_probs, vocabulary, constraint=constraint, language=language, weight=weight, bonus=weight)
    if not found:
        return Decoded((), NEVER)
    best = found[0]
    decoded = replace(aligned(log_probs, vocabulary, best.ids), log_prior=best.log_score - best.log_prob)
    if constraint is None:
        return decoded
    masses = constraint.beginnings(log_probs, best.ids)
    allowed = Likelihood(masses[-1] - masses[0], tuple(after - before for before, after in pairwise(masses[:-1])))
    return replace(decoded, log_mass=masses[0], allowed=allowed)


def says_nothing(log_probs: LogProbs) -> bool:
    """Whether a line most likely has no text."""
    return bool(log_probs[:, BLANK].sum() > EMPTY)


def constrained(
    constraint: Constraint | None = None, *, language: NextCharacter | None = None, weight: float = 0.0
) -> Decoder:
    """A decoder that is held to a constraint, or asks a language."""
    return partial(beam, constraint=constraint, language=language, weight=weight)


def aligned(log_probs: LogProbs, vocabulary: Vocabulary, ids: Sequence[int], log_mass: float = 0.0) -> Decoded:
    """A text, wherever it came from, where it is likeliest to stand in the line."""
    places = align(log_probs, ids)
    return Decoded(
        tuple(_span(log_probs, vocabulary, c, start, end) for c, (start, end) in zip(ids, places, strict=True)),
        log_mass,
    )


def _span(log_probs: LogProbs, vocabulary: Vocabulary, class_id: int, start: int, end: int) -> Span:
    peak = start + int(log_probs[start:end, class_id].argmax())
    others = log_probs[peak].copy()
    others[class_id] = -np.inf
    second = int(others.argmax())
    return Span(
        char=vocabulary.character(class_id),
        start=start,
        end=end,
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


DECODERS: dict[str, Decoder] = {"greedy": greedy, "beam": beam}
"""The named decoders; to add one is one function and one entry."""
