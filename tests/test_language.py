"""language: probabilities that add up to one, kept over a file, and a tree that is checked before it is used."""

import math
from itertools import product
from pathlib import Path

import pytest
import torch

from simpleocr import CRNN, VOCABULARIES, CRNNConfig, ModelError
from simpleocr.beam import beam_search
from simpleocr.language import Language
from simpleocr.modelfile import read_header, read_tensors, write_model
from training import language as counting
from training.language import count_ngrams, estimate

VOCABULARY = VOCABULARIES["ascii"]
TEXTS = ["the cat", "the hat", "that cat", "a cat sat", "hat 12"] * 20
CLASSES = VOCABULARY.num_classes


def english(order: int = 4, most: int = 500) -> Language:
    return estimate(count_ngrams((VOCABULARY.encode(text) for text in TEXTS), order), most)


@pytest.mark.parametrize("most", [3, 40, 500])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_may_follow_adds_up_to_one(order: int, most: int) -> None:
    language = english(order, most)
    seen = sorted({c for text in TEXTS for c in VOCABULARY.encode(text)})
    for before in ("", "t", "th", "the ca", "zzz", "1", "sat"):
        ids = tuple(VOCABULARY.encode(before))
        total = sum(math.exp(language.log_next(ids, c)) for c in [0, *seen])
        assert total == pytest.approx(1, abs=0.02), before


def test_it_knows_what_it_has_read() -> None:
    language = english()

    def log_prob(text: str) -> float:
        ids = VOCABULARY.encode(text)
        return sum(language.log_next(tuple(ids[:i]), c) for i, c in enumerate([*ids, 0]))

    assert log_prob("the cat") > log_prob("the cta") + 3
    assert log_prob("the") > log_prob("eht")
    assert language.log_next((), VOCABULARY.encode("~")[0]) < -8


def test_it_does_not_remember_all_it_was_ever_asked() -> None:
    language = english()
    value = language.log_next((1,), 2)
    language._known = {((0, i), 1): 0.0 for i in range(200_001)}
    assert language.log_next((1,), 2) == value
    assert len(language._known) == 1


def test_counts_by_hand() -> None:
    ones, twos = count_ngrams([[1, 2], [1]], 2)
    assert ones == {(1,): 2, (2,): 1, (0,): 2}
    assert twos == {(0, 1): 2, (1, 2): 1, (2, 0): 1, (1, 0): 1}


def test_it_lies_in_the_model_file(tmp_path: Path) -> None:
    network = CRNN(CRNNConfig(VOCABULARY, "tiny"))
    network.set_language(english())
    network.save_pretrained(tmp_path / "a", dtype=torch.float16)
    again = CRNN.from_pretrained(tmp_path / "a")
    assert again.language is not None
    assert network.language is not None
    for ids, c in product([(), (4, 5), tuple(VOCABULARY.encode("the c"))], range(0, CLASSES, 7)):
        assert again.language.log_next(ids, c) == pytest.approx(network.language.log_next(ids, c), abs=0.01)
    again.save_pretrained(tmp_path / "b")
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    again.set_language(None)
    again.save_pretrained(tmp_path / "c")
    assert CRNN.from_pretrained(tmp_path / "c").language is None


@pytest.mark.parametrize("children", ["zeros", "too many", "backwards"])
def test_a_tree_that_is_none_is_refused(tmp_path: Path, children: str) -> None:
    network = CRNN(CRNNConfig(VOCABULARY, "tiny"))
    network.set_language(english())
    network.save_pretrained(tmp_path, dtype=torch.float32)
    file = tmp_path / "model.safetensors"
    header = read_header(file)
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items() if v.is_floating_point()}
    tensors = read_tensors(file, shapes)
    table = tensors["language.degrees"]
    if children == "zeros":
        table[:] = 0
    elif children == "too many":
        table[0] += 5
    else:  # the root's children come last
        table[-1], table[0] = float(table[0]), 0.0
    write_model(file, {k: v for k, v in header.items() if k not in ("format", "sha256")}, tensors)
    with pytest.raises(ModelError, match="not a tree"):
        CRNN.from_pretrained(tmp_path)


def test_the_command_gives_a_model_its_language(tmp_path: Path) -> None:
    CRNN(CRNNConfig(VOCABULARY, "tiny")).save_pretrained(tmp_path / "plain")
    counting.main(
        ["--model", str(tmp_path / "plain"), "--samples", "300", "--ngrams", "800", "--out", str(tmp_path / "with")]
    )
    network = CRNN.from_pretrained(tmp_path / "with")
    assert network.language is not None
    assert 100 < network.config.ngrams < 3000
    log_probs = torch.randn(12, CLASSES, generator=torch.Generator().manual_seed(0)).log_softmax(-1).numpy()
    assert beam_search(log_probs, VOCABULARY, language=network.language, weight=0.5)
    with pytest.raises(SystemExit, match="no such"):
        counting.main(["--model", str(tmp_path / "nothing"), "--out", str(tmp_path / "x")])
