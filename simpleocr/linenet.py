"""LineNet: page pictures -> maps of lines and words; a residual CNN with a feature pyramid (Lin et al. 2017).

It marks the core of each line, its middle half, so that neighbours stay apart (PSENet, Wang et al. 2019; DB, Liao et al.
2020), and how far a line reaches beyond its core follows from the core alone.

Shapes: B batch, H height, W width, D channels of the pyramid; maps have one cell for STRIDE x STRIDE pixels.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from simpleocr.config import SIZES, LineNetConfig, training_summary
from simpleocr.pretrained import PretrainedModel
from simpleocr.regions import MULTIPLE
from simpleocr.residual import ResidualBlock


class LineNet(nn.Module, PretrainedModel, tags=["text-detection"]):
    """Finds lines and words on pages; see forward().

    Args:
        config: size and threshold.
        training_summary: JSON-able account of how the weights came to be; kept in the model file.
    """

    architecture: ClassVar[str] = "linenet"
    reads_with: ClassVar[str] = 'OCR(detector="{}")'

    def __init__(self, config: LineNetConfig | None = None, training_summary: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.config = config or LineNetConfig()
        self.training_summary = training_summary or {}
        channels, blocks, pyramid = SIZES[self.config.size]
        self.stem = nn.Conv2d(1, channels[0] // 2, 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(channels[0] // 2)
        self.stages = nn.ModuleList()
        self.laterals = nn.ModuleList()
        inputs = channels[0] // 2
        for outputs, count in zip(channels, blocks, strict=True):
            self.stages.append(
                nn.Sequential(
                    *(
                        ResidualBlock(inputs if i == 0 else outputs, outputs, (2, 2) if i == 0 else (1, 1))
                        for i in range(count)
                    )
                )
            )
            self.laterals.append(nn.Conv2d(outputs, pyramid, 1))
            inputs = outputs
        self.joint = nn.Conv2d(pyramid, pyramid, 3, 1, 1, bias=False)
        self.joint_norm = nn.BatchNorm2d(pyramid)
        self.classifier = nn.Conv2d(pyramid, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Pages -> logits of how much of each cell lies in the core of a line, and in that of a word.

        Args:
            images: (B, 1, H, W), grey, each page of mean 0 and deviation 1; H and W multiples of MULTIPLE.

        Returns:
            (B, 2, H / 4, W / 4)
        """
        assert images.shape[-2] % MULTIPLE == 0 == images.shape[-1] % MULTIPLE, f"pages of {tuple(images.shape)}"
        x = F.relu(self.stem_norm(self.stem(images)), inplace=True)  # (B, D, H/2, W/2)
        levels = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            levels.append(lateral(x))
        joined = levels.pop()
        while levels:
            joined = levels.pop() + F.interpolate(joined, scale_factor=2.0, mode="nearest")
        joined = F.relu(self.joint_norm(self.joint(joined)), inplace=True)  # (B, D, H/4, W/4)
        maps: Tensor = self.classifier(joined.to(self.classifier.weight.dtype))
        return maps

    @property
    def threshold(self) -> float:
        """Probability from which a cell belongs to a line's core."""
        return self.config.threshold

    def cell_probs(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(H, W) of a page as forward() takes it -> (2, H / 4, W / 4) probabilities."""
        weight = self.stem.weight
        with torch.inference_mode():
            images = torch.from_numpy(pixels)[None, None].to(weight.device, weight.dtype)
            probs = self(images)[0].float().sigmoid().cpu().numpy()
        return np.asarray(probs)

    def to_header(self) -> dict[str, Any]:
        """What the model file says of this network beside its tensors."""
        return {**self.config.to_header(), "training": dict(self.training_summary)}

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Self:
        """A network as a model file's header describes it; its tensors are still to be filled.

        Raises:
            ValueError: a section or a value that is missing, unknown or out of bounds.
        """
        return cls(LineNetConfig.from_header(header), training_summary(header))
