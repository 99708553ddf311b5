"""BiLSTM for reading: padded lines of any lengths together, each as if it were alone.

Shapes: B batch, T timesteps, D features.
"""

import torch
from torch import Tensor, nn


class PaddedBiLSTM(nn.Module):
    """What a bidirectional nn.LSTM computes, of lines that are padded at their ends.

    The backward direction of nn.LSTM would read the padding first. Here it is a forward LSTM on each line turned round,
    so that padding comes last for both, and T may be one of few: oneDNN prepares an LSTM anew for every T, slowly, and
    keeps what it prepared.

    Args:
        lstm: bidirectional, batch first; its weights are shared.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        assert lstm.bidirectional, "one direction needs none of this"
        assert lstm.batch_first, "lines come first"
        self.forwards, self.backwards = nn.ModuleList(), nn.ModuleList()
        for layer in range(lstm.num_layers):
            inputs = lstm.input_size if layer == 0 else 2 * lstm.hidden_size
            for suffix, directions in (("", self.forwards), ("_reverse", self.backwards)):
                one = nn.LSTM(inputs, lstm.hidden_size, batch_first=True)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    setattr(one, f"{name}_l0", getattr(lstm, f"{name}_l{layer}{suffix}"))
                directions.append(one)

    def forward(self, features: Tensor, steps: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, 2 hidden); beyond a line's number of steps there is nothing that means anything.

        Args:
            features: of lines.
            steps: (B,) timesteps of each, on the CPU; None says that all have T.
        """
        B, T, _ = features.shape
        at = torch.arange(T).expand(B, T)
        turned = T - 1 - at if steps is None else torch.where(at < steps[:, None], steps[:, None] - 1 - at, at)
        turned = turned.to(features.device)[:, :, None]
        for onwards, back in zip(self.forwards, self.backwards, strict=True):
            ahead, _ = onwards(features)
            behind, _ = back(features.gather(1, turned.expand_as(features)))
            features = torch.cat([ahead, behind.gather(1, turned.expand_as(behind))], dim=-1)
        return features
