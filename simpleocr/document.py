"""Results: Page > Line > Word > Char, frozen, each with its text, score and place in the picture that was given.

A score is a number in 0..1 for ranking: how sure the network was, not yet a probability of being right.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from simpleocr.geometry import Box, Polygon, Transform, enclose, polygon_to_box


@dataclass(frozen=True)
class Char:
    """One character.

    Args:
        text: the character; a space is one.
        score: 0..1.
        runner_up: the next likely character in its place, "" where that is none.
        runner_up_score: 0..1.
        polygon: around its column of the line, in pixels.
    """

    text: str
    score: float
    runner_up: str
    runner_up_score: float
    polygon: Polygon

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) in pixels."""
        return polygon_to_box(self.polygon)


def mean_score(chars: Iterable[Char]) -> float:
    """The geometric mean of characters' scores; 0 of none."""
    scores = [char.score for char in chars]
    return math.exp(sum(math.log(max(score, 1e-12)) for score in scores) / len(scores)) if scores else 0.0


@dataclass(frozen=True)
class Word:
    """Characters between spaces, at least one."""

    chars: tuple[Char, ...]

    @cached_property
    def text(self) -> str:
        """What it says."""
        return "".join(char.text for char in self.chars)

    @cached_property
    def score(self) -> float:
        """0..1: the geometric mean of its characters'."""
        return mean_score(self.chars)

    @cached_property
    def polygon(self) -> Polygon:
        """Around its characters, in the line's direction."""
        return enclose([char.polygon for char in self.chars])

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) in pixels."""
        return polygon_to_box(self.polygon)


@dataclass(frozen=True)
class Line:
    """One line of text.

    Args:
        chars: its characters with its spaces; none where the line says nothing.
        polygon: around the line, in pixels.
    """

    chars: tuple[Char, ...]
    polygon: Polygon

    @cached_property
    def text(self) -> str:
        """What it says."""
        return "".join(char.text for char in self.chars)

    @cached_property
    def score(self) -> float:
        """0..1: the geometric mean of its characters'; 0 where it says nothing."""
        return mean_score(self.chars)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """Its characters between spaces."""
        groups = groupby(self.chars, key=lambda char: char.text == " ")
        return tuple(Word(tuple(chars)) for is_space, chars in groups if not is_space)

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) in pixels."""
        return polygon_to_box(self.polygon)

    def moved(self, transform: Transform) -> "Line":
        """The same line in another picture's pixels."""
        chars = tuple(replace(char, polygon=transform.apply_polygon(char.polygon)) for char in self.chars)
        return Line(chars, transform.apply_polygon(self.polygon))


@dataclass(frozen=True)
class Page:
    """All that was read in one picture.

    Args:
        lines: in reading order.
        size: (width, height) of the picture in pixels, upright.
    """

    lines: tuple[Line, ...]
    size: tuple[int, int]

    @cached_property
    def text(self) -> str:
        """The lines, one under the other."""
        return "\n".join(line.text for line in self.lines)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all lines."""
        return tuple(word for line in self.lines for word in line.words)

    @property
    def chars(self) -> tuple[Char, ...]:
        """The characters of all lines, spaces included."""
        return tuple(char for line in self.lines for char in line.chars)
