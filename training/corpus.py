"""Corpus: running text and word lists, from which what rendered pictures say is drawn."""

import pydoc_data.topics
import re
import string
import unicodedata
from bisect import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random

FREQUENCY_LINE = re.compile(r"^(\S+)\s+\d+$")


@dataclass(frozen=True)
class Corpus:
    """Where texts are drawn from.

    Args:
        words: distinct words, most frequent first.
        weights: cumulated weights of `words`; frequent words come more often, but not as often as in running text.
        running: the tokens of running text in order, punctuation attached.
    """

    words: Sequence[str]
    weights: Sequence[float]
    running: Sequence[str]

    def word(self, rng: Random) -> str:
        """One word: half the time by frequency, half the time any, so that rare letter sequences are seen too."""
        if rng.random() < 0.5:
            return self.words[bisect(self.weights, rng.random() * self.weights[-1], 0, len(self.words) - 1)]
        return rng.choice(self.words)

    def span(self, rng: Random, count: int) -> str:
        """`count` neighbouring tokens of the running text."""
        start = rng.randrange(max(1, len(self.running) - count))
        return " ".join(self.running[start : start + count])


def load_corpus(paths: Sequence[Path] = ()) -> Corpus:
    """Text files and folders of them -> Corpus; with none, the English that Python's own documentation topics hold.

    A file whose lines are "word count" is a frequency list and gives words; any other gives words and running text.

    Raises:
        ValueError: a path that is missing, a file that is not UTF-8, or no words at all.
    """
    files = [f for p in paths for f in (sorted(p.rglob("*.txt")) if p.is_dir() else [p])]
    texts = [_read(f) for f in files] if paths else [" ".join(pydoc_data.topics.topics.values())]
    counts: Counter[str] = Counter()
    running: list[str] = []
    for text in texts:
        lines = text.splitlines()
        head = [line for line in lines[:100] if line.strip()]
        if head and sum(bool(FREQUENCY_LINE.match(line)) for line in head) > 0.9 * len(head):
            for line in lines:
                if match := FREQUENCY_LINE.match(line):
                    counts[match[1]] += 1
        else:
            tokens = text.replace("_", "").replace("--", "—").split()
            running.extend(tokens)
            counts.update(word for token in tokens if (word := token.strip(string.punctuation + "“”‘’—…")).isalpha())
    words = [word for word, _ in counts.most_common()]
    if not words:
        raise ValueError(f"no words in {[str(p) for p in paths]}")
    weights = list(accumulate((rank + 10) ** -0.5 for rank in range(len(words))))
    return Corpus(words, weights, running or words)


def _read(file: Path) -> str:
    try:
        return unicodedata.normalize("NFC", file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the text file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"the text file {file} is not UTF-8: byte {error.start} is {error.object[error.start]:#x}"
        ) from error
