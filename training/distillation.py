"""Distillation: a network that learns is held to what another says of the same lines (Li and Hoiem 2016, arXiv 1606.09282)."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from training.batches import Batch


def distillation_loss(logits: Tensor, taught: Tensor, batch: Batch) -> Tensor:
    """KL divergence, per character, from what the teacher says in each timestep to what the network says.

    Among the teacher's classes only, for of others it says nothing; and a line counts as much as the teacher finds its
    target likely, for where it misreads there is nothing to keep.

    Args:
        logits: (B, T, C).
        taught: (B, T, K) logits of the teacher, whose K classes are the first of C.
        batch: the targets.
    """
    lines, steps, known = taught.shape
    teacher, network = taught.float().log_softmax(dim=-1), logits[..., :known].float().log_softmax(dim=-1)
    lengths = batch.target_lengths.clamp(min=1)
    with torch.no_grad():
        # ctc_loss reads beyond its rows where a target has no class there: such a line's weight is 0 anyhow
        loss = F.ctc_loss(
            teacher.transpose(0, 1),
            batch.targets.where(batch.targets < known, 1),
            torch.full((lines,), steps, dtype=torch.int64),
            batch.target_lengths,
            reduction="none",
        )
        line_of = torch.repeat_interleave(torch.arange(lines), batch.target_lengths)
        new = torch.zeros(lines).index_add(0, line_of, (batch.targets >= known).float())
        weights = (-loss).exp() * (new == 0).to(loss)
    divergence = F.kl_div(network, teacher, reduction="none", log_target=True).sum(dim=(1, 2))  # (B,)
    return (weights * divergence / lengths.to(divergence)).mean()
