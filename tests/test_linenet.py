"""simpleocr.linenet: maps of the right shape; a model file like the recognizer's."""

from pathlib import Path

import pytest
import torch

from simpleocr.config import SIZES, LineNetConfig
from simpleocr.crnn import CRNN
from simpleocr.inference import for_inference
from simpleocr.linenet import LineNet
from simpleocr.modelfile import ModelError


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(32, 32), (64, 160)])
def test_maps_have_a_cell_for_sixteen_pixels(size: str, shape: tuple[int, int]) -> None:
    network = LineNet(LineNetConfig(size)).eval()
    with torch.inference_mode():
        maps = network(torch.randn(2, 1, *shape))
    assert maps.shape == (2, 2, shape[0] // 4, shape[1] // 4)


def test_it_is_small() -> None:
    parameters = sum(p.numel() for p in LineNet().parameters())
    assert 0.5e6 < parameters < 2e6


@pytest.mark.usefixtures("exact")
def test_the_copy_for_inference_gives_the_same_maps() -> None:
    torch.manual_seed(0)
    network = LineNet(LineNetConfig("tiny"))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    network.eval()
    images = torch.randn(1, 1, 64, 96)
    with torch.inference_mode():
        assert torch.allclose(network(images), for_inference(network)(images), atol=1e-4)


def test_saved_and_loaded_it_is_the_same_file(tmp_path: Path) -> None:
    network = LineNet(LineNetConfig("tiny", threshold=0.35), {"samples": 5})
    network.save_pretrained(tmp_path / "a")
    again = LineNet.from_pretrained(tmp_path / "a")
    again.save_pretrained(tmp_path / "b")
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    assert again.config == network.config
    assert again.training_summary == {"samples": 5}
    with pytest.raises(ModelError, match="linenet"):
        CRNN.from_pretrained(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"calibration": {"threshold": "high"}}, "not a number"),
        ({"calibration": {"threshold": 10**400}}, "not a number"),
        ({"calibration": {"threshold": 2.0}}, "not in 0.05"),
        ({"calibration": {}}, "has the keys"),
        ({"architecture": {"name": "linenet", "size": "huge"}}, "no size 'huge'"),
        ({"architecture": {"name": "crnn", "size": "tiny"}}, "not 'linenet'"),
        ({"more": {}}, "sections"),
        ({"training": 3}, "training summary"),
    ],
)
def test_a_header_that_is_not_one_is_refused(change: dict[str, object], says: str) -> None:
    header = {**LineNet(LineNetConfig("tiny")).to_header(), **change}
    with pytest.raises(ValueError, match=says):
        LineNet.from_header(header)
