"""extension, Vocabulary.extend: more characters, and what was known stays."""

import pytest
import torch

from simpleocr import CRNN, Vocabulary
from simpleocr.config import CRNNConfig
from simpleocr.extension import LOOK_ALIKES, RARELY, extended, look_alike
from simpleocr.vocabulary import VOCABULARIES, VocabularyError
from tests.test_inference import trained
from tests.test_onnx import line
from training.language import count_ngrams, estimate


def test_old_ids_stay_and_nothing_comes_twice() -> None:
    old = VOCABULARIES["ascii"]
    new = old.extend("éaé ß\u0065\u0301")  # the last two are an e and its accent: é once more
    assert new.characters == old.characters + "éß"
    assert new.encode("abc") == old.encode("abc")
    assert old.extend("abc") == old
    assert VOCABULARIES["digits"].extend(" a").characters == "0123456789 a", "a space is a character like any other"
    with pytest.raises(VocabularyError, match="control"):
        old.extend("é\n")
    with pytest.raises(VocabularyError, match="surrogate"):
        old.extend("\ud800")


def test_the_old_classes_say_what_they_said() -> None:
    network = trained("tiny")
    larger = extended(network, "éß₸")
    old, new = network.log_probs([line(200)])[0], larger.log_probs([line(200)])[0]
    assert new.shape == (old.shape[0], old.shape[1] + 3)
    kept = torch.from_numpy(new[:, : old.shape[1]]).log_softmax(-1).numpy()
    assert abs(kept - old).max() < 1e-4  # among the old classes, to the digit
    assert larger.state_dict().keys() == network.state_dict().keys()


def test_new_characters_start_near_what_they_look_like() -> None:
    network = CRNN(CRNNConfig(VOCABULARIES["ascii"], "tiny")).eval()
    larger = extended(network, "é₸한")
    weight = larger.classifier.weight
    for character, like in (("é", "e"), ("₸", "T")):
        (own,), (other,) = larger.vocabulary.encode(character), larger.vocabulary.encode(like)
        far = [(weight[own] - row).norm().item() for row in weight[1 : network.vocabulary.num_classes]]
        assert 1 + far.index(min(far)) == other
        # but what is new is less likely at first: it should not take the other's place unlearned
        assert larger.classifier.bias[own].item() == pytest.approx(larger.classifier.bias[other].item() - RARELY)
    assert look_alike("Å") == "A"
    assert look_alike("ø") == "o"
    assert look_alike("한") not in network.vocabulary.characters
    assert all(len(new) == len(old) == 1 and ord(old) < 128 for new, old in LOOK_ALIKES.items())


def test_a_language_and_the_calibration_come_along() -> None:
    network = CRNN(CRNNConfig(Vocabulary("abc "), "tiny", temperature=1.3)).eval()
    network.set_language(estimate(count_ngrams([[1, 2], [1, 3]], 2), 10))
    larger = extended(network, "d")
    assert larger.config.temperature == 1.3
    assert larger.language is not None
    assert network.language is not None
    assert larger.language.log_next((1,), 2) == network.language.log_next((1,), 2)
    assert larger.language.log_next((1,), 5) < -5
