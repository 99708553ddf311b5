"""Inference: a copy of a network that reads as the original does, but faster; it can neither be trained nor saved."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from simpleocr.crnn import CRNN


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware: there it is twice as fast, elsewhere slower."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def for_inference(network: CRNN) -> CRNN:
    """A copy with each BatchNorm folded into its convolution, and in bfloat16 where the CPU is good at that.

    Converted once: autocast would convert every weight again with every picture. The classifier stays in float32, for
    logits of 8 bits would make confidences coarse. The language is not copied.

    Args:
        network: in eval mode.
    """
    assert not network.training, "a network in train mode reads every batch differently: call eval()"
    fast = copy.copy(network)
    fast._modules = {
        name: None if name == "language" else copy.deepcopy(module) for name, module in network._modules.items()
    }
    _fold(fast, "stem")
    for stage in fast.stages:
        for block in stage:  # type: ignore[attr-defined]
            _fold(block, "first")
            _fold(block, "second")
            if isinstance(block.shortcut, nn.Sequential):
                block.shortcut = fuse_conv_bn_eval(*block.shortcut)
    device = fast.classifier.weight.device
    if device.type == "cpu" and has_bf16():
        fast.to(torch.bfloat16)
        fast.classifier.float()
    return fast.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload,no-any-return]


def _fold(module: nn.Module, name: str) -> None:
    """Put the convolution `name` and its norm into one."""
    convolution, norm = module.get_submodule(name), module.get_submodule(f"{name}_norm")
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    setattr(module, name, fuse_conv_bn_eval(convolution, norm))
    setattr(module, f"{name}_norm", nn.Identity())
