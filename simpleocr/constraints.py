"""Constraints: which texts a decoder may write, as an automaton over class ids: a charset, a lexicon, a pattern."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from simpleocr.likelihood import LogProbs
from simpleocr.trellis import Trellis, trellis
from simpleocr.vocabulary import Vocabulary, normalize

SHOWN = 5  # of a list of faults, so many are named


class ConstraintError(ValueError):
    """A constraint that cannot be kept: it names characters that the model cannot write, or is not understood."""


@dataclass(frozen=True, eq=False)
class Constraint:
    """A deterministic automaton; state 0 is its start. Every state leads to an accepting one.

    Args:
        edges: for each state, class id -> the next state.
        accepting: states in which a text may end.
    """

    edges: tuple[Mapping[int, int], ...]
    accepting: frozenset[int]

    def accepts(self, ids: Sequence[int]) -> bool:
        """Whether the text of these class ids is allowed."""
        state = 0
        for c in ids:
            if (following := self.edges[state].get(c)) is None:
                return False
            state = following
        return state in self.accepting

    @cached_property
    def to_go(self) -> tuple[int, ...]:
        """For each state, the fewest characters with which a text can still end; -1 where none can."""
        before: list[list[int]] = [[] for _ in self.edges]
        for state, edges in enumerate(self.edges):
            for following in edges.values():
                before[following].append(state)
        distance = [-1] * len(self.edges)
        queue = deque(self.accepting)
        for state in self.accepting:
            distance[state] = 0
        while queue:
            state = queue.popleft()
            for previous in before[state]:
                if distance[previous] < 0:
                    distance[previous] = distance[state] + 1
                    queue.append(previous)
        return tuple(distance)

    @cached_property
    def _trellis(self) -> Trellis:
        return trellis(self.edges, self.accepting, self.to_go)

    def log_mass(self, log_probs: LogProbs) -> float:
        """The logarithm of the sum of P(text | image) over all allowed texts; NEVER where none fits."""
        return self._trellis.log_mass(log_probs)

    def beginnings(self, log_probs: LogProbs, ids: Sequence[int]) -> list[float]:
        """The logarithms of the masses of all allowed texts that begin with the first 0, 1, ... characters of one.

        Args:
            log_probs: (T, C).
            ids: class ids of a text that is allowed.

        Returns:
            Numbers that fall: log_mass() first, one for each character, and last that of P(text | image).
        """
        return self._trellis.beginnings(log_probs, ids)


def in_normal_form(constraint: Constraint, space: int) -> Constraint:
    """The same without the texts that normalize() would change: a space is never first, last or doubled.

    Args:
        constraint: any; states from which no text can end are taken out of it, too.
        space: its class id; -1 where there is none.

    Raises:
        ConstraintError: nothing is left, or nothing but the empty text, whatever the picture shows.
    """
    # a state of the result is one of the constraint's and whether a space may follow there: not twice, and (None, the
    # start, where unlike after a space a text may end) not at once
    pairs: dict[tuple[int, bool | None], int] = {(0, None): 0}
    todo = list(pairs)
    edges: list[dict[int, int]] = []
    accepting = {0} if 0 in constraint.accepting else set()
    for state, may_be_spaced in todo:  # grows while it is gone through
        out = {}
        for c, following in constraint.edges[state].items():
            if c == space and not may_be_spaced:
                continue
            pair = (following, c != space)
            if pair not in pairs:
                pairs[pair] = len(pairs)
                todo.append(pair)
                if c != space and following in constraint.accepting:
                    accepting.add(pairs[pair])
            out[c] = pairs[pair]
        edges.append(out)
    whole = Constraint(tuple(edges), frozenset(accepting))
    alive = [number for number, distance in enumerate(whole.to_go) if distance >= 0]
    if 0 not in alive:
        raise ConstraintError("no text is allowed")
    if alive == [0]:  # to which nothing leads back
        raise ConstraintError("no text but the empty one is allowed")
    renumbered = {number: i for i, number in enumerate(alive)}
    kept = tuple({c: renumbered[to] for c, to in edges[number].items() if to in renumbered} for number in alive)
    return Constraint(kept, frozenset(renumbered[number] for number in accepting))


def charset(characters: str, vocabulary: Vocabulary) -> Constraint:
    """Texts of these characters only, of any length.

    Raises:
        ConstraintError: no characters, or some that the vocabulary lacks.
    """
    if not characters:
        raise ConstraintError("a charset without characters")
    if unknown := vocabulary.unknown(characters):
        raise ConstraintError(f"the model cannot write {' '.join(map(repr, unknown[:SHOWN]))}")
    anything = Constraint((dict.fromkeys(sorted(set(vocabulary.encode(characters))), 0),), frozenset({0}))
    return in_normal_form(anything, vocabulary.space)


def lexicon(words: Iterable[str], vocabulary: Vocabulary) -> Constraint:
    """One of these words or phrases, as written: case counts.

    Raises:
        ConstraintError: no words, or one with characters that the vocabulary lacks.
    """
    edges: list[dict[int, int]] = [{}]
    accepting = set()
    for word in words:
        text = normalize(word)
        if vocabulary.unknown(text):
            raise ConstraintError(f"the lexicon's {word[:60]!r} has characters that the model cannot write")
        state = 0
        for c in vocabulary.encode(text):
            if c not in edges[state]:
                edges[state][c] = len(edges)
                edges.append({})
            state = edges[state][c]
        accepting.add(state)
    if not accepting:
        raise ConstraintError("a lexicon without words")
    return in_normal_form(Constraint(tuple(edges), frozenset(accepting)), vocabulary.space)
