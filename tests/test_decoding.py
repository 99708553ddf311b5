"""simpleocr.decoding: greedy against all paths there are; what every decoder's spans must be."""

import dataclasses
import itertools
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr.constraints import charset, lexicon
from simpleocr.decoding import DECODERS, Decoded, Decoder, Span, aligned, constrained, greedy
from simpleocr.likelihood import NEVER, LogProbs
from simpleocr.vocabulary import BLANK, VOCABULARIES, Vocabulary, normalize

law = settings(deadline=None, max_examples=60)
VOCABULARY = Vocabulary("ab ")
CLASSES = "-ab "  # as written in paths: the blank and the three characters
decoders = pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)


def random_log_probs(timesteps: int, classes: int, seed: int) -> LogProbs:
    logits = np.random.default_rng(seed).normal(0, 2, (timesteps, classes))
    return normalised(logits)


def normalised(logits: npt.NDArray[np.float64]) -> LogProbs:
    log_probs: LogProbs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    return log_probs


def peaked(path: str, probability: float = 0.9) -> LogProbs:
    """One timestep for each character of `path`, which has `probability` there; the others share the rest."""
    probs = np.full((len(path), len(CLASSES)), (1 - probability) / (len(CLASSES) - 1))
    for t, c in enumerate(path):
        probs[t, CLASSES.index(c)] = probability
    log_probs: LogProbs = np.log(probs).astype(np.float32)
    return log_probs


def collapse(path: Sequence[int], characters: str) -> str:
    """Repeats merged, blanks dropped, spaces folded: the definition, without a span."""
    text = "".join(characters[c - 1] for c, _ in itertools.groupby(path) if c != BLANK)
    return re.sub(" +", " ", text).strip(" ")


@law
@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_greedy_collapses_the_best_of_all_paths(timesteps: int, characters: int, seed: int) -> None:
    vocabulary = Vocabulary("a b"[:characters])
    log_probs = random_log_probs(timesteps, vocabulary.num_classes, seed)
    paths = itertools.product(range(vocabulary.num_classes), repeat=timesteps)
    best = max(paths, key=lambda path: sum(float(log_probs[t, c]) for t, c in enumerate(path)))
    assert greedy(log_probs, vocabulary).text == collapse(best, vocabulary.characters)


@law
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_greedy_spans_are_the_runs_of_the_best_path(timesteps: int, seed: int) -> None:
    log_probs = random_log_probs(timesteps, 4, seed)
    probs, best = np.exp(log_probs), log_probs.argmax(axis=1)
    for span in greedy(log_probs, VOCABULARY).spans:
        class_id = VOCABULARY.encode(span.char)[0]
        assert 0 <= span.start < span.end <= timesteps
        assert set(best[span.start : span.end]) == {class_id}
        assert span.start == 0 or best[span.start - 1] != class_id  # the run is whole
        assert span.end == timesteps or best[span.end] != class_id
        peak = span.start + int(probs[span.start : span.end, class_id].argmax())
        second = int(np.argsort(probs[peak])[-2])
        assert span.runner_up == ("" if second == BLANK else VOCABULARY.character(second))
        assert span.runner_up_score == pytest.approx(probs[peak, second])
        assert 0 < span.runner_up_score <= probs[span.start : span.end, class_id].max()


@decoders
@law
@given(seed=st.integers(0, 2**32 - 1), timesteps=st.integers(0, 12))
def test_every_decoder_gives_ordered_spans_of_a_normalised_text(decoder: Decoder, seed: int, timesteps: int) -> None:
    log_probs = random_log_probs(timesteps, 4, seed)
    before = log_probs.copy()
    decoded = decoder(log_probs, VOCABULARY)
    assert np.array_equal(log_probs, before)
    assert decoded.text == "".join(span.char for span in decoded.spans) == normalize(decoded.text)
    for span in decoded.spans:
        assert {type(span.start), type(span.end)} == {int}
        assert type(span.runner_up_score) is float
        assert 0 <= span.start < span.end <= timesteps
        assert 0 <= span.runner_up_score <= 1
        assert span.runner_up != span.char
        assert len(span.runner_up) <= 1
    for one, other in itertools.pairwise(decoded.spans):
        assert one.end <= other.start


@decoders
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("-", ""),
        ("----", ""),
        ("a", "a"),
        ("aaa", "a"),
        ("a-a", "aa"),
        ("aa--aa", "aa"),
        ("ab", "ab"),
        ("aabb", "ab"),
        ("abab", "abab"),
        ("-a-b-", "ab"),
        ("a b", "a b"),
        ("a - b", "a b"),  # a space twice
        ("a- - - -b", "a b"),
        (" a ", "a"),
        ("- -a- -", "a"),
        (" - ", ""),
        ("a - ", "a"),
    ],
)
def test_repeats_blanks_and_spaces(decoder: Decoder, path: str, text: str) -> None:
    assert decoder(peaked(path, 0.97), VOCABULARY).text == text


@decoders
def test_spans_lie_where_the_character_is(decoder: Decoder) -> None:
    spans = decoder(peaked("--aa-b a- -b", 0.97), VOCABULARY).spans
    assert [(span.char, span.start, span.end) for span in spans] == [
        ("a", 2, 4),
        ("b", 5, 6),
        (" ", 6, 7),
        ("a", 7, 8),
        (" ", 9, 10),
        ("b", 11, 12),
    ]


@decoders
def test_runners_up(decoder: Decoder) -> None:
    probs = np.array(
        [
            [0.97, 0.01, 0.01, 0.01],
            [0.20, 0.60, 0.15, 0.05],  # a, then the blank
            [0.05, 0.80, 0.12, 0.03],  # a at its likeliest, then b
            [0.97, 0.01, 0.01, 0.01],
            [0.30, 0.05, 0.60, 0.05],  # b, then the blank
        ]
    )
    first, second = decoder(np.log(probs).astype(np.float32), VOCABULARY).spans
    assert (first.char, first.start, first.end, first.runner_up) == ("a", 1, 3, "b")
    assert first.runner_up_score == pytest.approx(0.12)
    assert (second.char, second.start, second.end, second.runner_up) == ("b", 4, 5, "")
    assert second.runner_up_score == pytest.approx(0.30)


@decoders
def test_a_folded_space_keeps_its_first_place(decoder: Decoder) -> None:
    spans = decoder(peaked("a -  b", 0.97), VOCABULARY).spans
    assert [(span.char, span.start) for span in spans] == [("a", 0), (" ", 1), ("b", 5)]
    assert spans[1].end in (2, 5)  # the first of the spaces, or the gap with all of them


@decoders
def test_certain_and_forbidden_classes(decoder: Decoder) -> None:
    with np.errstate(divide="ignore"):
        log_probs = peaked("a-b", 1.0)  # the others' logarithm is minus infinity
    assert np.isneginf(log_probs).any()
    decoded = decoder(log_probs, VOCABULARY)
    assert decoded.text == "ab"
    assert [span.runner_up_score for span in decoded.spans] == [0, 0]


@decoders
def test_no_timesteps_no_text(decoder: Decoder) -> None:
    decoded = decoder(np.zeros((0, 4), np.float32), VOCABULARY)
    assert decoded == Decoded(())
    assert decoded.text == ""


@decoders
@pytest.mark.parametrize("shape", [(4,), (5, 3), (5, 5), (0, 3), (1, 5, 4), (4, 5), (), (5, 0)])
def test_a_shape_that_does_not_fit_is_named(decoder: Decoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{shape}")) as caught:
        decoder(np.zeros(shape, np.float32), VOCABULARY)
    assert "(T, 4)" in str(caught.value)


@decoders
def test_vocabularies_of_one_character(decoder: Decoder) -> None:
    log_probs = np.log(np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], np.float32))
    decoded = decoder(log_probs, Vocabulary("x"))
    assert decoded.text == "xx"
    assert [span.runner_up for span in decoded.spans] == ["", ""]
    assert decoder(log_probs, Vocabulary(" ")).text == ""


@decoders
def test_a_long_line_with_the_english_vocabulary(decoder: Decoder) -> None:
    vocabulary = VOCABULARIES["english"]
    text = normalize("The “quick” brown fox — 12½ € — jumps over the lazy dog; " * 4)
    logits = np.zeros((3 * len(text), vocabulary.num_classes))
    logits[:, BLANK] = 10
    for i, class_id in enumerate(vocabulary.encode(text)):
        logits[3 * i : 3 * i + 2, class_id] = 20
    decoded = decoder(normalised(logits), vocabulary)
    assert decoded.text == text
    assert [(span.start, span.end) for span in decoded.spans] == [(3 * i, 3 * i + 2) for i in range(len(text))]


@decoders
def test_a_view_of_a_batch_is_as_good_as_an_array_of_its_own(decoder: Decoder) -> None:
    batch = np.stack([peaked("a-b "), peaked("bb-a")])
    assert decoder(batch[1, 1:], VOCABULARY) == decoder(peaked("b-a"), VOCABULARY)
    strided = np.asfortranarray(batch[0])
    assert decoder(strided, VOCABULARY) == decoder(peaked("a-b "), VOCABULARY)


def test_results_are_frozen_values() -> None:
    span = Span("a", 0, 1, "b", 0.25)
    with pytest.raises(dataclasses.FrozenInstanceError):
        span.end = 2  # type: ignore[misc]
    assert hash(Decoded((span,))) == hash(Decoded((dataclasses.replace(span),)))


def test_a_constraint_changes_the_reading_and_tells_of_its_mass() -> None:
    log_probs = peaked("a-b", 0.7)
    decoded = constrained(charset("b", VOCABULARY))(log_probs, VOCABULARY)
    assert decoded.text in {"b", "bb"}
    assert -5 < decoded.log_mass < 0
    assert constrained(lexicon(["aaaa"], VOCABULARY))(log_probs, VOCABULARY) == Decoded((), NEVER)


def test_any_text_can_be_aligned() -> None:
    spans = aligned(peaked("aa-bb-", 0.9), VOCABULARY, VOCABULARY.encode("aa")).spans
    assert [span.char for span in spans] == ["a", "a"]
    assert spans[0].start == 0
    assert spans[1].start > 1
    assert spans[1].runner_up in {"b", ""}


class Fond:
    """A language that likes one class."""

    def log_next(self, text: tuple[int, ...], following: int) -> float:
        return -0.1 if following == 2 else -3.0


def test_a_language_is_told_apart_from_what_was_seen() -> None:
    log_probs = peaked("a-b", 0.4)
    decoded = constrained(language=Fond(), weight=1.0)(log_probs, VOCABULARY)
    assert set(decoded.text) == {"b"}
    assert decoded.log_prior != 0
    assert decoded.log_mass == 0  # what was seen of it stays what it is
    assert constrained(charset("ab", VOCABULARY))(log_probs, VOCABULARY).log_prior == 0
