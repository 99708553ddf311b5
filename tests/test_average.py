"""training.average: the mean of two models, and only of those that can have one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.vocabulary import Vocabulary
from training.average import average, main


def made(seed: int, vocabulary: str = "abc") -> CRNN:
    torch.manual_seed(seed)
    return CRNN(CRNNConfig(Vocabulary(vocabulary), "tiny"), {"samples": seed}).eval()


def test_every_weight_is_the_mean() -> None:
    one, other = made(1), made(2)
    other.config = replace(other.config, ranges=((0.0, 1.0),))
    expected = {
        name: (one.state_dict()[name] + tensor) / 2
        for name, tensor in other.state_dict().items()
        if tensor.dtype.is_floating_point
    }
    both = average([one, other])
    assert all(torch.allclose(both.state_dict()[name], tensor) for name, tensor in expected.items())
    assert both.training_summary == {"samples": 2, "averaged": 2}
    assert not both.config.ranges, "they were the other's"


def test_from_the_shell(tmp_path: Path) -> None:
    for seed in (1, 2):
        made(seed).save_pretrained(tmp_path / str(seed))
    made(3, "abcd").save_pretrained(tmp_path / "3")
    main(["--models", str(tmp_path / "1"), str(tmp_path / "2"), "--out", str(tmp_path / "both")])
    assert CRNN.from_pretrained(tmp_path / "both").training_summary["averaged"] == 2
    with pytest.raises(SystemExit, match=r"training\.average: the models differ in their vocabulary"):
        main(["--models", str(tmp_path / "1"), str(tmp_path / "3"), "--out", str(tmp_path / "x")])
    with pytest.raises(SystemExit, match=r"training\.average: "):
        main(["--models", str(tmp_path / "none"), "--out", str(tmp_path / "x")])
