"""Checking: which rows of a corpus can be trained on, and what is wrong with the others."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from simpleocr.image import InputError
from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import Vocabulary, normalize
from training.data import DataError, picture


@dataclass
class Report:
    """What was found wrong with a corpus: counts by reason, and the first examples of each."""

    seen: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    empty: int = 0
    left_out: int = 0

    def drop(self, reason: str, example: str) -> None:
        """Count one row that is not used."""
        self.dropped[reason] += 1
        self.examples.setdefault(reason, [])
        if len(self.examples[reason]) < 5:
            self.examples[reason].append(example)

    def __str__(self) -> str:
        used = self.seen - self.dropped.total() - self.left_out
        lines = [
            f"{self.seen} rows, {used} used, {self.empty} of them without text; {self.left_out} left out as too wide for this run"
        ]
        lines += [
            f"  {count} dropped: {reason}: {'; '.join(self.examples[reason])}"
            for reason, count in self.dropped.most_common()
        ]
        return "\n".join(lines)

    def refuse_over(self, share: float) -> None:
        """Raise DataError if more than `share` of the rows are bad, or none is left."""
        bad = self.dropped.total()
        if bad + self.left_out == self.seen or bad > share * self.seen:
            raise DataError(
                f"{bad} of {self.seen} rows cannot be used, more than {share:.1%} (--max_bad), or none is left:\n{self}"
            )


@dataclass(frozen=True)
class Checker:
    """Tells which rows can be trained on.

    Args:
        vocabulary: the characters that targets may have.
        preprocessing: how wide a picture becomes.
        unknown: of a text with other characters, "drop" the row or "strip" those characters from it.
        max_columns: wider lines are left out; nothing is wrong with them, but a step costs as much as its width.
    """

    vocabulary: Vocabulary
    preprocessing: Preprocessing
    unknown: str = "drop"
    max_columns: int | None = None

    def target(self, text: str) -> str:
        """The text as it is trained on: normalised and, where that is the policy, without unknown characters."""
        text = normalize(text)
        if self.unknown == "strip" and self.vocabulary.unknown(text):
            text = normalize("".join(c for c in text if not self.vocabulary.unknown(c)))
        return text

    def check(self, row: dict[str, Any], number: int, report: Report) -> tuple[str, int] | None:
        """(target, width in columns) of a usable row; None of one that `report` has counted."""
        report.seen += 1
        name = f"row {number}"
        if isinstance(cell := row["image"], dict) and cell.get("path"):
            name = str(Path(cell["path"]).name)
        if not isinstance(row["text"], str):
            report.drop("no text", name)
            return None
        target = self.target(row["text"])
        if unknown := self.vocabulary.unknown(target):
            report.drop(
                "unknown characters",
                f"{name} {target[:40]!r} has {', '.join(f'{c!r} U+{ord(c):04X}' for c in unknown[:5])}",
            )
            return None
        if (size := told_size(row)) is None:
            try:
                size = picture(row).size
            except InputError as error:
                report.drop("no readable picture", f"{name} {target[:40]!r}: {error}")
                return None
        width = self.preprocessing.width(size)
        if width > self.preprocessing.max_width:
            report.drop("too wide", f"{name} {target[:40]!r} is {size[0]} x {size[1]}")
            return None
        if columns_needed(target) > width:
            report.drop("label too long for its picture", f"{name} {target[:40]!r} on {size[0]} x {size[1]}")
            return None
        if self.max_columns and width > self.max_columns:
            report.left_out += 1
            return None
        report.empty += not target
        return target, width


def told_size(row: dict[str, Any]) -> tuple[int, int] | None:
    """(width, height) in pixels where a row tells them; None where it lacks one, or has no whole number above 0."""
    width, height = row.get("width"), row.get("height")  # of somebody's own corpus these may be anything
    if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
        return width, height
    return None


def columns_needed(target: str) -> int:
    """The least columns on which CTC can write a text: a timestep a character, one more between equal neighbours."""
    repeats = sum(a == b for a, b in pairwise(target))
    least = len(target) + repeats
    return max(1, 4 * least - 3)
