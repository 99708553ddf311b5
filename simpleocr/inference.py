"""Inference: a copy of a network that reads as the original does, but faster; it can neither be trained nor saved."""

import copy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from simpleocr.bilstm import PaddedBiLSTM
from simpleocr.crnn import CRNN
from simpleocr.linenet import LineNet
from simpleocr.low_rank import factors
from simpleocr.residual import ResidualBlock


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware: there it is twice as fast, elsewhere slower."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


Network = TypeVar("Network", CRNN, LineNet)


def for_inference(network: Network) -> Network:
    """A copy with each BatchNorm folded into its convolution, and those of low rank in two; in bfloat16 where the CPU likes it.

    Converted once: autocast would convert every weight again with every picture. The classifier stays in float32, for
    logits of 8 bits would make confidences coarse. A language is not copied.

    Args:
        network: in eval mode.
    """
    assert not network.training, "a network in train mode reads every batch differently: call eval()"
    fast = copy.copy(network)
    fast._modules = {
        name: None if name == "language" else copy.deepcopy(module) for name, module in network._modules.items()
    }
    for module in list(fast.modules()):
        for name in [name for name, _ in module.named_children() if hasattr(module, f"{name}_norm")]:
            _fold(module, name)
        if isinstance(module, ResidualBlock) and isinstance(module.shortcut, nn.Sequential):
            module.shortcut = fuse_conv_bn_eval(*module.shortcut)
    if isinstance(fast, CRNN):
        fast._modules["rnn"] = PaddedBiLSTM(fast.rnn)
    if fast.classifier.weight.device.type == "cpu" and has_bf16():
        fast.to(torch.bfloat16)
        fast.classifier.float()
    fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return fast.requires_grad_(False)


def _fold(module: nn.Module, name: str) -> None:
    """Put the convolution `name` and its norm into one."""
    convolution, norm = module.get_submodule(name), module.get_submodule(f"{name}_norm")
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    setattr(module, name, _in_two(fuse_conv_bn_eval(convolution, norm)))
    setattr(module, f"{name}_norm", nn.Identity())


def _in_two(convolution: nn.Conv2d) -> nn.Module:
    """A convolution of low rank as the two that are faster; any other as it is."""
    if (two := factors(convolution.weight.detach().float().cpu().numpy())) is None:
        return convolution
    narrow, wide = (torch.from_numpy(weight).to(convolution.weight) for weight in two)
    rank, inputs, height, width = narrow.shape
    # on "meta", for weights of their own would be drawn at random for nothing
    bare: dict[str, Any] = {"bias": False, "device": "meta"}
    first = nn.Conv2d(inputs, rank, (height, width), convolution.stride, convolution.padding, **bare)  # type: ignore[arg-type]
    second = nn.Conv2d(rank, len(wide), 1, **bare)
    first.weight, second.weight, second.bias = nn.Parameter(narrow), nn.Parameter(wide), convolution.bias
    return nn.Sequential(first, second)
