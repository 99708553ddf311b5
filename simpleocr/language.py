"""Language: a character n-gram model with back-off (Katz 1987), small enough to lie in the model file beside the network.

The n-grams are a tree, stored level by level: node 0 is the root, and the children of a node follow those of the node
before it. A node is the n-gram on the way to it; what it keeps is about its last character after those before it.
"""

from bisect import bisect_left

import torch
from torch import Tensor, nn

from simpleocr.vocabulary import BLANK

MOST_CLASSES = 2048  # whole numbers up to here are exact in float16, in which models are stored
UNKNOWN = -14.0  # the logarithm of the probability of a character that no n-gram has


class Language(nn.Module):
    """How likely a character comes next; its tensors are stored in the model file, whole numbers as floats.

    BLANK stands for the end of a text, and before its first character.

    Args:
        ngrams: nodes of the tree, the root included.
        order: characters of the longest n-gram.
    """

    chars: Tensor  # (ngrams,) class id of each node's last character
    degrees: Tensor  # (ngrams,) how many nodes are below it
    log_probs: Tensor  # (ngrams,) of its last character after the others
    backoffs: Tensor  # (ngrams,) logarithm of what a character costs that has no node below it

    def __init__(self, ngrams: int, order: int) -> None:
        super().__init__()
        self.order = order
        for name in ("chars", "degrees", "log_probs", "backoffs"):
            self.register_buffer(name, torch.zeros(ngrams))
        self._lists: tuple[list[int], list[int], list[float], list[float]] | None = None
        self._known: dict[tuple[tuple[int, ...], int], float] = {}

    def check(self) -> None:
        """Whether the tensors are such a tree.

        Raises:
            ValueError: they are not.
        """
        degrees = self.degrees.long()
        if not len(degrees) or int(degrees.sum()) != len(degrees) - 1 or bool((degrees < 0).any()):
            raise ValueError("the n-grams of its language are not a tree")
        first = 1 + torch.cumsum(degrees, 0) - degrees  # a node's children come after it
        if bool((first <= torch.arange(len(degrees)))[degrees > 0].any()):
            raise ValueError("the n-grams of its language are not a tree")
        starts = torch.zeros(len(degrees) + 1, dtype=torch.bool)
        starts[first] = True  # where another node's children begin
        if bool((self.chars.diff() <= 0)[~starts[1:-1]].any()):
            raise ValueError("the n-grams of its language are not in order")

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
        if self._lists is None:
            chars, degrees = self.chars.long().tolist(), self.degrees.long()
            first = (1 + torch.cumsum(degrees, 0) - degrees).tolist()
            self._lists = chars, [*first, len(chars)], self.log_probs.tolist(), self.backoffs.tolist()
        _, _, log_probs, backoffs = self._lists
        cost = 0.0
        while True:
            node: int | None = 0
            for c in context:
                node = self._child(node, c) if node is not None else None
            if node is not None:
                if (found := self._child(node, following)) is not None:
                    return cost + log_probs[found]
                if not context:
                    return cost + UNKNOWN
                cost += backoffs[node]
            context = context[1:]

    def _child(self, node: int, c: int) -> int | None:
        assert self._lists is not None
        chars, first = self._lists[:2]
        low, high = first[node], first[node + 1]
        at = bisect_left(chars, c, low, high)
        return at if at < high and chars[at] == c else None
