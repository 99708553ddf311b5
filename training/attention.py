"""Attention beside CTC: a decoder that writes each line character after character while a network learns to read.

It shares the BiLSTM with the CTC head, which reads better for it (Hu et al. 2020, arXiv 2002.01276), and is dropped for
reading.

Shapes: B lines, T timesteps, D features, N characters of the longest line and its end, C classes.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from simpleocr.vocabulary import BLANK
from training.batches import Batch

NOTHING = -100  # no target: what lies behind the end of a line
FORGOTTEN = 0.2  # of the characters before one, so that it is looked for in the picture and not guessed from them


class AttentionDecoder(nn.Module):
    """One layer of a transformer's decoder (Vaswani et al. 2017, arXiv 1706.03762), which sees all characters at once.

    Args:
        width: D of the features that it looks at.
        classes: of characters; that of the blank begins and ends a line, and stands for what is not told.
        size: of its own features.
        heads: of its attention.
    """

    def __init__(self, width: int, classes: int, size: int = 256, heads: int = 4) -> None:
        super().__init__()
        self.memory = nn.Linear(width, size)
        self.embedding = nn.Embedding(classes, size)
        self.layer = nn.TransformerDecoderLayer(size, heads, 2 * size, dropout=0.0, batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(size)
        self.out = nn.Linear(size, classes)

    def forward(self, sequence: Tensor, before: Tensor) -> Tensor:
        """What comes after each character.

        Args:
            sequence: (B, T, D) features.
            before: (B, N) class ids; the first of each line is the blank.

        Returns:
            (B, N, C) logits; none depends on a character that is not before it.
        """
        memory = self.memory(sequence) + places(sequence.shape[1], self.memory.out_features, sequence)
        written = self.embedding(before) + places(before.shape[1], self.memory.out_features, sequence)
        later = nn.Transformer.generate_square_subsequent_mask(before.shape[1], sequence.device)
        logits: Tensor = self.out(self.norm(self.layer(written, memory, tgt_mask=later, tgt_is_causal=True)))
        return logits


def places(count: int, size: int, like: Tensor) -> Tensor:
    """(count, size) sines of where each timestep or character is, on the device of `like`."""
    rates = torch.exp(torch.arange(0, size, 2, device=like.device) * (-math.log(10_000.0) / size))
    angles = torch.arange(count, device=like.device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def forced(batch: Batch) -> tuple[Tensor, Tensor]:
    """What is before each character of a batch, and what follows there: (B, N) class ids each, on the CPU."""
    lengths = batch.target_lengths
    longest = int(lengths.max()) + 1
    inside = torch.arange(longest - 1) < lengths[:, None]
    before, after = torch.full((len(lengths), longest), BLANK), torch.full((len(lengths), longest), NOTHING)
    before[:, 1:][inside] = batch.targets
    after[:, :-1][inside] = batch.targets
    after[torch.arange(len(lengths)), lengths] = BLANK
    return before, after


def forgetful(before: Tensor, seed: int) -> Tensor:
    """(B, N) class ids on the CPU, some of them blank instead: the same with the same seed, so that a run can go on."""
    drawn = torch.rand(before.shape, generator=torch.Generator().manual_seed(seed))
    return before.masked_fill(drawn < FORGOTTEN, BLANK)


def attention_loss(logits: Tensor, after: Tensor) -> Tensor:
    """Cross-entropy of each character and each end, in float32; (B, N, C) logits, (B, N) class ids -> a scalar."""
    return F.cross_entropy(logits.float().flatten(0, 1), after.flatten(), ignore_index=NOTHING)
