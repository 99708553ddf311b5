"""Trainee: a network while it learns: its heads, losses, what is learned how fast, and the average of where it has been."""

import argparse
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim.swa_utils import get_ema_multi_avg_fn

from simpleocr.crnn import CRNN
from simpleocr.inference import has_bf16
from training.attention import AttentionDecoder
from training.batches import Batch


class Trainee(nn.Module):
    """The network with what it learns with and reads without.

    A second CTC head on its convolutional features brings the CNN past the plateau on which CTC writes only blanks.

    Args:
        network: that learns.
        attends: whether a decoder with attention learns beside it.
    """

    def __init__(self, network: CRNN, *, attends: bool = False) -> None:
        super().__init__()
        self.network = network
        classes = network.vocabulary.num_classes
        self.auxiliary = nn.Linear(network.row_score.in_channels, classes)
        self.decoder = AttentionDecoder(network.classifier.in_features, classes) if attends else None

    def forward(self, images: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """(B, 1, H, W) -> logits of both heads, (B, T, C) each, and (B, N, C) of the decoder, where there is one.

        Args:
            images: pictures.
            before: (B, N) what is before each character, for the decoder.
        """
        features = self.network.encode(images)
        sequence = self.network.recur(features)
        written = None if self.decoder is None or before is None else self.decoder(sequence, before)
        return self.network.classify(sequence), self.auxiliary(features), written


def ctc_loss(logits: Tensor, batch: Batch) -> Tensor:
    """CTC (Graves et al. 2006) per character, averaged over the batch; float32, for half precision overflows in it.

    Args:
        logits: (B, T, C), every line T timesteps long.
        batch: its targets.
    """
    log_probs = logits.float().log_softmax(dim=-1).transpose(0, 1)  # (T, B, C)
    lengths = torch.full((logits.shape[0],), logits.shape[1], dtype=torch.int64)
    return F.ctc_loss(log_probs, batch.targets.to(log_probs.device), lengths, batch.target_lengths)


def learning_rate(step: float, steps: float, peak: float, warm_up: float = 0.05) -> float:
    """One cycle (Smith 2018): a straight rise for the first `warm_up` of the steps, then a cosine to zero.

    Seconds will do in place of steps.
    """
    rise = max(1, round(steps * warm_up))
    if step < rise:
        return peak * min(1.0, (step + 1) / rise)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Move the exponential moving average of weights and BatchNorm statistics towards `current`."""
    pairs = [*zip(average.state_dict().values(), current.state_dict().values(), strict=True)]
    floats = [(mean, value) for mean, value in pairs if mean.dtype.is_floating_point]
    # all at once: tensor by tensor a GPU waits for them
    moved = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    moved([mean for mean, _ in floats], [value for _, value in floats], 0)
    for mean, value in pairs:
        if not mean.dtype.is_floating_point:
            mean.copy_(value)


def memory_format(network: nn.Module) -> torch.memory_format:
    """How pictures lie in memory while `network` learns: channels last, which is faster, but of a very thin one.

    On CPUs, PyTorch 2.13 writes beyond its memory in the backward pass of a convolution of kernel 1 and stride 2 that
    has fewer than 16 input channels, channels last: the process dies, or goes on with other numbers.
    """
    convolutions = (module for module in network.modules() if isinstance(module, nn.Conv2d))
    thin = any(c.in_channels < 16 and c.kernel_size == (1, 1) and max(c.stride) > 1 for c in convolutions)
    return torch.contiguous_format if thin else torch.channels_last


def fastest_precision() -> str:
    """Accelerate's name of what a network learns in where nothing else is asked for: bf16 where the device has it."""
    halves = torch.cuda.is_bf16_supported(including_emulation=False) if torch.cuda.is_available() else has_bf16()
    return "bf16" if halves else "no"


def parameter_groups(trainee: Trainee, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What is learned: `rate` says how fast, as a multiple of --lr; norms and biases do not decay."""
    head = {*trainee.network.classifier.parameters()} if args.head_rate != 1 else set()
    learned = [p for p in trainee.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p in learned if (p in head) == is_head and (p.ndim > 1) == decays],
            "weight_decay": args.weight_decay if decays else 0.0,
            "rate": args.head_rate if is_head else 1.0,
        }
        for is_head in (False, True)
        for decays in (True, False)
    ]
    return [group for group in groups if group["params"]]


def first_stages(network: CRNN, count: int) -> list[nn.Module]:
    """What --freeze freezes: the stem and the first `count` stages; nothing for 0."""
    return [network.stem, network.stem_norm, *network.stages[:count]] if count else []
