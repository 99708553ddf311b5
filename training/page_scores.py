"""Page scores: what is counted of each page that was read, the figures of a set, and what was read wrong where.

Words are compared without case and outer punctuation. Of each page three things are counted: the words read, wherever they
stand; the pieces found, whatever they say, pieces being words where the set has boxes of words and lines where it has boxes
of lines; and the words that are both found in their place and read right, which a word is if it stands in a piece that
matches that of a true one. What is found where nobody knows what stands there, is not counted.
"""

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simpleocr.document import Page
from simpleocr.vocabulary import normalize
from training.matching import lying_in, matched
from training.page_sets import Piece, TruePage

OUTER = string.punctuation + "“”‘’–—…•"
COUNTS = (
    "words_right",
    "words_read",
    "words_true",
    "pieces_right",
    "pieces_found",
    "pieces_true",
    "words_placed",
    "placeable_read",
    "placeable_true",
    "edits",
    "characters",
)
"""What is counted of each page; from "pieces_right" on 0 where boxes are not compared, the last two where no order is known."""
FIGURES: dict[str, tuple[str, tuple[str, ...], float]] = {
    "word_precision": ("words_right", ("words_read",), 1),
    "word_recall": ("words_right", ("words_true",), 1),
    "word_f1": ("words_right", ("words_read", "words_true"), 1),
    "detection_precision": ("pieces_right", ("pieces_found",), 1),
    "detection_recall": ("pieces_right", ("pieces_true",), 1),
    "detection_hmean": ("pieces_right", ("pieces_found", "pieces_true"), 1),
    "end_to_end_f1": ("words_placed", ("placeable_read", "placeable_true"), 1),
    "cer_in_order": ("edits", ("characters",), 0),
}
"""Each is a sum over the set, over the mean of others (F1 and hmean are that of both).

Left out where those others are 0; of a resampled set in which they are, the sum and the number, as scores.FIGURES has it.
"""


def words_of(text: str) -> Counter[str]:
    """Words without case and outer punctuation; those that are nothing else are left out."""
    return Counter(word for token in normalize(text).lower().split() if (word := token.strip(OUTER)))


@dataclass(frozen=True)
class Comparison:
    """What became of one page.

    Args:
        counts: COUNTS.
        misread: (what stands there, what was read) of pieces that were found in their place.
        missed: words in places where nothing was found.
        invented: words in places where nothing stands.
        lost: pieces with words that were misread or missed, and those words.
        added: pieces with words that were read instead or invented, and those words.
    """

    counts: tuple[int, ...]
    misread: list[tuple[str, str]]
    missed: list[str]
    invented: list[str]
    lost: list[Piece]
    added: list[Piece]

    @property
    def word_f1(self) -> float:
        """Of this page; 1 where there is nothing to read and nothing was read."""
        right, read, true = self.counts[:3]
        return 2 * right / (read + true) if read + true else 1.0

    @property
    def wrong(self) -> int:
        """Words that were not read, and words that are not there."""
        right, read, true = self.counts[:3]
        return read + true - 2 * right


def found_pieces(page: Page, level: str) -> list[Piece]:
    """The words or lines of a page that was read, in upright boxes."""
    return [(piece.box, piece.text) for piece in (page.words if level == "words" else page.lines)]


def counted(found: list[Piece], truth: TruePage) -> list[Piece]:
    """Those that are true pieces, and of the others those that do not lie where something unknown stands."""
    boxes = [box for box, _ in found]
    ignored = lying_in(boxes, truth.unknown) - {i for i, _ in matched(boxes, [box for box, _ in truth.pieces])}
    return [piece for i, piece in enumerate(found) if i not in ignored]


def compare(page: Page, truth: TruePage, *, boxes: bool = True) -> Comparison:
    """A page that was read, against what stands on it.

    Args:
        page: in the pixels of the picture that was labelled, if boxes are compared.
        truth: that page.
        boxes: whether its boxes are compared; where the page was turned, they are elsewhere, and so is what is unknown:
            all that is read counts then.
    """
    from rapidfuzz.distance import Levenshtein

    found = found_pieces(page, truth.level)
    if boxes:
        found = counted(found, truth)
    text = " ".join(text for _, text in found)  # that of the page, but for what does not count
    read, true = words_of(text), words_of(truth.text)
    pairs = matched([box for box, _ in found], [box for box, _ in truth.pieces]) if boxes else []
    tokens, wanted = [words_of(text) for _, text in found], [words_of(text) for _, text in truth.pieces]
    added = _wrong(tokens, read - true, {i for i, j in pairs if tokens[i] == wanted[j]})
    lost = _wrong(wanted, true - read, {j for i, j in pairs if tokens[i] == wanted[j]})
    misread = [(i, j) for i, j in pairs if i in added and j in lost]
    edits = characters = 0
    if truth.ordered is not None:
        target = normalize(truth.ordered)
        edits, characters = Levenshtein.distance(normalize(text), target), len(target)
    of_words = ((read & true).total(), read.total(), true.total())
    of_boxes = (len(pairs), len(found), len(truth.pieces)) if boxes else (0, 0, 0)
    of_both = (sum((tokens[i] & wanted[j]).total() for i, j in pairs), *of_words[1:]) if boxes else (0, 0, 0)
    seen_i, seen_j = {i for i, _ in misread}, {j for _, j in misread}
    return Comparison(
        counts=(*of_words, *of_boxes, *of_both, edits, characters),
        misread=[(" ".join(lost[j]), " ".join(added[i])) for i, j in misread],
        missed=[word for j, words in lost.items() if j not in seen_j for word in words],
        invented=[word for i, words in added.items() if i not in seen_i for word in words],
        lost=[(truth.pieces[j][0], " ".join(words)) for j, words in lost.items()],
        added=[(found[i][0], " ".join(words)) for i, words in added.items()],
    )


def _wrong(tokens: Sequence[Counter[str]], surplus: Counter[str], right: Iterable[int]) -> dict[int, list[str]]:
    """Of words that are too many, where they stand: of the same word, in pieces that are not right before others."""
    left, sure = Counter(surplus), set(right)
    wrong: dict[int, list[str]] = {}
    for i in sorted(range(len(tokens)), key=lambda i: (i in sure, i)):
        for word in tokens[i].elements():
            if left[word] > 0:
                left[word] -= 1
                wrong.setdefault(i, []).append(word)
    return dict(sorted(wrong.items()))


def figures(sums: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Sums of COUNTS (..., len(COUNTS)) -> each of FIGURES (...) of which there is something to count."""
    column = {name: sums[..., i] for i, name in enumerate(COUNTS)}
    found: dict[str, npt.NDArray[np.float64]] = {}
    for name, (over, names, of_none) in FIGURES.items():
        under = np.mean([column[of] for of in names], axis=0)  # 0.5 is possible, so that 1 is not the least
        if np.any(under > 0):
            ratio = column[over] / np.where(under > 0, under, 1)
            found[name] = np.where(under > 0, ratio, column[over] + of_none)
    return found
