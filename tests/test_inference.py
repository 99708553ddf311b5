"""simpleocr.inference: the faster copy says what the original says, and is apart from it."""

import pytest
import torch

from simpleocr import inference
from simpleocr.config import BACKBONES, CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.inference import for_inference
from simpleocr.preprocessing import stack_lines
from simpleocr.vocabulary import Vocabulary


def trained(backbone: str) -> CRNN:
    """With BatchNorms that change something, as training leaves them."""
    torch.manual_seed(0)
    network = CRNN(CRNNConfig(Vocabulary("abc"), backbone))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
            module.running_mean.uniform_(-0.3, 0.3)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    return network.eval()


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_copy_gives_the_same_logits(backbone: str) -> None:
    network = trained(backbone)
    fast = for_inference(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    stacked, columns = stack_lines([torch.randn(1, 32, width).numpy() for width in (40, 97, 64)])
    images, widths = torch.from_numpy(stacked), torch.from_numpy(columns)
    with torch.inference_mode():
        for one, other, count in zip(
            network(images, widths), fast(images, widths), CRNN.timesteps(widths), strict=True
        ):
            assert torch.allclose(one[:count], other[:count], atol=1e-3)


@pytest.mark.parametrize("half", [True, False])
def test_the_original_stays_as_it_was(half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "has_bf16", lambda: half)
    network = trained("tiny")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fast = for_inference(network)
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter.fill_(3)
    assert fast.classifier.weight.dtype == torch.float32
    assert fast.stem.weight.dtype == (torch.bfloat16 if half else torch.float32)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_network_in_train_mode_is_refused() -> None:
    with pytest.raises(AssertionError, match="train mode"):
        for_inference(trained("tiny").train())
