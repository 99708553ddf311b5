"""bilstm: what nn.LSTM says of each line alone, whatever its company and its padding."""

import pytest
import torch
from torch import nn

from simpleocr.bilstm import PaddedBiLSTM


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("garbage", [0.0, 1e3])
def test_lines_of_any_length_are_read_as_alone(layers: int, garbage: float) -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(5, 4, layers, batch_first=True, bidirectional=True)
    padded = PaddedBiLSTM(lstm)
    steps = torch.tensor([7, 1, 12, 12, 3])
    features = torch.full((5, 16, 5), garbage)
    for row, count in zip(features, steps.tolist(), strict=True):
        row[:count] = torch.randn(count, 5)
    with torch.inference_mode():
        found = padded(features, steps)
        for row, line, count in zip(found, features, steps.tolist(), strict=True):
            alone, _ = lstm(line[None, :count])
            assert torch.allclose(row[:count], alone[0], atol=1e-6)
        assert torch.allclose(padded(features[2:3, :12]), lstm(features[2:3, :12])[0], atol=1e-6)


def test_weights_are_shared_and_other_lstms_refused() -> None:
    lstm = nn.LSTM(3, 2, batch_first=True, bidirectional=True)
    assert {p.data_ptr() for p in PaddedBiLSTM(lstm).parameters()} == {p.data_ptr() for p in lstm.parameters()}
    for other in (nn.LSTM(3, 2, batch_first=True), nn.LSTM(3, 2, bidirectional=True)):
        with pytest.raises(AssertionError):
            PaddedBiLSTM(other)
