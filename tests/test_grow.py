"""A grown network reads as the one it grew from."""

from pathlib import Path

import pytest
import torch

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.vocabulary import VOCABULARIES
from training import grow


def network(backbone: str) -> CRNN:
    torch.manual_seed(0)
    return CRNN(CRNNConfig(VOCABULARIES["english"], backbone), {"samples": 5}).eval()


def test_a_grown_network_gives_the_same_logits_until_it_learns() -> None:
    small = network("small")
    for module in small.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
    grown = grow.grow(small, "medium")
    images = torch.randn(2, 1, 32, 96)
    torch.testing.assert_close(grown(images), small(images))
    assert grown.config.backbone == "medium"
    assert grown.training_summary == {"samples": 5}
    grown.train()(images).square().sum().backward()
    gamma = grown.get_parameter("stages.3.1.second_norm.weight").grad
    assert gamma is not None
    assert bool((gamma != 0).any()), "what is new can learn"


@pytest.mark.parametrize("backbone", ["base", "tiny"])
def test_other_sizes_cannot_be_grown_into(backbone: str) -> None:
    with pytest.raises(ValueError, match=f"{backbone} is not small with more blocks"):
        grow.grow(network("small"), backbone)


def test_the_command_writes_a_model(tmp_path: Path) -> None:
    network("small").save_pretrained(tmp_path / "small")
    grow.main(["--model", str(tmp_path / "small"), "--out", str(tmp_path / "grown")])
    assert CRNN.from_pretrained(tmp_path / "grown").config.backbone == "medium"
    with pytest.raises(SystemExit, match=r"training\.grow: "):
        grow.main(["--model", str(tmp_path / "none"), "--out", str(tmp_path / "grown")])
