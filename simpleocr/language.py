"""Language: a character n-gram model with back-off (Katz 1987), small enough to lie in the model file beside the network.

The n-grams are a tree, stored level by level: node 0 is the root, and the children of a node follow those of the node
before it. A node is the n-gram on the way to it; what it keeps is about its last character after those before it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from simpleocr.vocabulary import BLANK

MOST_CLASSES = 2048  # whole numbers up to here are exact in float16, in which models are stored
UNKNOWN = -14.0  # the logarithm of the probability of a character that no n-gram has
TENSORS = ("chars", "degrees", "log_probs", "backoffs")
"""What a model file holds of a language, (N,) floats each for N n-grams; see Language."""

Floats = npt.NDArray[np.floating]


class Language:
    """How likely a character comes next.

    BLANK stands for the end of a text, and before its first character.

    Args:
        chars: (N,) class id of each node's last character.
        degrees: (N,) how many nodes are below it.
        log_probs: (N,) of its last character after the others.
        backoffs: (N,) logarithm of what a character costs that has no node below it.
        order: characters of the longest n-gram.

    Raises:
        ValueError: the nodes are not such a tree.
    """

    def __init__(self, chars: Floats, degrees: Floats, log_probs: Floats, backoffs: Floats, order: int) -> None:
        self.chars, self.degrees = chars.astype(np.int64), degrees.astype(np.int64)
        self.log_probs, self.backoffs = log_probs, backoffs
        self.order = order
        ends = np.cumsum(self.degrees)
        first = 1 + ends - self.degrees  # a node's children come after it
        if not len(ends) or ends[-1] != len(ends) - 1 or bool((self.degrees < 0).any()):
            raise ValueError("the n-grams of its language are not a tree")
        if bool((first <= np.arange(len(first)))[self.degrees > 0].any()):
            raise ValueError("the n-grams of its language are not a tree")
        starts = np.zeros(len(first) + 1, dtype=np.bool_)
        starts[first] = True  # where another node's children begin
        if bool((np.diff(self.chars) <= 0)[~starts[1:-1]].any()):
            raise ValueError("the n-grams of its language are not in order")
        # as lists, for they are asked number by number
        self._chars, self._first = self.chars.tolist(), [*first.tolist(), len(first)]
        self._log_probs: list[float] = log_probs.tolist()
        self._backoffs: list[float] = backoffs.tolist()
        self._known: dict[tuple[tuple[int, ...], int], float] = {}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Floats], order: int) -> Self:
        """The language of a model file's tensors, by their names in TENSORS.

        Raises:
            ValueError: as Language().
        """
        chars, degrees, log_probs, backoffs = (tensors[name] for name in TENSORS)
        return cls(chars, degrees, log_probs, backoffs, order)

    def __len__(self) -> int:
        return len(self._chars)

    def log_next(self, text: tuple[int, ...], following: int) -> float:
        """The logarithm of P(following | text), class ids both; BLANK asks for the end."""
        context = (BLANK, *text)[-(self.order - 1) :] if self.order > 1 else ()
        key = (context, following)
        if (value := self._known.get(key)) is None:
            if len(self._known) > 200_000:
                self._known.clear()  # a long-lived process must not remember all it was ever asked
            value = self._known[key] = self._look_up(context, following)
        return value

    def _look_up(self, context: tuple[int, ...], following: int) -> float:
        cost = 0.0
        while True:
            node: int | None = 0
            for c in context:
                node = self._child(node, c) if node is not None else None
            if node is not None:
                if (found := self._child(node, following)) is not None:
                    return cost + self._log_probs[found]
                if not context:
                    return cost + UNKNOWN
                cost += self._backoffs[node]
            context = context[1:]

    def _child(self, node: int, c: int) -> int | None:
        low, high = self._first[node], self._first[node + 1]
        at = bisect_left(self._chars, c, low, high)
        return at if at < high and self._chars[at] == c else None
