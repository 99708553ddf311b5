"""Codes: a language in which any word may be a code as well, of characters that say nothing of those beside them.

Character n-grams know words: of "B0X7" they would make "BOX". Here the two ways to write a word are kept apart until it
ends, and what has come of it tells which of them it is: letters that no word has make all that follows free.
"""

import math

from simpleocr.beam import NextCharacter
from simpleocr.vocabulary import BLANK, Vocabulary

SHARE = 0.1  # of words that are codes
END = 0.1  # probability that a code ends after any of its characters
MARKS = 0.05  # that what follows is no letter or digit
MOST_KNOWN = 200_000  # beginnings of words that are remembered: a long-lived process must not remember all


class WithCodes:
    """How likely a character comes next where each word is one of the language or, now and then, a code.

    Args:
        language: what knows how words go on.
        vocabulary: whose characters codes are made of, one letter or digit as likely as another.
    """

    def __init__(self, language: NextCharacter, vocabulary: Vocabulary) -> None:
        self.language, self.space = language, vocabulary.space
        has_space = self.space >= 0
        marks = {i for i, c in enumerate(vocabulary.characters, 1) if not c.isalnum() and c != " "}
        letters = len(vocabulary.characters) - has_space - len(marks)
        of_marks = (MARKS if letters else 1 - END) if marks else 0.0
        self._code = [math.log((1 - END - of_marks) / letters if letters else 1.0)] * vocabulary.num_classes
        for mark in marks:
            self._code[mark] = math.log(of_marks / len(marks))
        for end in {BLANK, self.space} - {-1}:
            self._code[end] = math.log(END / (1 + has_space))
        self._known: dict[tuple[int, ...], tuple[float, float]] = {}

    def log_next(self, text: tuple[int, ...], following: int) -> float:
        """The logarithm of P(following | text), class ids both; BLANK asks for the end."""
        word, code = self._begun(text)
        as_word = word + self.language.log_next(text, following)
        as_code = code + self._code[following]
        return _log_add(as_word, as_code) - _log_add(word, code)

    def _begun(self, text: tuple[int, ...]) -> tuple[float, float]:
        """How likely the characters since the last space are a word's beginning and a code's, as logarithms."""
        start = next((i for i in range(len(text), 0, -1) if text[i - 1] == self.space), 0)
        end = len(text)
        while end > start and text[:end] not in self._known:
            end -= 1
        begun = self._known[text[:end]] if end > start else (math.log(1 - SHARE), math.log(SHARE))
        for i in range(end, len(text)):
            word, code = begun
            begun = word + self.language.log_next(text[:i], text[i]), code + self._code[text[i]]
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[text[: i + 1]] = begun
        return begun


def _log_add(a: float, b: float) -> float:
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))
