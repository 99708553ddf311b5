"""training.grow: a deeper network that reads as the one it grew from, and learns on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simpleocr.config import BACKBONES, Backbone, CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.vocabulary import Vocabulary
from training.grow import grown, main
from training.language import count_ngrams, estimate


@pytest.fixture
def deeper(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a backbone like tiny with more blocks, which is there while a test runs."""
    monkeypatch.setitem(BACKBONES, "deeper", Backbone((8, 16, 16, 32), (2, 1, 3, 1), hidden=32, layers=1))
    return "deeper"


def trained() -> CRNN:
    """With statistics, as if it had been trained: those of a new network say nothing."""
    torch.manual_seed(1)
    network = CRNN(CRNNConfig(Vocabulary("abc"), "tiny", temperature=1.3), {"samples": 5})
    for _ in range(3):
        network(torch.randn(4, 1, 32, 64))
    return network.eval()


def test_it_reads_as_before(deeper: str) -> None:
    network, images = trained(), torch.randn(3, 1, 32, 96)
    network.config = replace(network.config, ranges=((0.0, 1.0),))
    larger = grown(network, deeper)
    assert torch.equal(larger(images), network(images))
    assert sum(p.numel() for p in larger.parameters()) > sum(p.numel() for p in network.parameters())
    assert (larger.config.temperature, larger.training_summary) == (1.3, {"samples": 5, "grown": "tiny"})
    assert not larger.config.ranges, "its activations are more"
    assert not larger.training


def test_what_is_new_learns(deeper: str) -> None:
    larger = grown(trained(), deeper).train()
    optimizer = torch.optim.AdamW(larger.parameters(), lr=1e-2)
    before = {name: tensor.clone() for name, tensor in larger.named_parameters()}
    for _ in range(2):  # in the first step only the zeros move: what is behind them has no gradient yet
        larger(torch.randn(4, 1, 32, 64)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    new = [name for name in before if name.startswith(("stages.0.1.", "stages.2.1.", "stages.2.2."))]
    assert len(new) == 3 * 6
    assert all(not torch.equal(dict(larger.named_parameters())[name], before[name]) for name in new)


def test_only_in_depth(deeper: str) -> None:
    with pytest.raises(ValueError, match="'tiny' grows blocks alone, and 'small' differs in more"):
        grown(trained(), "small")
    with pytest.raises(ValueError, match="'tiny' has not more blocks than 'deeper'"):
        grown(grown(trained(), deeper), "tiny")
    with pytest.raises(ValueError, match="'tiny' has not more blocks than 'tiny'"):
        grown(trained(), "tiny")


def test_its_language_stays(deeper: str) -> None:
    network = trained()
    network.set_language(estimate(count_ngrams([(1, 2, 3), (3, 1, 2)] * 4, 3), 50))
    larger = grown(network, deeper)
    assert larger.language is not None
    assert network.language is not None
    assert larger.language.log_next((1, 2), 3) == network.language.log_next((1, 2), 3)


def test_small_grows_into_base() -> None:
    with torch.device("meta"):
        small = CRNN(CRNNConfig(Vocabulary("abc"), "small"))
        assert grown(small, "base").config.backbone == "base"


def test_from_the_shell(tmp_path: Path, deeper: str) -> None:
    trained().save_pretrained(tmp_path / "tiny")
    main(["--model", str(tmp_path / "tiny"), "--backbone", deeper, "--out", str(tmp_path / "larger")])
    assert CRNN.from_pretrained(tmp_path / "larger").config.backbone == deeper
    with pytest.raises(SystemExit, match=r"training\.grow: 'tiny' grows blocks alone"):
        main(["--model", str(tmp_path / "tiny"), "--out", str(tmp_path / "x")])
