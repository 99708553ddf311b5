"""ResidualBlock: what the convolutional part of every network here is made of."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class ResidualBlock(nn.Module):
    """Two dense 3x3 convolutions beside a shortcut (He et al. 2015). Depthwise ones train slower on CPUs."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != (1, 1):
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, D_in, H, W) -> (B, D_out, H', W'); `mask` (B, 1, 1, W') is 0 beyond each line's width."""
        features = masked(F.relu(self.first_norm(self.first(images)), inplace=True), mask)
        return masked(F.relu(self.second_norm(self.second(features)) + self.shortcut(images), inplace=True), mask)


def masked(features: Tensor, mask: Tensor | None) -> Tensor:
    """Features with what lies beyond a line's width at 0, as beyond the border of a line read alone.

    BatchNorm would fill it. The features are overwritten where nothing is to be learned from them.
    """
    if mask is None:
        return features
    return features * mask if torch.is_grad_enabled() else features.mul_(mask)
