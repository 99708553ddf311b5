"""Distillation: a network learns what is new and goes on saying the rest as another did (Li and Hoiem 2016, arXiv 1606.09282)."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from training.batches import Batch


def taught_loss(logits: Tensor, taught: Tensor, batch: Batch) -> Tensor:
    """CTC of the lines of the first corpus; of others how far the network is from what the teacher says, whatever their labels.

    The latter is the KL divergence from the teacher's probabilities, summed over timesteps; both are per character and
    averaged over the batch. Where nothing has changed it pulls at nothing, and so what was annealed stays.

    Args:
        logits: (B, T, C).
        taught: (B, T, K) logits of the teacher, whose K classes are the first of C; to it the others never come.
        batch: the targets.
    """
    lines, steps, known = taught.shape
    teacher, network = taught.float().log_softmax(dim=-1), logits.float().log_softmax(dim=-1)
    divergence = F.kl_div(network[..., :known], teacher, reduction="none", log_target=True).sum(dim=(1, 2))  # (B,)
    lengths = torch.full((lines,), steps, dtype=torch.int64)
    ctc = F.ctc_loss(
        network.transpose(0, 1), batch.targets.to(network.device), lengths, batch.target_lengths, reduction="none"
    )
    own = torch.tensor(batch.origins, device=ctc.device) == 0
    return (torch.where(own, ctc, divergence) / batch.target_lengths.clamp(min=1).to(ctc)).mean()
