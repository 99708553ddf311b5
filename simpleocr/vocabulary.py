"""Vocabulary: text <-> class ids; the named vocabularies; normalize()."""

import string
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

JOINERS = "\u200c\u200d"  # invisible, but Persian and Indic words are not the same without them
BLANK = 0
"""The CTC class that writes nothing; the characters of a vocabulary are classes 1..len."""


class VocabularyError(ValueError):
    """A vocabulary that cannot be used, or a text that a vocabulary cannot write."""


def normalize(text: str) -> str:
    """The one form in which texts are trained on, compared and returned.

    NFC, every run of white space one space, none at the ends: an image shows no difference between the forms that
    this folds together.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"normalize() takes a text, not {text!r:.60}")
    return " ".join(unicodedata.normalize("NFC", text).split())


@dataclass(frozen=True)
class Vocabulary:
    """The ordered characters a model can write; order = class ids, starting with 1 because 0 is the blank.

    Args:
        characters: each a single code point, unique, in NFC; a space is a character like any other.

    Raises:
        VocabularyError: empty, duplicates, lone surrogates, control characters, or characters that NFC would change.
    """

    characters: str

    def __post_init__(self) -> None:
        if not isinstance(self.characters, str):
            raise VocabularyError(f"a vocabulary is a text, not {type(self.characters).__name__}")
        if not self.characters:
            raise VocabularyError("a vocabulary needs at least one character")
        if repeated := [c for c, n in Counter(self.characters).items() if n > 1]:
            raise VocabularyError(f"a vocabulary has each character once, but {repeated[:10]} come more often")
        for c in self.characters:
            if unicodedata.category(c) in ("Cs", "Cc", "Co", "Cn", "Cf") and c not in JOINERS:
                raise VocabularyError(
                    f"{c!r} (U+{ord(c):04X}) is a surrogate, control or format character, or not assigned: nothing to draw"
                )
            if c != " " and normalize(c) != c:
                raise VocabularyError(f"{c!r} (U+{ord(c):04X}) is not in the form that normalize() leaves")

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def num_classes(self) -> int:
        """Columns of the logits: the characters and the blank."""
        return len(self.characters) + 1

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {c: i for i, c in enumerate(self.characters, start=1)}

    @property
    def space(self) -> int:
        """The class id of the space, -1 where there is none."""
        return self._ids.get(" ", -1)

    def extend(self, characters: str) -> "Vocabulary":
        """This vocabulary and after it those of `characters` that it lacks: the ids of the others stay.

        Raises:
            VocabularyError: a character that no vocabulary can have.
        """
        return Vocabulary(self.characters + "".join(self.unknown(unicodedata.normalize("NFC", characters))))

    def unknown(self, text: str) -> list[str]:
        """The characters of `text` that this vocabulary lacks, each once, in order of appearance."""
        return [c for c in dict.fromkeys(text) if c not in self._ids]

    def encode(self, text: str) -> list[int]:
        """Class ids of `text`, each in 1..len; what decode() turns back into the same text.

        Raises:
            VocabularyError: names the characters that the vocabulary lacks.
        """
        if missing := self.unknown(text):
            raise VocabularyError(f"the vocabulary lacks {missing[:10]} of the text {text[:80]!r}")
        return [self._ids[c] for c in text]

    def decode(self, ids: list[int]) -> str:
        """The text of class ids in 1..len; blanks and repeats are the decoders' business, not this function's."""
        return "".join(self.character(i) for i in ids)

    def character(self, class_id: int) -> str:
        """The character of one class id in 1..len."""
        if not 1 <= class_id <= len(self.characters):
            raise VocabularyError(f"class {class_id} is not a character: they are 1..{len(self.characters)}")
        return self.characters[class_id - 1]


ASCII = " " + string.digits + string.ascii_letters + string.punctuation
TYPOGRAPHIC = "‘’“”–—…•£€°§©®™×½¼¾"

VOCABULARIES: dict[str, Vocabulary] = {
    "digits": Vocabulary(string.digits),
    "ascii": Vocabulary(ASCII),
    "english": Vocabulary(ASCII + TYPOGRAPHIC),
}
"""The named vocabularies; to add one is to add an entry."""
