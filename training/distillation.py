"""Distillation: a network learns what is new and keeps saying the rest as another did (Li and Hoiem 2016, arXiv 1606.09282)."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from training.batches import Batch


def taught_loss(logits: Tensor, taught: Tensor, batch: Batch) -> Tensor:
    """CTC of the lines that the teacher cannot read, and of others how far the network is from what the teacher says.

    A line of which the teacher finds the target p likely counts 1 - p by CTC and p by the KL divergence from the
    teacher's probabilities to the network's, summed over timesteps, among the teacher's classes; both per character. Where
    all is read already nothing pulls at the weights, and so what was annealed stays.

    Args:
        logits: (B, T, C).
        taught: (B, T, K) logits of the teacher, whose K classes are the first of C.
        batch: the targets.
    """
    known = taught.shape[-1]
    teacher, network = taught.float().log_softmax(dim=-1), logits.float().log_softmax(dim=-1)
    among_known = network[..., :known] - network[..., :known].logsumexp(dim=-1, keepdim=True)
    divergence = F.kl_div(among_known, teacher, reduction="none", log_target=True).sum(dim=(1, 2))  # (B,)
    with torch.no_grad():
        # ctc_loss reads beyond its rows where a target has no class there: such a line's weight is 0 anyhow
        likely = (-_ctc(teacher, batch.targets.where(batch.targets < known, 1), batch.target_lengths)).exp()
        line_of = torch.repeat_interleave(torch.arange(len(batch.target_lengths)), batch.target_lengths)
        new = torch.zeros(len(batch.target_lengths)).index_add(0, line_of, (batch.targets >= known).float())
        weight = likely * (new == 0).to(likely)
    loss = (1 - weight) * _ctc(network, batch.targets, batch.target_lengths) + weight * divergence
    return (loss / batch.target_lengths.clamp(min=1).to(loss)).mean()


def _ctc(log_probs: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """(B,) the negative logarithm of each target's probability."""
    lengths = torch.full((log_probs.shape[0],), log_probs.shape[1], dtype=torch.int64)
    return F.ctc_loss(log_probs.transpose(0, 1), targets, lengths, target_lengths, reduction="none")
