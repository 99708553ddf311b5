"""Prefix beam search: the likeliest texts of a line, summed over alignments, held to a constraint or helped by a language.

Hannun et al. 2014 (arXiv 1408.2873). Prefixes that a beam keeps are nodes of a tree, so that two ways to one text meet.
"""

import heapq
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from simpleocr.constraints import Constraint
from simpleocr.likelihood import NEVER, LogProbs
from simpleocr.vocabulary import BLANK, Vocabulary

WIDTH = 10  # prefixes that are kept at a time
CUTOFF = 1e-4  # a character less likely than this in a timestep does not extend a prefix there, unless it must
MOST_EXTENSIONS = 12  # characters that extend a prefix in one timestep


class NextCharacter(Protocol):
    """What knows how likely a character comes next, as language.Language does."""

    def log_next(self, text: tuple[int, ...], following: int) -> float:
        """The logarithm of P(class id | class ids before it); `following` BLANK asks for the end of the text."""
        ...


@dataclass(frozen=True)
class Hypothesis:
    """One text that a line may say.

    Args:
        ids: class ids of its characters.
        log_prob: logarithm of P(text | image), as far as its alignments stayed within the beam.
        log_score: that, and the weighted language; what hypotheses are ordered by.
    """

    ids: tuple[int, ...]
    log_prob: float
    log_score: float


class _Prefix:
    """A text so far. `blank` and `char` are the mass of its alignments that end with a blank or its last character."""

    __slots__ = ("blank", "char", "children", "ids", "language", "last", "new_blank", "new_char", "state", "step")

    def __init__(self, ids: tuple[int, ...], state: int, language: float) -> None:
        self.ids = ids
        self.last = ids[-1] if ids else -1
        self.state = state
        self.language = language  # logarithm of what makes it likelier: the language and the bonus
        self.children: dict[int, _Prefix | None] = {}
        self.blank = self.char = self.new_blank = self.new_char = 0.0
        self.step = -1  # the timestep for which new_blank and new_char hold


def beam_search(
    log_probs: LogProbs,
    vocabulary: Vocabulary,
    *,
    width: int = WIDTH,
    count: int = 1,
    constraint: Constraint | None = None,
    language: NextCharacter | None = None,
    weight: float = 0.0,
    bonus: float = 0.0,
    cutoff: float = CUTOFF,
) -> list[Hypothesis]:
    """The likeliest texts, best first.

    Texts are in the form of normalize(): a space is never first, last or doubled. Without a constraint, spaces there
    are read as none, as in likelihood.likelihoods(); with one, they are what it does not allow.

    Args:
        log_probs: (T, C) with C = vocabulary.num_classes.
        vocabulary: what the classes mean.
        width: prefixes kept at a time; with a width of all prefixes and no cutoff the result is exact.
        count: how many texts at most.
        constraint: only texts that it accepts.
        language: is asked for every character.
        weight: of its logarithms.
        bonus: added to the score for every character, for a language makes long texts unlikely.
        cutoff: characters less likely than this do not extend a prefix; 0 tries all.

    Returns:
        None at all where no allowed text fits into the timesteps.

    Raises:
        ValueError: the shape does not fit the vocabulary, or a width or count below one.
    """
    if log_probs.ndim != 2 or log_probs.shape[1] != vocabulary.num_classes:
        raise ValueError(f"log_probs have shape {log_probs.shape}, not (T, {vocabulary.num_classes})")
    if width < 1 or count < 1:
        raise ValueError(f"width {width} and count {count} must be at least 1")
    width = max(width, count)
    space = vocabulary.space
    folds = space >= 0 and constraint is None
    most = MOST_EXTENSIONS if cutoff > 0 else vocabulary.num_classes
    follow = _follower(space, constraint, language, weight, bonus)
    probs = np.exp(log_probs.astype(np.float64))
    order = np.argsort(-probs, axis=1, kind="stable")
    beam = [_Prefix((), 0, 0.0)]
    beam[0].blank, scale = 1.0, 0.0
    for t in range(len(probs)):
        row = probs[t].tolist()
        likely = [c for c in order[t, : most + 1].tolist() if c != BLANK and row[c] > cutoff]
        left = len(probs) - t - 1
        new: list[_Prefix] = []
        for prefix in beam:
            blank, char = prefix.blank, prefix.char
            _touch(prefix, t, new)
            # before the first character and after a space, further spaces change nothing; a constraint is to the letter
            pausing = folds and prefix.last in (space, -1)
            prefix.new_blank += (blank + char) * (row[BLANK] + row[space] if pausing else row[BLANK])
            if char and not pausing:
                prefix.new_char += char * row[prefix.last]
        if constraint is None:
            extensions, least = None, 0.0
        else:
            extensions = _Extensions(constraint, row, likely, order[t].tolist(), left)
            least = _least(new, width, constraint, left) if language is None and not bonus else 0.0
        for prefix in beam:
            blank, char = prefix.blank, prefix.char
            for c in likely if extensions is None else extensions.of(prefix.state):
                # after the same character only what went through a blank is a new one
                mass = (blank if c == prefix.last else blank + char) * row[c]
                if mass < least and ((known := prefix.children.get(c)) is None or known.step != t):
                    continue
                if mass and (child := follow(prefix, c)):
                    _touch(child, t, new)
                    child.new_char += mass
        if constraint is not None:
            new = [p for p in new if constraint.to_go[p.state] <= left]
        if not new:
            return []
        for p in new:
            p.blank, p.char = p.new_blank, p.new_char
        beam = heapq.nlargest(width, new, key=_rank if language is None and not bonus else _rank_with_language)
        if (best := max(p.blank + p.char for p in beam)) <= 0:
            return []
        if best < 1e-100:  # far below one: bring it back before it is nothing
            scale += math.log(best)
            for p in beam:
                p.blank, p.char = p.blank / best, p.char / best
    masses: dict[tuple[int, ...], float] = {}
    languages: dict[tuple[int, ...], float] = {}
    for p in beam:
        if constraint is not None and p.state not in constraint.accepting:
            continue
        ids = p.ids[:-1] if folds and p.last == space else p.ids  # a space at the end is none
        masses[ids] = masses.get(ids, 0.0) + p.blank + p.char
        if ids is p.ids or ids not in languages:
            languages[ids] = p.language
    found = []
    for ids, mass in masses.items():
        if mass:
            log_prob = math.log(mass) + scale
            end = weight * language.log_next(ids, BLANK) if language is not None else 0.0
            found.append(Hypothesis(ids, log_prob, log_prob + languages[ids] + end))
    return sorted(found, key=lambda h: -h.log_score)[:count]


def _rank(prefix: _Prefix) -> float:
    return prefix.blank + prefix.char


def _rank_with_language(prefix: _Prefix) -> float:
    mass = prefix.blank + prefix.char
    return math.log(mass) + prefix.language if mass > 0 else NEVER


def _touch(prefix: _Prefix, t: int, new: list[_Prefix]) -> None:
    """Once in a timestep, set a prefix's new mass to nothing and put it on the list."""
    if prefix.step != t:
        prefix.step = t
        prefix.new_blank = prefix.new_char = 0.0
        new.append(prefix)


def _follower(
    space: int, constraint: Constraint | None, language: NextCharacter | None, weight: float, bonus: float
) -> Callable[[_Prefix, int], _Prefix | None]:
    """What gives a prefix's child for a character; None where there may be none."""

    def follow(prefix: _Prefix, c: int) -> _Prefix | None:
        if c in prefix.children:
            return prefix.children[c]
        child = None
        state = constraint.edges[prefix.state].get(c, -1) if constraint is not None else 0
        if state >= 0 and not (c == space and prefix.last in (space, -1)):
            log_factor = bonus + (weight * language.log_next(prefix.ids, c) if language is not None else 0.0)
            child = _Prefix((*prefix.ids, c), state, prefix.language + log_factor)
        prefix.children[c] = child
        return child

    return follow


def _least(new: Sequence[_Prefix], width: int, constraint: Constraint, left: int) -> float:
    """The mass below which a prefix that is not in the beam will not come into it: so many that are, have more.

    All that comes to such a prefix in a timestep comes from the one that it extends.
    """
    masses = [p.new_blank + p.new_char for p in new if constraint.to_go[p.state] <= left]
    return min(masses) if len(masses) >= width else 0.0


class _Extensions:
    """The characters by which prefixes are extended in one timestep: those of a state are the same for all prefixes.

    Args:
        constraint: what lets them follow.
        row: probability of each class.
        likely: the classes that are likely enough to be taken anyway, likeliest first.
        order: all classes, likeliest first.
        left: timesteps after this one.
    """

    def __init__(
        self, constraint: Constraint, row: Sequence[float], likely: Sequence[int], order: Sequence[int], left: int
    ) -> None:
        self.constraint, self.row, self.likely, self.order, self.left = constraint, row, likely, order, left
        self.found: dict[int, Collection[int]] = {}

    def of(self, state: int) -> Collection[int]:
        """The likeliest that the constraint lets follow, and the likeliest of those that lead to an end in time."""
        edges = self.constraint.edges[state]
        if len(edges) <= MOST_EXTENSIONS:
            return edges
        if state not in self.found:
            self.found[state] = self._of_many(state)
        return self.found[state]

    def _of_many(self, state: int) -> list[int]:
        edges = self.constraint.edges[state]
        best = [c for c in self.likely if c in edges]
        if len(best) < MOST_EXTENSIONS:
            less_likely = (c for c in self.order if c in edges and c not in best)
            best += islice(less_likely, MOST_EXTENSIONS - len(best))
        to_go = self.constraint.to_go
        if to_go[state] >= self.left:  # hardly any timestep to spare: the way out must be among them
            out = [c for c, following in edges.items() if to_go[following] < to_go[state]]
            if out:
                best = list(dict.fromkeys([*best, max(out, key=self.row.__getitem__)]))
        return best
