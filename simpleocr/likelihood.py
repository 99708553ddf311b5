"""Likelihood: P(text | image), summed over every alignment, and the one alignment that explains a given text best.

Connectionist temporal classification (Graves et al. 2006): a text of n characters is a chain of 2n + 1 states, blank,
character, blank, ..., blank; every way from its start to its end in T timesteps is an alignment.

Shapes: B texts, T timesteps, C classes, N characters of the longest text, S = 2N + 1 states.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from simpleocr.vocabulary import BLANK

LogProbs = npt.NDArray[np.float32]
"""Shape (T, C): natural logarithms of each class's probability in each timestep."""
Floats = npt.NDArray[np.float64]

BLOCK = 64  # timesteps whose emissions are gathered at a time: bounds memory on long lines
LEAST = -600.0  # logarithm of a text's probability down to which floats hold all that matters to it
NEVER = -1e30  # the logarithm of nothing; finite, so that a difference of two is a number


@dataclass(frozen=True)
class Likelihood:
    """How likely a line says one text.

    Args:
        log_prob: logarithm of P(text | image); NEVER where the timesteps are too few for it.
        log_chars: for each character, the logarithm of P(this one comes next | those before it are right); what
            they lack of `log_prob` is that of P(nothing follows | all characters are right).
    """

    log_prob: float
    log_chars: tuple[float, ...]


def likelihoods(lines: Sequence[LogProbs], texts: Sequence[Sequence[int]], space: int = -1) -> list[Likelihood]:
    """The likelihood of one text for each line, all in one pass.

    Args:
        lines: log_probs (T_i, C).
        texts: class ids of each text, without blanks.
        space: class id of the space, if there is one. Then a text's likelihood is that of all that normalize() makes
            it of: alignments with spaces before it, after it or several between two words are counted, too.

    Raises:
        ValueError: not one text for each line, or an id that is blank or no class.
    """
    if len(lines) != len(texts):
        raise ValueError(f"{len(lines)} lines but {len(texts)} texts")
    if not lines:
        return []
    classes = lines[0].shape[1]
    if any(not BLANK < c < classes for ids in texts for c in ids):
        raise ValueError(f"class ids of characters are 1..{classes - 1}")
    found = _linear(lines, texts, space)
    far_off = [i for i, prefixes in enumerate(found) if prefixes[-1] < LEAST]
    again = _logarithmic([lines[i] for i in far_off], [texts[i] for i in far_off], space) if far_off else []
    for i, prefixes in zip(far_off, again, strict=True):
        found[i] = prefixes
    return [_likelihood(prefixes) for prefixes in found]


def _likelihood(prefixes: Sequence[float]) -> Likelihood:
    """From the logarithms of the mass of all texts that begin with the first 1, 2, ... characters, and of the text."""
    falling = np.minimum.accumulate([0.0, *prefixes]).tolist()
    return Likelihood(falling[-1], tuple(after - before for before, after in pairwise(falling[:-1])))


@dataclass(frozen=True)
class _Chains:
    """The states of texts.

    Args:
        states: (B, S) class of each.
        near, far: (B, S) whether it can be come to from the one before it, from the one before that.
        gap, end: (B, S) whether it is a gap between words or an end of the line; whether it is the end.
        lengths: (B,) characters.
    """

    states: npt.NDArray[np.int64]
    near: npt.NDArray[np.bool_]
    far: npt.NDArray[np.bool_]
    gap: npt.NDArray[np.bool_]
    end: npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]], space: int) -> "_Chains":
        lengths = np.array([len(ids) for ids in texts])
        states, far = _chains(texts, int(lengths.max()), space)
        # a gap between words begins with a space, and then holds blanks and spaces as they come; so do the ends of the
        # line; and so the blank after a space is part of the gap already
        gap = states == space
        near = np.ones(states.shape, dtype=np.bool_)
        near[:, 2::2] = ~gap[:, 1:-1:2]
        gap[:, 0] = True
        end = np.zeros(states.shape, dtype=np.bool_)
        end[np.arange(len(texts)), 2 * lengths] = space >= 0
        return cls(states, near, far, gap, end, lengths)

    def totals(self, last: Floats, add: Callable[[Floats, Floats], Floats]) -> Floats:
        """(B, S) mass in each state at last -> (B,) of the texts: all that ends with the last character or a blank."""
        rows = np.arange(len(last))
        ends = last[rows, 2 * self.lengths]
        return np.where(self.lengths > 0, add(ends, last[rows, np.maximum(0, 2 * self.lengths - 1)]), ends)


def _linear(lines: Sequence[LogProbs], texts: Sequence[Sequence[int]], space: int) -> list[list[float]]:
    """For each text the logarithms of the mass that comes to each character, and ends the text.

    Right where the text's is more than LEAST: what is too little to be a float could not have grown to that any more.
    """
    chains = _Chains.of(texts, space)
    states = chains.states
    near, far = chains.near[:, 1:].astype(np.float64), chains.far[:, 2:].astype(np.float64)
    alpha = np.zeros(states.shape)
    alpha[:, 0] = 1.0  # before the first timestep, all mass stands before the first blank
    entered = np.zeros((len(lines), (states.shape[1] - 1) // 2))
    came, past_blanks = np.empty_like(near), np.empty_like(far)
    for start in range(0, max(len(line) for line in lines), BLOCK):
        emissions, pauses = _emissions(lines, states, start, space)
        entering = np.exp(np.where(chains.end, pauses, emissions))
        staying = np.where(chains.gap, np.exp(pauses), entering)
        for i, line in enumerate(lines):  # which ends here; all stay where they are
            entering[max(0, len(line) - start) :, i], staying[max(0, len(line) - start) :, i] = 0.0, 1.0
        for enter, stay in zip(entering[:, :, 1:], staying, strict=True):
            np.multiply(alpha[:, :-1], near, out=came)
            np.multiply(alpha[:, :-2], far, out=past_blanks)
            came[:, 1:] += past_blanks
            came *= enter
            alpha *= stay
            alpha[:, 1:] += came
            entered += came[:, ::2]
    with np.errstate(divide="ignore"):
        masses = np.log(entered), np.log(chains.totals(alpha, np.add))
    return _prefixes(chains, *masses)


def _logarithmic(lines: Sequence[LogProbs], texts: Sequence[Sequence[int]], space: int) -> list[list[float]]:
    """As _linear(), however little the masses are; takes two to four times as long."""
    chains = _Chains.of(texts, space)
    states = chains.states
    steps = np.array([len(line) for line in lines])
    near, far = np.where(chains.near[:, 1:], 0.0, NEVER), np.where(chains.far[:, 2:], 0.0, NEVER)
    came = np.full(states.shape, NEVER)
    alpha = np.full(states.shape, NEVER)
    alpha[:, 0] = 0.0
    entered = np.full((len(lines), (states.shape[1] - 1) // 2), NEVER)
    for t in range(int(steps.max())):
        if t % BLOCK == 0:
            emissions, pauses = _emissions(lines, states, t, space)
            entering = np.where(chains.end, pauses, emissions)
            staying = np.where(chains.gap, pauses, entering)
        came[:, 1:] = alpha[:, :-1] + near
        came[:, 2:] = _added(came[:, 2:], alpha[:, :-2] + far)
        came[:, 1:] = np.maximum(came[:, 1:] + entering[t % BLOCK, :, 1:], NEVER)
        new = np.maximum(_added(alpha + staying[t % BLOCK], came), NEVER)
        alive = (t < steps)[:, None]
        came = np.where(alive, came, NEVER)
        alpha = np.where(alive, new, alpha)
        entered = _added(entered, came[:, 1::2])
    return _prefixes(chains, entered, chains.totals(alpha, _added))


def _prefixes(chains: _Chains, entered: Floats, totals: Floats) -> list[list[float]]:
    """(B, N) and (B,) logarithms of masses -> of each text those of its characters and its own."""
    return [
        [*characters[:length], total]
        for characters, length, total in zip(entered.tolist(), chains.lengths.tolist(), totals.tolist(), strict=True)
    ]


def _emissions(
    lines: Sequence[LogProbs], states: npt.NDArray[np.int64], start: int, space: int
) -> tuple[Floats, Floats]:
    """From timestep `start` on, BLOCK of them: (BLOCK, B, S) what each state emits, (BLOCK, B, 1) what a gap emits."""
    emissions = np.zeros((BLOCK, *states.shape))
    pauses = np.zeros((BLOCK, len(lines), 1))
    for i, line in enumerate(lines):
        rows = line[start : start + BLOCK]
        emissions[: len(rows), i] = rows[:, states[i]]
        pauses[: len(rows), i, 0] = _added(rows[:, BLANK], rows[:, space]) if space >= 0 else rows[:, BLANK]
    return emissions, pauses


def _added(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Floats:
    """log(exp(a) + exp(b)); np.logaddexp, which goes number by number, takes four times as long."""
    gap = np.asarray(a - b, dtype=np.float64)
    np.abs(gap, out=gap)
    np.negative(gap, out=gap)
    np.exp(gap, out=gap)
    np.log1p(gap, out=gap)
    gap += np.maximum(a, b)
    return gap


def log_likelihood(log_probs: LogProbs, ids: Sequence[int], space: int = -1) -> float:
    """The logarithm of P(text | image) of one line; NEVER where it has too few timesteps."""
    return likelihoods([log_probs], [ids], space)[0].log_prob


def arrivals(log_probs: LogProbs, ids: Sequence[int]) -> tuple[Floats, float]:
    """The logarithms of (T, N) the mass that comes to each character in each timestep, and of P(text | image).

    Args:
        log_probs: (T, C).
        ids: class ids of the text; a space is meant to the letter.
    """
    states, skips = (table[0] for table in _chains([ids], len(ids)))
    far = np.where(skips[2:], 0.0, -np.inf)
    emissions = log_probs.astype(np.float64)[:, states]
    found = np.zeros((len(log_probs), len(ids)))
    alpha, came = np.full(len(states), -np.inf), np.full(len(states), -np.inf)
    alpha[0] = 0.0
    for t, emission in enumerate(emissions):
        came[1:] = alpha[:-1]
        came[2:] = np.logaddexp(came[2:], alpha[:-2] + far)
        came += emission
        alpha = np.logaddexp(alpha + emission, came)
        found[t] = came[1::2]
    return found, float(np.logaddexp.reduce(alpha[-2:]))


def align(log_probs: LogProbs, ids: Sequence[int]) -> list[tuple[int, int]]:
    """The likeliest alignment of a text (Viterbi): the timesteps (start, end) of each character, end exclusive.

    Args:
        log_probs: (T, C).
        ids: class ids of the text.

    Raises:
        ValueError: the line has fewer timesteps than the text needs.
    """
    needed = len(ids) + sum(a == b for a, b in pairwise(ids))
    if len(log_probs) < needed:
        raise ValueError(f"{len(log_probs)} timesteps are too few for {len(ids)} characters that need {needed}")
    if not ids:
        return []
    states, skips = (table[0] for table in _chains([ids], len(ids)))
    best = np.full(len(states), NEVER)
    best[:2] = log_probs[0, states[:2]]
    back = np.zeros((len(log_probs), len(states)), dtype=np.int8)  # how many states each was before
    for t in range(1, len(log_probs)):
        ways = np.full((3, len(states)), NEVER)
        ways[0], ways[1, 1:] = best, best[:-1]
        ways[2, 2:] = np.where(skips[2:], best[:-2], NEVER)
        back[t] = ways.argmax(axis=0)
        best = np.maximum(ways.max(axis=0) + log_probs[t, states], NEVER)
    state = len(states) - 1 if best[-1] > best[-2] else len(states) - 2
    starts, ends = [0] * len(ids), [0] * len(ids)
    for t in range(len(log_probs) - 1, -1, -1):
        if state % 2:
            starts[state // 2] = t
            ends[state // 2] = ends[state // 2] or t + 1
        state -= int(back[t, state])
    return list(zip(starts, ends, strict=True))


def _chains(
    texts: Sequence[Sequence[int]], longest: int, space: int = -1
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(B, S) class of each state, and whether it can be come to past the blank before it: not after its own like."""
    states = np.full((len(texts), 2 * longest + 1), BLANK, dtype=np.int64)
    for row, ids in zip(states, texts, strict=True):
        row[1 : 2 * len(ids) : 2] = ids
    skips = np.zeros(states.shape, dtype=np.bool_)
    skips[:, 3::2] = (states[:, 3::2] != states[:, 1:-2:2]) & (states[:, 3::2] != BLANK)
    if space >= 0:  # a text that ends with a space has its last gap for its end
        skips[:, 2::2] = False
    return states, skips
