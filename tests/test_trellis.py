"""trellis: the mass of allowed texts and of those that begin as one does, against going through every path."""

import time
from collections.abc import Callable
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr.constraints import Constraint, charset, lexicon
from simpleocr.decoding import constrained
from simpleocr.likelihood import NEVER, LogProbs, log_likelihood
from simpleocr.patterns import pattern
from simpleocr.trellis import PRECISION, Network, Tree, trellis
from simpleocr.vocabulary import VOCABULARIES, Vocabulary

AB1 = Vocabulary("ab1")
SPACED = Vocabulary("ab ")
ENGLISH = VOCABULARIES["english"]
WORDS = ["a", "ab", "aab", "bb", "1", "aa1"]


def random_log_probs(steps: int, classes: int, seed: int, sharpness: float = 2.0) -> LogProbs:
    logits = np.random.default_rng(seed).normal(size=(steps, classes)) * sharpness
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), dtype=np.float32)


def every_text(log_probs: LogProbs) -> dict[tuple[int, ...], float]:
    """P of each text, as class ids, by going through all paths."""
    found: dict[tuple[int, ...], float] = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = tuple(c for c, _ in groupby(path) if c)
        p = float(np.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path))))
        found[text] = found.get(text, 0.0) + p
    return found


def tree(constraint: Constraint) -> Tree:
    return Tree.of(constraint.edges, constraint.accepting, constraint.to_go)


CONSTRAINTS: dict[str, Callable[[], Constraint]] = {
    "charset": lambda: charset("a1", AB1),
    "lexicon": lambda: lexicon(WORDS, AB1),
    "lexicon of phrases": lambda: lexicon(["a", "b a", "b ab", "aa"], SPACED),
    "pattern": lambda: pattern("[ab]1?", AB1),
    "pattern with doubles": lambda: pattern("a+b{0,2}1*", AB1),
    "pattern with spaces": lambda: pattern("a* ?b+", SPACED),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
@settings(max_examples=8, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10_000), st.floats(0.3, 4))
def test_beginnings_are_as_likely_as_all_their_texts(name: str, steps: int, seed: int, sharpness: float) -> None:
    constraint = CONSTRAINTS[name]()
    log_probs = random_log_probs(steps, AB1.num_classes, seed, sharpness)
    allowed = {text: p for text, p in every_text(log_probs).items() if constraint.accepts(text)}
    ways = [trellis(constraint.edges, constraint.accepting, constraint.to_go)]
    if "lexicon" in name:
        ways.append(tree(constraint))
    for way in ways:
        assert np.exp(way.log_mass(log_probs)) == pytest.approx(sum(allowed.values()), rel=1e-4)
        for text, p in allowed.items():
            masses = way.beginnings(log_probs, text)
            expected = [sum(q for other, q in allowed.items() if other[:n] == text[:n]) for n in range(len(text) + 1)]
            assert np.exp(masses) == pytest.approx([*expected, p], rel=1e-4)


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("seed", range(4))
def test_each_character_is_as_sure_as_among_what_is_allowed(name: str, seed: int) -> None:
    constraint = CONSTRAINTS[name]()
    vocabulary = SPACED if "phrases" in name or "spaces" in name else AB1
    log_probs = random_log_probs(5, AB1.num_classes, seed)
    allowed = {text: p for text, p in every_text(log_probs).items() if constraint.accepts(text)}
    decoded = constrained(constraint)(log_probs, vocabulary)
    text = tuple(vocabulary.encode(decoded.text))
    assert decoded.allowed is not None
    before = sum(allowed.values())
    for n, log_char in enumerate(decoded.allowed.log_chars, start=1):
        begins = sum(p for other, p in allowed.items() if other[:n] == text[:n])
        assert np.exp(log_char) == pytest.approx(begins / before, rel=1e-3)
        before = begins
    log_end = decoded.allowed.log_prob - sum(decoded.allowed.log_chars)
    assert np.exp(log_end) == pytest.approx(allowed[text] / before, rel=1e-3)
    assert np.exp(decoded.allowed.log_prob) == pytest.approx(allowed[text] / sum(allowed.values()), rel=1e-3)
    assert decoded.allowed.log_prob == pytest.approx(log_likelihood(log_probs, text) - decoded.log_mass, abs=1e-5)


def test_the_letter_that_must_be_is_sure_and_the_doubtful_one_is_not() -> None:
    """The picture says 4, which may not be; whether 3 or 8 follows is what is not known."""
    vocabulary = Vocabulary("A348")
    rows = np.full((3, 5), 1e-9)
    rows[0, [1, 3]], rows[1, 0], rows[2, [2, 4]] = (0.001, 0.999), 1.0, (0.6, 0.4)
    decoded = constrained(pattern("[A-Z][0-9]", vocabulary))(np.log(rows).astype(np.float32), vocabulary)
    assert decoded.text == "A3"
    assert decoded.allowed is not None
    assert np.exp(decoded.allowed.log_chars) == pytest.approx([1.0, 0.6], abs=1e-3)
    assert np.exp(decoded.allowed.log_prob) == pytest.approx(0.6, abs=1e-3)


def test_the_states_of_a_lexicon_hold_the_exact_probability_of_each_word() -> None:
    constraint = lexicon(WORDS, AB1)
    log_probs = random_log_probs(9, AB1.num_classes, 8)
    states, mass, scale = tree(constraint).state_mass(log_probs)
    for word in WORDS:
        state = 0
        for c in AB1.encode(word):
            state = constraint.edges[state][c]
        log_prob = float(np.log(mass[states == state][0])) + scale
        assert log_prob == pytest.approx(log_likelihood(log_probs, AB1.encode(word)), abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10_000), st.floats(0.2, 8))
def test_what_a_tree_leaves_out_is_as_little_as_it_says(steps: int, seed: int, sharpness: float) -> None:
    constraint = many_words(300)
    log_probs = random_log_probs(steps, ENGLISH.num_classes, seed, sharpness)
    network = Network.of(constraint.edges, constraint.accepting)
    exact = network.log_mass(log_probs)
    states, mass, scale = tree(constraint)._forward_everywhere(np.exp(log_probs.astype(np.float64)))
    everywhere = mass[[int(state) in constraint.accepting for state in states]].sum()
    assert np.exp(exact) == pytest.approx(everywhere * np.exp(scale), rel=1e-9)
    if exact > NEVER:
        assert tree(constraint).log_mass(log_probs) == pytest.approx(exact, abs=2 * PRECISION, rel=1e-12)
        best = ENGLISH.encode(constrained(constraint)(log_probs, ENGLISH).text)
        expected = network.beginnings(log_probs, best)
        assert np.exp(np.array(tree(constraint).beginnings(log_probs, best)) - exact) == pytest.approx(
            np.exp(np.array(expected) - exact), abs=2 * PRECISION
        )


@pytest.mark.parametrize("of", [lambda c: Network.of(c.edges, c.accepting), tree])
def test_what_does_not_fit_has_no_mass(of: Callable[[Constraint], Network | Tree]) -> None:
    way = of(lexicon(["aaab"], AB1))
    assert way.log_mass(random_log_probs(3, AB1.num_classes, 0)) <= NEVER
    assert way.log_mass(np.zeros((0, AB1.num_classes), dtype=np.float32)) <= NEVER
    assert of(pattern("(ab)?", AB1)).log_mass(np.zeros((0, AB1.num_classes), dtype=np.float32)) == 0


def test_a_word_that_fits_a_blank_line_has_a_mass() -> None:
    """The places that can no longer end hold almost everything, and must not push the rest out of a float's range."""
    log_probs = np.full((400, AB1.num_classes), -30.0, dtype=np.float32)
    log_probs[:, 0] = 0.0
    constraint = lexicon(["ab" * 60], AB1)
    ids = AB1.encode("ab" * 60)
    for way in (tree(constraint), Network.of(constraint.edges, constraint.accepting)):
        # exact to some hundred powers of ten, which is more than any confidence can show
        assert way.log_mass(log_probs) == pytest.approx(log_likelihood(log_probs, ids), rel=0.05)
        masses = way.beginnings(log_probs, ids)
        assert masses == sorted(masses, reverse=True)
        assert masses[-1] == pytest.approx(log_likelihood(log_probs, ids), rel=1e-6)


def many_words(count: int) -> Constraint:
    rng = np.random.default_rng(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return lexicon(
        ["".join(letters[i] for i in rng.integers(0, 26, rng.integers(3, 10))) for _ in range(count)], ENGLISH
    )


def test_a_large_lexicon_is_read_in_one_pass() -> None:
    constraint = many_words(20_000)
    noise = random_log_probs(40, ENGLISH.num_classes, 1)
    constraint.log_mass(noise)
    started = time.perf_counter()
    constraint.log_mass(noise)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0, 6.0, 12.0])
def test_a_large_lexicon_has_the_mass_that_all_its_places_give(sharpness: float) -> None:
    constraint = many_words(5_000)
    log_probs = random_log_probs(30, ENGLISH.num_classes, 2, sharpness)
    log_probs[::2, 0] += 2 * sharpness
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    states, mass, scale = tree(constraint)._forward_everywhere(np.exp(log_probs.astype(np.float64)))
    total = mass[[int(state) in constraint.accepting for state in states]].sum()
    assert constraint.log_mass(log_probs) == pytest.approx(np.log(total) + scale, abs=2 * PRECISION, rel=1e-12)


def test_a_large_lexicon_costs_little_where_it_is_plain_what_is_said() -> None:
    constraint = many_words(20_000)
    word = next(iter(words_of(constraint)))
    logits = np.random.default_rng(1).normal(size=(4 * len(word) + 3, ENGLISH.num_classes)) * 1.5
    logits[:, 0] += 8
    logits[3 + 4 * np.arange(len(word)), word] += 18
    log_probs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    constraint.log_mass(log_probs)
    times = []
    for _ in range(10):
        started = time.perf_counter()
        constraint.log_mass(log_probs)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.03, f"{min(times) * 1000:.1f} ms"  # 3 ms on an idle machine; room for a busy one


def words_of(constraint: Constraint) -> list[list[int]]:
    """Some of the words of a lexicon, as class ids."""
    found: list[list[int]] = []
    todo: list[tuple[int, list[int]]] = [(0, [])]
    while todo and len(found) < 5:
        state, ids = todo.pop()
        if state in constraint.accepting:
            found.append(ids)
        todo += [(following, [*ids, c]) for c, following in constraint.edges[state].items()]
    return found


def test_lexicons_are_trees_when_they_are_large() -> None:
    assert isinstance(many_words(2_000)._trellis, Tree)
    assert isinstance(lexicon(WORDS, AB1)._trellis, Network)
    assert isinstance(pattern(r"\d{200}x?", ENGLISH)._trellis, Network)
