"""calibration: against figures by hand, against sampling, and temperatures that are found again."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from simpleocr import metrics
from simpleocr.crnn import CRNN
from simpleocr.likelihood import log_likelihood
from simpleocr.retry import looks
from simpleocr.vocabulary import VOCABULARIES, Vocabulary
from tests.test_beam import every_text, random_log_probs
from tests.test_crnn import random_network
from tests.test_recognition import InkNetwork, bars, noise
from training import calibrate
from training.calibration import (
    account,
    by_chance,
    careful_temperature,
    confidences,
    folded,
    folding,
    most_cautious,
    surprises,
    tempered,
)


def test_calibration_error_by_hand() -> None:
    error = metrics.calibration_error(confidences=[0.9, 0.8, 0.3, 0.2], right=[True, False, False, False], bins=2)
    assert error == pytest.approx((abs(0.25 - 0) * 2 + abs(0.85 - 0.5) * 2) / 4)
    assert metrics.calibration_error(confidences=[], right=[]) == 0
    assert metrics.calibration_error(confidences=[1.0, 0.0], right=[True, False]) == 0
    assert sum(n for *_, n in metrics.calibration_bins(confidences=[0.1] * 40, right=[False] * 40)) == 40


def test_equal_confidences_share_a_bin() -> None:
    right = [True] * 900 + [False] * 100
    ((confidence, share, count),) = metrics.calibration_bins(confidences=[0.9] * 1000, right=right)
    assert [confidence, share, count] == pytest.approx([0.9, 0.9, 1000])
    assert metrics.calibration_error(confidences=[0.9] * 1000, right=right) == pytest.approx(0)
    # whichever of the equal ones come first: the edge after two would part the three
    for order in ([True, False, False], [False, False, True]):
        found = metrics.calibration_bins(confidences=[0.2, 0.6, 0.6, 0.6, 0.9], right=[False, *order, True], bins=2)
        assert found == [(pytest.approx(0.5), 0.25, 4), (0.9, 1.0, 1)]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_what_is_drawn_from_its_confidence_is_calibrated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_ = rng.random(20_000)
    right = rng.random(20_000) < given_
    assert metrics.calibration_error(confidences=given_.tolist(), right=right.tolist()) < 0.02
    assert metrics.calibration_error(confidences=(given_**0.3).tolist(), right=right.tolist()) > 0.1


@pytest.mark.parametrize("exponent", [1, 0.1])  # most confidences are close to 1
def test_by_chance_is_what_calibrated_sets_show(exponent: float) -> None:
    rng = np.random.default_rng(3)
    given_ = np.concatenate([rng.random(240) ** exponent, np.full(17, 0.9)]).tolist()  # equal ones share a bin
    shown = [
        metrics.calibration_error(confidences=given_, right=(rng.random(257) < given_).tolist()) for _ in range(600)
    ]
    assert by_chance(given_) == pytest.approx(np.quantile(shown, (0.025, 0.975)), rel=0.1)
    assert by_chance(given_) == by_chance(given_[::-1]), "drawn from one seed, in any order"


def test_by_chance_of_few_and_of_sure_ones() -> None:
    assert by_chance([]) == (0.0, 0.0)
    assert by_chance([1.0, 0.0] * 40) == (0.0, 0.0)
    assert by_chance([0.5] * 4) == (0.0, 0.5)


def test_risk_and_coverage_by_hand() -> None:
    points = metrics.risk_coverage(confidences=[0.9, 0.5, 0.5, 0.1], right=[True, True, False, False])
    assert points == [(0.25, 0.0), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]
    assert metrics.risk_coverage(confidences=[0.5, 0.5], right=[False, True]) == [(1.0, 0.5)], "taken in together"
    assert metrics.risk_coverage(confidences=[], right=[]) == []
    found = account([0.9, 0.5, 0.5, 0.1], [True, True, False, False])
    assert found["area_under_risk_coverage"] == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 * 0.5)
    assert json.loads(json.dumps(found)) == found
    assert account([], [])["error"] == 0


def test_folding_is_what_the_normalisation_does() -> None:
    vocabulary = VOCABULARIES["english"]
    for name, fold in metrics.NORMALISATIONS.items():
        ids = folding(vocabulary, name)
        for c in vocabulary.characters:
            found = ids[vocabulary.encode(c)[0]]
            assert (vocabulary.character(found) if found else "") == fold(c), (name, c)


@pytest.mark.parametrize("seed", range(4))
def test_folded_probabilities_are_those_of_all_texts_that_fold_alike(seed: int) -> None:
    vocabulary = Vocabulary("aA.")
    log_probs = random_log_probs(4, vocabulary.num_classes, seed)
    # the one thing that differs: an "a" and an "A" side by side are two letters, and folded one
    log_probs[:, 2] = -12
    ids = folding(vocabulary, "alphanumeric")
    fold = metrics.NORMALISATIONS["alphanumeric"]
    every = every_text(log_probs, vocabulary)
    for text in ("", "a", "aa"):
        expected = sum(p for other, p in every.items() if fold(other) == text)
        found = np.exp(log_likelihood(folded(log_probs, ids), vocabulary.encode(text)))
        assert found == pytest.approx(expected, rel=2e-3, abs=1e-4)


def test_the_models_own_confidence_is_the_raw_one() -> None:
    network = random_network()
    images = [noise(40 + 9 * i, 20, seed=i) for i in range(5)]
    for doubt in (0.0, 1.1):
        found = looks(network, images, doubt=doubt)
        given_ = confidences(found, network.vocabulary)
        for look, confidence in zip(found, given_, strict=True):
            if len(look.readings) != 1 or doubt == 0:  # a turned one has its own
                assert confidence == pytest.approx(look.line.confidence, rel=1e-4, abs=1e-9)
        folds = confidences(found, network.vocabulary, "alphanumeric")
        assert all(c >= raw - 1e-6 for c, raw in zip(folds, given_, strict=True))


def test_a_temperature_is_that_of_another_network() -> None:
    image = bars((300, 30), (40, 80), (150, 200))
    (warm,) = looks(InkNetwork(temperature=2.0), [image], doubt=0)
    (even,) = looks(InkNetwork(temperature=1.0), [image], doubt=0)
    assert np.allclose(tempered(even.readings[0].log_probs, 2.0), warm.readings[0].log_probs, atol=1e-4)
    (found,) = confidences([even], InkNetwork().vocabulary, temperature=2.0)
    assert found == pytest.approx(warm.line.confidence, rel=1e-3)


def test_surprises_by_hand() -> None:
    assert surprises([0.5, 0.5], [True, False]) == pytest.approx(np.log([2, 2]))
    assert max(surprises([1.0, 0.0], [True, False])) < 1e-5
    assert surprises([1.0], [False])[0] > 10


def test_the_highest_temperature_that_is_not_told_from_the_best() -> None:
    best = np.full(100, 0.2)
    now_and_then = best + np.where(np.arange(100) < 10, 0.1, 0.0)  # 0.01 on average, its standard error 0.003
    as_often_better = best + np.where(np.arange(100) < 51, 0.1, -0.1)  # 0.002, 0.01
    assert most_cautious({1.0: best, 1.1: now_and_then}) == 1.0
    assert most_cautious({1.0: best, 1.1: as_often_better}) == 1.1
    assert most_cautious({1.0: best, 1.1: now_and_then, 1.2: as_often_better}) == 1.2
    assert most_cautious({1.0: best + 1, 1.1: best}) == 1.1
    assert most_cautious({1.0: best, 1.5: best}) == 1.5
    # two lines tell none from another
    few = {t: np.array([0.5 - 0.1 * (t - 1), 0.5 + 0.12 * (t - 1)]) for t in (1.0, 1.1, 1.2, 1.3, 1.4)}
    assert most_cautious(few) == 1.2, "two notches above the best"


def test_an_overconfident_network_is_cooled() -> None:
    rng = np.random.default_rng(0)
    images = [bars((200, 30), (20, 20 + int(rng.integers(5, 60))), (120, 160)) for _ in range(60)]
    network = InkNetwork(temperature=0.5)
    found = looks(network, images, doubt=0)
    targets = [look.line.text if rng.random() < 0.6 else "b" for look in found]
    temperature, surprise = careful_temperature(found, targets, network.vocabulary)
    assert temperature > 1.5
    right = [look.line.text == target for look, target in zip(found, targets, strict=True)]
    assert surprise < surprises(confidences(found, network.vocabulary), right).mean()


def test_the_command_writes_a_calibrated_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = random_network()
    network.save_pretrained(tmp_path / "model")
    folder = tmp_path / "set"
    folder.mkdir()
    rows = ["file_name,text"]
    for i in range(6):
        Image.fromarray(np.asarray(noise(60, 20, i))).save(folder / f"{i}.png")
        rows.append(f"{i}.png,a")
    (folder / "metadata.csv").write_text("\n".join(rows))
    calibrate.main(
        [
            "--model",
            str(tmp_path / "model"),
            "--dataset",
            str(folder),
            "--split",
            "train",
            "--out",
            str(tmp_path / "out"),
        ]
    )
    written = CRNN.from_pretrained(tmp_path / "out")
    assert 1 <= written.config.temperature <= 3
    assert f"temperature {written.config.temperature}" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no such"):
        calibrate.main(["--model", str(tmp_path / "no"), "--dataset", str(folder), "--out", str(tmp_path / "x")])
