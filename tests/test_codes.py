"""codes: probabilities add up to one, words stay words, and what is no word is as likely as any other that is none."""

import math
from itertools import pairwise

import pytest

from simpleocr import codes
from simpleocr.codes import END, SHARE, WithCodes
from simpleocr.vocabulary import Vocabulary
from tests.test_language import VOCABULARY, english


class Sure:
    """A language of one word, "ab", again and again."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.a, self.b, self.space = (vocabulary.encode(c)[0] for c in "ab ")
        self.classes = vocabulary.num_classes

    def log_next(self, text: tuple[int, ...], following: int) -> float:
        wanted = {self.a: self.b, self.b: self.space}.get(text[-1] if text else self.space, self.a)
        ends = bool(text) and text[-1] == self.b
        likely = 0.45 if ends else 0.9
        if following == wanted or (ends and following == 0):
            return math.log(likely)
        return math.log(0.1 / (self.classes - 1 - ends))


def log_prob(language: WithCodes, ids: list[int]) -> float:
    return sum(language.log_next(tuple(ids[:i]), c) for i, c in enumerate([*ids, 0]))


@pytest.mark.parametrize("characters", ["ab c", "ab c-./"])
@pytest.mark.parametrize("text", ["", "t", "th", "the ca", "x7", "the x7q", "cat "])
def test_what_may_follow_adds_up_to_one(text: str, characters: str) -> None:
    vocabulary = Vocabulary(characters)
    language = WithCodes(Sure(vocabulary), vocabulary)
    known = text.translate(str.maketrans("thexq7", "ababca"))
    ids = tuple(vocabulary.encode(known))
    assert sum(math.exp(language.log_next(ids, c)) for c in range(vocabulary.num_classes)) == pytest.approx(1)


def test_words_and_codes_by_hand() -> None:
    """P of a text is that of its words, each as a word or as a code, as if the two had been added up at its end."""
    vocabulary = Vocabulary("ab c")
    plain = Sure(vocabulary)
    language = WithCodes(plain, vocabulary)

    def word(before: list[int], ids: list[int]) -> float:
        as_word = sum(plain.log_next((*before, *ids[:i]), c) for i, c in enumerate(ids))
        as_code = sum(math.log(END / 2 if c in (0, vocabulary.space) else (1 - END) / 3) for c in ids)
        return math.log((1 - SHARE) * math.exp(as_word) + SHARE * math.exp(as_code))

    for text in ("ab", "cc", "ab ac", "b ab c", "abc ab"):
        ids = vocabulary.encode(text)
        ends = [-1, *(i for i, c in enumerate(ids) if c == vocabulary.space), len(ids)]
        parts = [(ids[: a + 1], [*ids[a + 1 : b], ids[b] if b < len(ids) else 0]) for a, b in pairwise(ends)]
        assert log_prob(language, ids) == pytest.approx(sum(word(before, part) for before, part in parts)), text


def test_a_word_is_likelier_than_what_looks_like_it_and_codes_are_alike() -> None:
    plain, language = english(), WithCodes(english(), VOCABULARY)
    the, tha, code, other = (VOCABULARY.encode(text) for text in ("the cat", "thx cat", "the B0X7", "the BOX7"))
    assert log_prob(language, the) > log_prob(language, tha) + 2
    assert log_prob(language, code) == pytest.approx(log_prob(language, other), abs=0.3)
    assert log_prob(language, the) > sum(plain.log_next(tuple(the[:i]), c) for i, c in enumerate([*the, 0])) - 0.5


@pytest.mark.parametrize("characters", ["-.", "ab", "a-", " -", " a"])
def test_vocabularies_of_marks_or_of_letters_alone_have_codes(characters: str) -> None:
    vocabulary = Vocabulary(characters)

    class Even:
        def log_next(self, _: tuple[int, ...], __: int) -> float:
            return -math.log(vocabulary.num_classes)

    language = WithCodes(Even(), vocabulary)
    assert sum(math.exp(language.log_next((), c)) for c in range(vocabulary.num_classes)) == pytest.approx(1)


def test_a_vocabulary_without_a_space_has_words_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = Vocabulary("01")

    class Even:
        def log_next(self, _: tuple[int, ...], __: int) -> float:
            return math.log(1 / 3)

    language = WithCodes(Even(), vocabulary)
    for text in ("", "0", "0110"):
        ids = tuple(vocabulary.encode(text))
        assert sum(math.exp(language.log_next(ids, c)) for c in range(3)) == pytest.approx(1)


def test_long_words_are_asked_of_at_any_length_and_not_all_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "MOST_KNOWN", 50)
    vocabulary = Vocabulary("ab c")
    language = WithCodes(Sure(vocabulary), vocabulary)
    long = tuple(vocabulary.encode("c" * 3000))
    value = language.log_next(long, 1)
    assert math.isfinite(value)
    assert len(language._known) <= 50
    assert language.log_next(long, 1) == pytest.approx(value)
