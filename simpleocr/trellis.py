"""Trellis: how much of a line's probability falls to the texts of an automaton, and to those that begin as one text does.

An alignment (Graves et al. 2006) stands in each timestep in a state, on a blank or on the character by which it came
there. What the rest of a line makes of a place is summed backwards (Network); in the tree of a large lexicon most places
are never come to, and what is come to is summed forwards (Tree).

Shapes: T timesteps, C classes.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simpleocr.likelihood import NEVER, Floats, LogProbs, arrivals, log_likelihood
from simpleocr.vocabulary import BLANK

Ints = npt.NDArray[np.int64]
Edges = Sequence[Mapping[int, int]]
"""For each state, class id -> the next state; 0 is the start."""

LARGE = 2_000  # edges from which on it pays to carry only the states that matter
PRECISION = 1e-9  # share of the mass of all texts that a Tree may lose
FIRST_LEAST = 1e-13  # a Tree first carries what has this share of the likeliest place, and less if that was not enough
LAST_LEAST = 1e-20  # below this share, most of its places would matter
MOST_ACTIVE = 1 / 16  # share of its places from which on it is faster to carry all
RESCALED = 1e-100  # masses below are brought back to one before they are nothing


@dataclass(frozen=True, eq=False)
class Network:
    """Any automaton as arrays. A node is a state together with the character by which it was come to.

    Args:
        edges: the same as mappings.
        nodes: (state, class) -> number of the node.
        accepting: of each state, 1.0 where a text may end.
        node_state, node_class: of each node.
        edge_from, edge_class: of each edge, its state and character.
        edge_node: the node it leads to.
        node_same: the edge by which a node's state is left with the node's own character; the number of edges if none.
        state_depth, node_depth: the fewest characters with which each is come to.
    """

    edges: Edges
    nodes: Mapping[tuple[int, int], int]
    accepting: Floats
    node_state: Ints
    node_class: Ints
    edge_from: Ints
    edge_class: Ints
    edge_node: Ints
    node_same: Ints
    state_depth: Ints
    node_depth: Ints

    @classmethod
    def of(cls, edges: Edges, accepting: Iterable[int]) -> "Network":
        """Of an automaton's edges and the states in which a text may end."""
        listed = [(state, c, following) for state, out in enumerate(edges) for c, following in out.items()]
        nodes: dict[tuple[int, int], int] = {}
        for _, c, following in listed:
            nodes.setdefault((following, c), len(nodes))
        left_by = {(state, c): number for number, (state, c, _) in enumerate(listed)}
        depth = _depths(edges)
        node_depth = np.full(len(nodes), len(edges) + 1)
        edge_node = np.array([nodes[following, c] for _, c, following in listed], dtype=np.int64)
        edge_from = np.array([state for state, _, _ in listed], dtype=np.int64)
        np.minimum.at(node_depth, edge_node, depth[edge_from] + 1)
        ends = np.zeros(len(edges))
        ends[list(accepting)] = 1.0
        return cls(
            edges,
            nodes,
            ends,
            np.array([state for state, _ in nodes], dtype=np.int64),
            np.array([c for _, c in nodes], dtype=np.int64),
            edge_from,
            np.array([c for _, c, _ in listed], dtype=np.int64),
            edge_node,
            np.array([left_by.get(node, len(listed)) for node in nodes], dtype=np.int64),
            depth,
            node_depth,
        )

    def log_mass(self, log_probs: LogProbs) -> float:
        """The logarithm of the mass of all texts; NEVER where none fits."""
        return max(NEVER, self._rest(log_probs, np.zeros(0, dtype=np.int64))[0])

    def beginnings(self, log_probs: LogProbs, ids: Sequence[int]) -> list[float]:
        """As Constraint.beginnings(): what comes to each character of the text, times what the rest makes of it."""
        states = _path(self.edges, ids)
        places = np.array([self.nodes[state, c] for state, c in zip(states[1:], ids, strict=True)], dtype=np.int64)
        whole, rest = self._rest(log_probs, places)
        came, log_prob = arrivals(log_probs, ids)
        with np.errstate(divide="ignore"):
            each = np.logaddexp.reduce(came + rest, axis=0).tolist()
        return _falling([whole, *each, log_prob])

    def _rest(self, log_probs: LogProbs, places: Ints) -> tuple[float, Floats]:
        """The logarithms of the mass of all texts, and (T, places) of what the timesteps after each allow from a node."""
        probs = np.exp(log_probs.astype(np.float64))
        steps = len(probs)
        found = np.zeros((steps, len(places)))
        scales = np.zeros((steps, 1))
        blank, char, scale = self.accepting, self.accepting[self.node_state], 0.0
        onward = np.zeros(len(self.edge_from) + 1)  # the last: of no edge
        deepest = int(self.node_depth.max(initial=0))
        for t in range(steps - 1, -1, -1):
            found[t], scales[t] = char[places], scale
            row = probs[t]
            np.multiply(char[self.edge_node], row[self.edge_class], out=onward[:-1])
            blank = blank * row[BLANK] + np.bincount(self.edge_from, onward[:-1], len(blank))
            # from a character all goes on but its own like, which would be merged: it stays where it is
            char = char * row[self.node_class] + np.maximum(0.0, blank[self.node_state] - onward[self.node_same])
            if t < deepest:  # what cannot have been come to so early must not set the scale
                blank, char = blank * (self.state_depth <= t), char * (self.node_depth <= t)
            total = float(blank.sum() + char.sum())
            if 0 < total < RESCALED:
                blank, char, scale = blank / total, char / total, scale + float(np.log(total))
        with np.errstate(divide="ignore"):
            return float(np.log(blank[0])) + scale, np.log(found) + scales


@dataclass(frozen=True, eq=False)
class Tree:
    """An automaton in which one way leads to each state, as that of a lexicon, as arrays.

    Args:
        edges: the same as mappings.
        accepting: of each state, whether a text may end.
        to_go: of each state, the fewest characters with which a text can end.
        parent: of each state, the one before it; of the start, itself.
        state_class: of each state, the character by which it is come to; of the start, the blank.
        differs: of each state, 0.0 where that is its parent's, too.
        children: all states but the start, in order of their parents.
        first, count: of each state, where its children begin there, and how many there are.
        classes: the characters of all.
    """

    edges: Edges
    accepting: npt.NDArray[np.bool_]
    to_go: Ints
    parent: Ints
    state_class: Ints
    differs: Floats
    children: Ints
    first: Ints
    count: Ints
    classes: Ints

    @classmethod
    def of(cls, edges: Edges, accepting: Iterable[int], to_go: Sequence[int]) -> "Tree":
        """Of an automaton's edges, the states in which a text may end, and the fewest characters from each to one."""
        parent, state_class = np.zeros(len(edges), dtype=np.int64), np.zeros(len(edges), dtype=np.int64)
        children = np.array([following for out in edges for following in out.values()], dtype=np.int64)
        count = np.array([len(out) for out in edges], dtype=np.int64)
        parent[children] = np.repeat(np.arange(len(edges)), count)
        state_class[children] = [c for out in edges for c in out]
        ends = np.zeros(len(edges), dtype=np.bool_)
        ends[list(accepting)] = True
        differs = (state_class != state_class[parent]).astype(np.float64)
        first = np.cumsum(count) - count
        return cls(
            edges, ends, np.array(to_go), parent, state_class, differs, children, first, count, np.unique(state_class)
        )

    def log_mass(self, log_probs: LogProbs) -> float:
        """The logarithm of the mass of all texts; NEVER where none fits."""
        states, mass, scale = self.state_mass(log_probs)
        total = float(mass[self.accepting[states]].sum())
        return float(np.log(total)) + scale if total > 0 else NEVER

    def beginnings(self, log_probs: LogProbs, ids: Sequence[int]) -> list[float]:
        """As Constraint.beginnings(): the mass of the words below each state of the text's way."""
        states, mass, scale = self.state_mass(log_probs)
        ends = self.accepting[states]
        at, mass = states[ends], mass[ends]
        number = np.full(len(self.parent), -1)
        way = _path(self.edges, ids)
        number[way] = np.arange(len(way))
        while (aside := number[at] < 0).any():
            at = np.where(aside, self.parent[at], at)
        left_there = np.bincount(number[at], mass, len(way))
        with np.errstate(divide="ignore"):
            each = np.log(left_there[::-1].cumsum()[::-1]) + scale
        return _falling([*each.tolist(), log_likelihood(log_probs, ids)])

    def state_mass(self, log_probs: LogProbs) -> tuple[Ints, Floats, float]:
        """P of the texts that end in each state: (states, mass, logarithm of a factor that all have in common).

        A state is one word's beginning, so this is the P of every word at once. States are left out that together
        change the mass of all words by less than PRECISION.
        """
        probs = np.exp(log_probs.astype(np.float64))
        least = FIRST_LEAST
        while least > LAST_LEAST:
            states, mass, scale, lost = self._forward(probs, least)
            total = float(mass[self.accepting[states]].sum())
            if lost <= PRECISION * total:
                return states, mass, scale
            # so much less would have been enough, had it been as many
            least *= min(0.1, PRECISION * total / lost / 10)
        return self._forward_everywhere(probs)

    def _forward_everywhere(self, probs: Floats) -> tuple[Ints, Floats, float]:
        """As state_mass(), and nothing is left out."""
        blank, char, scale = np.zeros(len(self.parent)), np.zeros(len(self.parent)), 0.0
        blank[0] = 1.0
        longest = int(self.to_go.max())
        for t, row in enumerate(probs):
            left = len(probs) - t - 1
            came = char[self.parent]
            came *= self.differs
            came += blank[self.parent]
            came[0] = 0.0
            blank += char
            blank *= row[BLANK]
            char += came
            char *= row[self.state_class]
            if left < longest:
                in_time = self.to_go <= left
                blank *= in_time
                char *= in_time
            if (total := float(blank.sum() + char.sum())) <= 0:
                break
            if total < RESCALED:
                blank /= total
                char /= total
                scale += float(np.log(total))
        blank += char
        states = np.flatnonzero(blank)
        return states, blank[states], scale

    def _forward(self, probs: Floats, least: float) -> tuple[Ints, Floats, float, float]:
        """As state_mass(), of the places with a share of at least `least`, and a bound of what the others would have added."""
        active = np.zeros(1, dtype=np.int64)
        blank, char, scale, lost = np.ones(1), np.zeros(1), 0.0, 0.0
        place = np.full(len(self.parent), -1)  # of each state, where it is among the active ones
        place[0] = 0
        best = probs[:, np.append(self.classes, BLANK)].max(axis=1).tolist()
        for t, row in enumerate(probs):
            left = len(probs) - t - 1
            everything = blank + char
            count = self.count[active]
            ends = count.cumsum()
            before = np.repeat(np.arange(len(active)), count)
            kids = self.children[(self.first[active] - ends + count)[before] + np.arange(len(before))]
            # after the same character only what went through a blank is a new one
            came = (blank[before] + char[before] * self.differs[kids]) * row[self.state_class[kids]]
            blank, char = everything * row[BLANK], char * row[self.state_class[active]]
            bound = least * max(float(blank.max()), float(char.max()), float(came.max(initial=0.0)))
            # what can no longer end in time is nothing, and no loss
            came[self.to_go[kids] > left] = 0.0
            worth = came > bound
            lost = lost * best[t] + float(came[~worth].sum())
            kids, came = kids[worth], came[worth]
            at = place[kids]
            new = at < 0
            char[at[~new]] += came[~new]
            active = np.concatenate([active, kids[new]])
            blank, char = np.concatenate([blank, np.zeros(int(new.sum()))]), np.concatenate([char, came[new]])
            everything = blank + char
            everything[self.to_go[active] > left] = 0.0
            keep = everything > bound
            lost += float(everything[~keep].sum())
            place[active[~keep]] = -1
            active, blank, char = active[keep], blank[keep], char[keep]
            if len(active) > MOST_ACTIVE * len(self.parent) + LARGE:
                return active, blank, scale, math.inf
            place[active] = np.arange(len(active))
            if (total := float(everything[keep].sum())) <= 0:
                return active, blank, scale, lost
            blank, char, scale, lost = blank / total, char / total, scale + float(np.log(total)), lost / total
        return active, blank + char, scale, lost


Trellis = Network | Tree


def trellis(edges: Edges, accepting: Iterable[int], to_go: Sequence[int]) -> Trellis:
    """An automaton in the form in which it is summed over fastest.

    Args:
        edges: each state leads to an accepting one.
        accepting: states in which a text may end.
        to_go: for each state, the fewest characters with which a text can end.
    """
    come_to = [following for out in edges for following in out.values()]
    if len(come_to) > LARGE and 0 not in come_to and len(set(come_to)) == len(come_to):
        return Tree.of(edges, accepting, to_go)
    return Network.of(edges, accepting)


def _path(edges: Edges, ids: Sequence[int]) -> list[int]:
    """The states that a text goes through."""
    states = [0]
    for c in ids:
        states.append(edges[states[-1]][c])
    return states


def _depths(edges: Edges) -> Ints:
    """The fewest characters with which each state is come to; more than there are states where it never is."""
    depth = np.full(len(edges), len(edges) + 1)
    depth[0] = 0
    queue = deque([0])
    while queue:
        state = queue.popleft()
        for following in edges[state].values():
            if depth[following] > depth[state] + 1:
                depth[following] = depth[state] + 1
                queue.append(following)
    return depth


def _falling(logs: Sequence[float]) -> list[float]:
    """Logarithms of masses each of which is part of the one before; what rounding or underflow took is given back."""
    falling = np.maximum.accumulate(np.maximum(logs, NEVER)[::-1])[::-1]
    return [float(log) for log in falling]
