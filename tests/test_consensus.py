"""consensus: what several views say of texts, worked out by hand."""

import numpy as np
import pytest

from simpleocr.consensus import CONVINCING, LONG, agreed, favouring, placed, weigh
from simpleocr.decoding import greedy
from simpleocr.likelihood import likelihoods
from simpleocr.recognition import Place, Reading
from simpleocr.vocabulary import Vocabulary


def reading(*rows: tuple[float, ...]) -> Reading:
    """Of a picture whose log_probs these are, over the blank, "a" and "b"."""
    log_probs = np.log(np.array(rows, np.float32))
    vocabulary = Vocabulary("ab")
    decoded = greedy(log_probs, vocabulary)
    (likelihood,) = likelihoods([log_probs], [vocabulary.encode(decoded.text)])
    return Reading(decoded, likelihood, log_probs, np.ones(8, np.float32), Place((40, 20), (0, 20), range(0, 45, 5)))


def spelled(text: str, sure: float, timesteps: int) -> Reading:
    """Of a picture that says a text of "a" and "b", each letter so surely, and then nothing."""
    other = (1 - sure) / 2
    rows = [tuple(sure if place == "-ab".index(c) else other for place in range(3)) for c in text]
    return reading(*rows, *[(1.0, 1e-9, 1e-9)] * (timesteps - len(text)))


def test_views_are_weighed_by_hand() -> None:
    vocabulary = Vocabulary("ab")
    seen = [
        reading((0.3, 0.4, 0.3), (1.0, 1e-9, 1e-9)),
        reading((0.05, 0.05, 0.9), (1.0, 1e-9, 1e-9)),
        reading((0.1, 0.1, 0.8), (1.0, 1e-9, 1e-9)),
        reading((0.5, 0.3, 0.2), (1.0, 1e-9, 1e-9)),
        reading((0.1, 0.1, 0.8), (1.0, 1e-9, 1e-9)),
        reading((0.2, 0.1, 0.7), (1.0, 1e-9, 1e-9)),
    ]
    assert [one.decoded.text for one in seen] == ["a", "b", "b", "", "b", "b"]
    weighed = weigh(vocabulary, seen, [[1], [2], []])
    assert [one.confidence for one in weighed] == pytest.approx(
        [(0.4 + 0.3 + 0.1 + 0.1 + 0.1) / 5, (0.9 + 0.8 + 0.8 + 0.7 + 0.3) / 5, (0.5 + 0.3 + 0.2 + 0.1 + 0.1) / 5],
        abs=1e-4,
    )
    assert [one.view for one in weighed] == [0, 1, 3]
    line = placed(vocabulary, seen, [2], weighed[1]).line
    assert line.text == "b"
    assert line.confidence == pytest.approx(0.7, abs=1e-4)
    assert line.words[0].confidence == pytest.approx(line.confidence)
    with pytest.raises(ValueError, match="too few"):
        placed(vocabulary, seen, [1, 2, 1], weighed[0])


def test_views_that_favour_a_text_say_no_more_than_one_thing() -> None:
    vocabulary = Vocabulary("ab")
    seen = [
        reading((0.1, 0.8, 0.1), (1.0, 1e-9, 1e-9)),
        reading((0.1, 0.2, 0.7), (1.0, 1e-9, 1e-9)),
        reading((0.2, 0.7, 0.1), (1.0, 1e-9, 1e-9)),
        reading((0.1, 0.1, 0.8), (1.0, 1e-9, 1e-9)),
        reading((0.3, 0.6, 0.1), (1.0, 1e-9, 1e-9)),
        reading((0.2, 0.7, 0.1), (1.0, 1e-9, 1e-9)),
        reading((0.2, 0.7, 0.1), (1.0, 1e-9, 1e-9)),
    ]
    views = favouring(vocabulary, seen, "a")
    assert views == [0, 2, 5, 6, 4]
    assert sum(one.confidence for one in weigh(vocabulary, seen, [[1], [2], []])) > 1.2
    weighed = weigh(vocabulary, [seen[i] for i in views], [[1], [2], []])
    assert [one.confidence for one in weighed] == pytest.approx([0.7, 0.1, 0.2], abs=1e-4)


def test_a_long_text_is_not_given_up_for_one_of_less_than_half_its_length() -> None:
    vocabulary, long = Vocabulary("ab"), "ab" * (LONG // 2)
    first = spelled(long, 0.6, LONG)
    for short, text in (("ba" * 2, long), ("ba" * 3, "ba" * 3)):
        assert agreed(vocabulary, [first, spelled(short, 0.98, LONG)]).decoded.text == text
    shorter = "ab" * (LONG // 2 - 1)
    assert agreed(vocabulary, [spelled(shorter, 0.6, 12), spelled("b", 0.98, 12)]).decoded.text == "b"


def test_a_long_text_is_not_given_up_for_one_that_convinces_nobody() -> None:
    vocabulary, long, other = Vocabulary("ab"), "ab" * (LONG // 2), "ba" * (LONG // 2)
    first = spelled(long, 0.6, LONG)
    for sure, text in ((0.7, long), (0.95, other)):
        seen = [first, spelled(other, sure, LONG)]
        of_long, of_other = weigh(vocabulary, seen, [vocabulary.encode(long), vocabulary.encode(other)])
        assert of_long.confidence < of_other.confidence
        assert (of_other.confidence < CONVINCING) == (text == long)
        assert agreed(vocabulary, seen).decoded.text == text
    # a short one is: of a few letters the likeliest text is mostly right in most
    short = agreed(vocabulary, [spelled("ababa", 0.4, 5), spelled("babab", 0.5, 5)])
    assert short.decoded.text == "babab"
    assert short.line.confidence < CONVINCING
