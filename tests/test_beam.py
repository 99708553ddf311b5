"""beam search, constraints and patterns: against going through every path, and against Python's own expressions."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr.beam import beam_search
from simpleocr.constraints import Constraint, ConstraintError, charset, lexicon
from simpleocr.decoding import Decoder, beam, greedy
from simpleocr.likelihood import LogProbs, log_likelihood
from simpleocr.patterns import MOST_STATES, pattern
from simpleocr.vocabulary import VOCABULARIES, Vocabulary, normalize

ABC = Vocabulary("ab 1")
ENGLISH = VOCABULARIES["english"]


def random_log_probs(steps: int, classes: int, seed: int, sharpness: float = 2.0) -> LogProbs:
    logits = np.random.default_rng(seed).normal(size=(steps, classes)) * sharpness
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), dtype=np.float32)


def every_text(log_probs: LogProbs, vocabulary: Vocabulary, *, fold: bool = True) -> dict[str, float]:
    """P of each text by going through all paths; if `fold`, of what normalize() makes of it."""
    found: dict[str, float] = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = vocabulary.decode([c for c, _ in groupby(path) if c])
        text = normalize(text) if fold else text
        p = float(np.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path))))
        found[text] = found.get(text, 0.0) + p
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10_000))
def test_a_beam_wide_enough_is_exact(steps: int, seed: int) -> None:
    log_probs = random_log_probs(steps, ABC.num_classes, seed)
    probabilities = every_text(log_probs, ABC)
    found = beam_search(log_probs, ABC, width=5000, count=5000, cutoff=0)
    assert {ABC.decode(list(h.ids)): pytest.approx(np.exp(h.log_prob), rel=1e-4) for h in found} == probabilities
    assert [h.log_score for h in found] == sorted((h.log_score for h in found), reverse=True)
    for h in found:
        assert log_likelihood(log_probs, h.ids, ABC.space) == pytest.approx(h.log_prob, abs=1e-4)


CONSTRAINTS: dict[str, tuple[Callable[[], Constraint], Callable[[str], bool]]] = {
    "charset": (lambda: charset("a1", ABC), lambda text: set(text) <= set("a1")),
    "lexicon": (lambda: lexicon(["a", "ab", "a b", "bb", "1"], ABC), {"a", "ab", "a b", "bb", "1"}.__contains__),
    "charset with a space": (lambda: charset("a1 ", ABC), lambda text: set(text) <= set("a1 ")),
    "pattern with spaces": (lambda: pattern(" ?a* +b?", ABC), lambda text: bool(re.fullmatch(" ?a* +b?", text))),
    "pattern": (lambda: pattern("a+b?|1{2}", ABC), lambda text: bool(re.fullmatch("a+b?|1{2}", text))),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("seed", range(6))
def test_constrained_search_is_exact_too(name: str, seed: int) -> None:
    make, allowed = CONSTRAINTS[name]
    constraint = make()
    log_probs = random_log_probs(5, ABC.num_classes, seed)
    every = every_text(log_probs, ABC, fold=False)
    probabilities = {text: p for text, p in every.items() if allowed(text) and text == normalize(text)}
    found = beam_search(log_probs, ABC, width=5000, count=5000, cutoff=0, constraint=constraint)
    assert {ABC.decode(list(h.ids)): pytest.approx(np.exp(h.log_prob), rel=1e-4) for h in found} == probabilities
    assert np.exp(constraint.log_mass(log_probs)) == pytest.approx(sum(probabilities.values()), rel=1e-4)


def test_the_mass_of_all_texts_is_one() -> None:
    everything = charset(ENGLISH.characters.replace(" ", ""), ENGLISH)
    log_probs = random_log_probs(80, ENGLISH.num_classes, 3, 1.0)
    log_probs[:, ENGLISH.space] = -60
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    assert everything.log_mass(log_probs) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("width", [1, 2, 5, 10])
def test_prefixes_that_are_passed_over_would_not_have_come_into_the_beam(width: int) -> None:
    for seed, (make, _) in enumerate(CONSTRAINTS.values()):
        constraint = make()
        for sharpness in (0.5, 2.0, 6.0):
            log_probs = random_log_probs(14, ABC.num_classes, seed, sharpness)
            found = beam_search(log_probs, ABC, width=width, count=width, constraint=constraint)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("simpleocr.beam._least", lambda *_: 0.0)
                assert beam_search(log_probs, ABC, width=width, count=width, constraint=constraint) == found


@pytest.mark.parametrize("steps", [4, 5, 6, 12])
def test_a_narrow_beam_still_ends_in_an_allowed_text(steps: int) -> None:
    """The picture says nothing of the kind, and the beam is full of what does not fit: an end must be found in time."""
    dates = pattern(r"\d\d/\d", ENGLISH)
    log_probs = random_log_probs(steps, ENGLISH.num_classes, steps, 8.0)
    found = beam_search(log_probs, ENGLISH, width=3, constraint=dates)
    assert found
    assert re.fullmatch(r"\d\d/\d", ENGLISH.decode(list(found[0].ids)))
    assert beam_search(log_probs[:3], ENGLISH, width=3, constraint=dates) == []


def test_a_beam_beats_the_best_path() -> None:
    # two alignments of "a" together outweigh the one path that is likeliest
    probabilities = np.array([[0.4, 0.35, 0.25], [0.4, 0.35, 0.25]])
    two = Vocabulary("ab")
    found = beam_search(np.log(probabilities).astype(np.float32), two)
    assert two.decode(list(found[0].ids)) == "a"


def test_a_long_line_of_noise_does_not_underflow() -> None:
    log_probs = random_log_probs(1500, ENGLISH.num_classes, 0, 0.2)
    found = beam_search(log_probs, ENGLISH, width=4)
    assert len(found) == 1
    assert found[0].log_prob < -1000


class Doubling:
    """A language in which every character is said twice."""

    def log_next(self, text: tuple[int, ...], following: int) -> float:
        return -0.01 if following == 0 or (text and text[-1] == following) else -3.0


def test_a_language_decides_between_likes() -> None:
    # "ab" and "aa" look the same to the network
    rows = np.full((3, 3), 0.02)
    rows[0, 1], rows[1, 0], rows[2, 1], rows[2, 2] = 0.96, 0.96, 0.49, 0.49
    log_probs = np.log(rows).astype(np.float32)
    two = Vocabulary("ab")
    best = beam_search(log_probs, two, language=Doubling(), weight=0.5)[0]
    assert two.decode(list(best.ids)) == "aa"
    assert best.log_score < best.log_prob


def like_a_word() -> LogProbs:
    """What a word of 40 timesteps looks like: sharp, with a few doubtful places."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(40, ENGLISH.num_classes)) * 1.5
    logits[np.arange(40), rng.integers(0, ENGLISH.num_classes, 40)] += 9
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), dtype=np.float32)


def shortest_time(work: Callable[[], object]) -> float:
    """In seconds of this thread alone: on an idle machine those of the clock, on a busy one not what others take."""
    times = []
    for _ in range(20):
        started = time.thread_time()
        work()
        times.append(time.thread_time() - started)
    return min(times)


def test_beam_of_ten_is_fast_enough() -> None:
    log_probs = like_a_word()
    fastest = shortest_time(lambda: beam_search(log_probs, ENGLISH, width=10))
    assert fastest < 0.01, f"{fastest * 1000:.1f} ms"  # 5 ms on an idle machine; room for a busy one


@pytest.mark.parametrize("name", ["date", "serial number", "charset"])
def test_a_constraint_is_fast_enough(name: str) -> None:
    constraint = {
        "date": pattern(r"\d\d/\d\d/\d{4}", ENGLISH),
        "serial number": pattern("[A-Z0-9]{10}", ENGLISH),
        "charset": charset("abcdefghijklmnoprstu", ENGLISH),
    }[name]
    log_probs = like_a_word()
    fastest = shortest_time(lambda: beam(log_probs, ENGLISH, constraint=constraint))
    assert fastest < 0.02, f"{fastest * 1000:.1f} ms"  # 5 ms on an idle machine; room for a busy one


EXPRESSIONS = [
    "a",
    "ab|b1",
    "(a|b)*1",
    "a?b+",
    "[ab]{2}",
    "[^a]+",
    "a{2,}",
    "a{1,3}b",
    "(ab){0,2}",
    r"\d\w?",
    r"\D+",
    ".",
    "(?:a|1 )+",
    "^ab$",
    "[a-b]*1?",
    r"[\d-]{1,2}",
    "a(b|)1",
    "(a*)*b",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_patterns_agree_with_pythons_expressions(expression: str) -> None:
    try:
        automaton = pattern(expression, ABC)
    except ConstraintError:
        assert "repetition of a repetition" in expression
        return
    for length in range(6):
        for text in map("".join, product(ABC.characters, repeat=length)):
            if text == normalize(text):
                allowed = bool(re.fullmatch(expression, text))
                assert automaton.accepts(ABC.encode(text)) == allowed, (expression, text)
            else:
                assert not automaton.accepts(ABC.encode(text))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_an_expression_makes_is_accepted(data: st.DataObject) -> None:
    expression = data.draw(
        st.sampled_from(
            [r"[A-Z]{2}-\d{4}", r"\d{1,2}/\d{1,2}/(19|20)\d\d", r"(?:[A-Z]\d){3}", r"\$?\d+\.\d\d", r"#[0-9a-f]{6}"]
        )
    )
    text = data.draw(st.from_regex(re.compile(expression, re.ASCII), fullmatch=True))
    assert pattern(expression, ENGLISH).accepts(ENGLISH.encode(text))
    assert not pattern(expression, ENGLISH).accepts(ENGLISH.encode(text + "~"))


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("(a", "not closed"),
        ("a)", "too many"),
        ("*a", "nothing to repeat"),
        ("a{3,1}", "the smaller first"),
        ("a{3,0}", "the smaller first"),
        ("  a", "no text is allowed by the pattern"),
        ("a{999}", "from 0 to 200"),
        pytest.param(f"a{{{'9' * 5000}}}", "from 0 to 200", id="more digits than Python takes for a number"),
        pytest.param(f"a{{1,{'9' * 5000}}}", "from 0 to 200", id="as the greatest, too"),
        ("[ab", "unexpected end"),
        ("(?=a)", "looks around"),
        (r"(a)\1", "escape"),
        ("a**", "repetition of a repetition"),
        ("a+?", "lazy"),
        ("a{x}", "number of times"),
        ("z", "no text is allowed by the pattern"),
        ("a\\", "unexpected end"),
        ("[b-a]", "range"),
        ("a^b", "inside"),
        ("(((a{200}){200}){200})", "too large"),
        ("(" * 60 + "a" + ")" * 60, "groups in each other"),
    ],
)
def test_what_is_not_understood_is_said(expression: str, fault: str) -> None:
    with pytest.raises(ConstraintError, match=fault):
        pattern(expression, ABC)


@pytest.mark.parametrize(
    ("expression", "at"),
    [
        ("a^b", 2),
        ("a$|b", 2),
        ("a|^b", 3),
        ("(b|a$)", 5),
        ("(^a){2}", 2),
        ("a{,3}", 2),
        ("ab{x}c", 3),
        ("a{3,1}", 2),
        ("(a|b{999})", 5),
        ("*a", 1),
        ("a|*", 3),
        ("b(a", 2),
        ("b(?=a)", 2),
        ("a)", 2),
        ("a**", 3),
        ("a+?", 3),
        (r"b\1", 2),
        (r"[a\1]", 3),
        ("[1b-a]", 3),
        ("[ab", 4),
    ],
)
def test_a_fault_of_a_pattern_is_said_to_be_where_it_is(expression: str, at: int) -> None:
    with pytest.raises(ConstraintError, match=f"at character {at} "):
        pattern(expression, ABC)


@pytest.mark.parametrize("decoder", [greedy, beam])
def test_a_vocabulary_without_a_space_can_say_nothing(decoder: Decoder) -> None:
    digits = VOCABULARIES["digits"]
    log_probs = np.full((6, digits.num_classes), np.log(0.001), dtype=np.float32)
    log_probs[:, 0] = np.log(0.99)
    assert decoder(log_probs, digits).text == ""
    assert beam_search(log_probs, digits)[0].ids == ()
    held = beam_search(log_probs, digits, constraint=pattern(r"\d*", digits))
    assert held[0].ids == ()


@pytest.mark.parametrize(("weight", "length"), [(3.0, 160), (1.0, 600)])
def test_a_language_weighs_long_lines_exactly(weight: float, length: int) -> None:
    class Two:
        def log_next(self, text: tuple[int, ...], following: int) -> float:
            return -2.0

    ids = [1 + i % 2 for i in range(length)]
    log_probs = np.full((length, ABC.num_classes), -20.0, dtype=np.float32)
    log_probs[np.arange(length), ids] = -1e-6
    best = beam_search(log_probs, ABC, language=Two(), weight=weight)[0]
    assert list(best.ids) == ids
    assert best.log_score == pytest.approx(best.log_prob - 2 * weight * (length + 1), rel=1e-6)


@pytest.mark.parametrize("expression", ["((.?){60}){40}", r"(\d{100}){60}", "(.*a){150}", "((a?)?)?" * 20])
def test_no_pattern_takes_long(expression: str) -> None:
    started = time.perf_counter()
    with suppress(ConstraintError):
        pattern(expression, ENGLISH)
    assert time.perf_counter() - started < 8


def test_states_are_counted_when_all_are_there() -> None:
    with pytest.raises(ConstraintError, match="more than 10000 states"):
        pattern(".*a.{12}", ENGLISH)
    assert len(pattern(".*a.{10}", ENGLISH).edges) < MOST_STATES


def test_deeply_nested_options_are_read_once() -> None:
    expression = "a" + "(b" * 20 + ")?" * 20
    automaton = pattern(expression, ABC)
    assert automaton.accepts(ABC.encode("abbbb"))
    assert not automaton.accepts(ABC.encode("ba"))


def test_constraints_say_what_the_model_cannot_write() -> None:
    with pytest.raises(ConstraintError, match="cannot write 'ß'"):
        charset("abß", ENGLISH)
    with pytest.raises(ConstraintError, match="without characters"):
        charset("", ENGLISH)
    for nothing in (lexicon(["a", ""], ABC), pattern("a?", ABC), charset("a ", ABC)):  # may be what a line says
        assert nothing.accepts([])
    with pytest.raises(ConstraintError, match="no text but the empty one is allowed"):
        lexicon(["", " "], ABC)
    with pytest.raises(ConstraintError, match="no text but the empty one is allowed"):
        pattern("", ABC)
    with pytest.raises(ConstraintError, match="without words"):
        lexicon([], ENGLISH)
    with pytest.raises(ConstraintError, match="straße"):
        lexicon(["street", "straße"], ENGLISH)


def test_shapes_and_widths_are_checked() -> None:
    with pytest.raises(ValueError, match="shape"):
        beam_search(random_log_probs(3, 4, 0), ENGLISH)
    with pytest.raises(ValueError, match="width"):
        beam_search(random_log_probs(3, ABC.num_classes, 0), ABC, width=0)
    empty = beam_search(np.zeros((0, ABC.num_classes), dtype=np.float32), ABC)
    assert [h.ids for h in empty] == [()]


@pytest.mark.parametrize("timesteps", [1, 2, 5])
def test_the_way_out_is_taken_however_unlikely_when_time_is_up(timesteps: int) -> None:
    """Each of 94 characters may follow itself; the one that ends a text is the least likely of all."""
    vocabulary = VOCABULARIES["ascii"]
    row = np.full(vocabulary.num_classes, 0.01)
    row[0], row[vocabulary.encode("~")[0]] = 1e-6, 1e-9
    log_probs = np.log(np.tile(row / row.sum(), (timesteps, 1))).astype(np.float32)
    (best,) = beam_search(log_probs, vocabulary, constraint=pattern("[^~]*~", vocabulary))
    assert vocabulary.decode(list(best.ids)).endswith("~")
