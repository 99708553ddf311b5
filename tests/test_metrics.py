"""simpleocr.metrics: edits against independent references, rates over the whole set."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from simpleocr.metrics import (
    NORMALISATIONS,
    align,
    cer,
    confusions,
    edit_distance,
    exact_match,
    matches,
    right_spaces,
    wer,
)

short = st.text("ab ", max_size=6)
law = settings(deadline=None, max_examples=50)


def naive(prediction: Sequence[str], target: Sequence[str]) -> int:
    """The definition, without a table."""
    if not prediction or not target:
        return len(prediction) + len(target)
    if prediction[0] == target[0]:
        return naive(prediction[1:], target[1:])
    return 1 + min(naive(prediction[1:], target[1:]), naive(prediction[1:], target), naive(prediction, target[1:]))


def noisy_pairs(count: int, length: int) -> list[tuple[str, str]]:
    """(prediction, target): words, and the same with some edits."""
    rng = random.Random(7)
    pairs = []
    for _ in range(count):
        target = " ".join("".join(rng.choices("abcdeéf", k=rng.randint(1, 8))) for _ in range(length))
        units = [rng.choice(["", "x", c + "y", " "]) if rng.random() < 0.15 else c for c in target]
        pairs.append((" ".join("".join(units).split()) or "x", target))
    return pairs


@law
@given(short, short)
def test_edit_distance_is_the_naive_recursion(prediction: str, target: str) -> None:
    expected = naive(prediction, target)
    assert edit_distance(prediction=prediction, target=target) == expected
    assert edit_distance(prediction=target, target=prediction) == expected
    assert edit_distance(prediction=list(prediction), target=tuple(target)) == expected


@law
@given(short, short)
def test_align_is_a_shortest_way_from_target_to_prediction(prediction: str, target: str) -> None:
    path = align(prediction=prediction, target=target)
    assert "".join(of_target for _, of_target, _ in path) == target
    assert "".join(of_prediction for _, _, of_prediction in path) == prediction
    assert sum(kind != "equal" for kind, _, _ in path) == naive(prediction, target)
    for kind, of_target, of_prediction in path:
        match kind:
            case "equal":
                assert of_target == of_prediction != ""
            case "replace":
                assert "" != of_target != of_prediction != ""
            case "delete":
                assert of_target != "" == of_prediction
            case "insert":
                assert of_target == "" != of_prediction


def test_align_by_example() -> None:
    assert align(prediction="", target="") == []
    assert align(prediction="b", target="") == [("insert", "", "b")]
    assert align(prediction="", target="ab") == [("delete", "a", ""), ("delete", "b", "")]
    assert align(prediction="cat", target="cart") == [
        ("equal", "c", "c"),
        ("equal", "a", "a"),
        ("delete", "r", ""),
        ("equal", "t", "t"),
    ]
    assert align(prediction=["of", "x"], target=["of", "y"]) == [("equal", "of", "of"), ("replace", "y", "x")]


def test_longer_texts_against_rapidfuzz() -> None:
    for prediction, target in noisy_pairs(20, 12):
        expected = Levenshtein.distance(prediction, target)
        assert edit_distance(prediction=prediction, target=target) == expected
        assert sum(kind != "equal" for kind, _, _ in align(prediction=prediction, target=target)) == expected
        words = prediction.split(), target.split()
        assert edit_distance(prediction=words[0], target=words[1]) == Levenshtein.distance(*words)


def test_rates_against_jiwer() -> None:
    jiwer = pytest.importorskip("jiwer")
    predictions, targets = (list(side) for side in zip(*noisy_pairs(20, 8), strict=True))
    assert cer(predictions=predictions, targets=targets) == pytest.approx(jiwer.cer(targets, predictions))
    assert wer(predictions=predictions, targets=targets) == pytest.approx(jiwer.wer(targets, predictions))
    assert 0.05 < cer(predictions=predictions, targets=targets) < wer(predictions=predictions, targets=targets)


def test_rates_are_of_the_set_not_means_of_lines() -> None:
    predictions, targets = ["abcdefghij", "x"], ["abcdefghij", "y"]
    assert cer(predictions=predictions, targets=targets) == 1 / 11
    assert wer(predictions=["a b c d", "x"], targets=["a b c d", "y"]) == 1 / 5
    assert cer(predictions=["aaaa"], targets=["b"]) == 4  # can exceed 1
    assert cer(predictions=["A"], targets=["a"]) == 1  # forgives nothing
    assert wer(predictions=[" a  b "], targets=["a b"]) == 0


def test_empty_inputs() -> None:
    assert edit_distance(prediction="", target="") == 0
    for rate in (cer, wer):
        assert rate(predictions=[], targets=[]) == 0
        assert rate(predictions=["", ""], targets=["", ""]) == 0
        assert rate(predictions=["", "a"], targets=["b", "a"]) == 0.5
        assert rate(predictions=["a"], targets=[""]) > 0  # an invented text is an error
        assert rate(predictions=[""], targets=["abc"]) == 1
    assert exact_match(predictions=[], targets=[], normalisation="raw") == 0
    assert right_spaces(prediction="", target="") == 0
    assert confusions(predictions=[], targets=[]) == Counter()


def test_as_many_predictions_as_targets_by_name() -> None:
    for function in (cer, wer, confusions):
        with pytest.raises(ValueError, match="argument 2"):
            function(predictions=["a"], targets=[])
        with pytest.raises(TypeError):
            function(["a"], ["a"])  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="argument 2"):
        exact_match(predictions=[], targets=["a"], normalisation="raw")


@pytest.mark.parametrize("name", NORMALISATIONS)
@given(text=st.text())
@law
def test_normalisations_are_idempotent_and_forgive_an_equal_text(name: str, text: str) -> None:
    fold = NORMALISATIONS[name]
    assert fold(fold(text)) == fold(text)
    assert exact_match(predictions=[text], targets=[text], normalisation=name) == 1


@pytest.mark.parametrize(
    ("prediction", "target", "forgiven_by"),
    [
        ("a", "a", {"raw", "caseless", "alphanumeric"}),
        ("Ab", "aB", {"caseless", "alphanumeric"}),
        ("a-b!", "A b", {"alphanumeric"}),
        ("É", "é", {"caseless", "alphanumeric"}),  # the last because both become nothing
        ("a1", "al", set()),
        ("ab", "ba", set()),
    ],
)
def test_what_each_normalisation_forgives(prediction: str, target: str, forgiven_by: set[str]) -> None:
    found = {
        n for n in NORMALISATIONS if matches(predictions=[prediction], targets=[target], normalisation=n) == [True]
    }
    assert found == forgiven_by


def test_exact_match_is_a_share() -> None:
    predictions, targets = ["a", "B", "c", "d"], ["a", "b", "x", "d "]
    assert matches(predictions=predictions, targets=targets, normalisation="raw") == [True, False, False, False]
    assert exact_match(predictions=predictions, targets=targets, normalisation="raw") == 0.25
    assert exact_match(predictions=predictions, targets=targets, normalisation="caseless") == 0.5
    assert exact_match(predictions=predictions, targets=targets, normalisation="alphanumeric") == 0.75


@pytest.mark.parametrize(
    ("prediction", "target", "right"),
    [
        ("ab", "ab", 0),
        ("a b", "a b", 1),
        ("ab", "a b", 0),
        ("a b", "ab", 0),
        ("a bc", "a b c", 1),
        ("a b c", "a bc", 1),
        ("", "a b c", 0),
        ("axb", "a b", 0),
        ("a b cd e", "a bc d e", 2),
        ("a bcd", "ab c d", 0),  # every letter is right, and no space
        ("ab c d", "a bcd", 0),
    ],
)
def test_right_spaces_by_example(prediction: str, target: str, right: int) -> None:
    assert right_spaces(prediction=prediction, target=target) == right


@law
@given(st.sets(st.integers(0, 6)), st.sets(st.integers(0, 6)))
def test_a_space_is_right_where_both_have_one(some: set[int], others: set[int]) -> None:
    def text(gaps: set[int]) -> str:
        return "".join(c + " " * (i in gaps) for i, c in enumerate("abcdefgh"))

    assert right_spaces(prediction=text(some), target=text(others)) == len(some & others)


@law
@given(st.lists(st.tuples(short, short), max_size=4))
def test_confusions_count_every_edit_once(pairs: list[tuple[str, str]]) -> None:
    predictions, targets = [p for p, _ in pairs], [t for _, t in pairs]
    counts = confusions(predictions=predictions, targets=targets)
    assert counts.total() == sum(naive(p, t) for p, t in pairs)
    assert all(of_target != of_prediction for of_target, of_prediction in counts)
    length_change = sum(n * (len(p) - len(t)) for (t, p), n in counts.items())
    assert length_change == sum(len(p) - len(t) for p, t in pairs)


def test_confusions_by_example() -> None:
    found = confusions(predictions=["c1ty", "1t", "ab"], targets=["city", "it", "a b"])
    assert found == {("i", "1"): 2, (" ", ""): 1}
