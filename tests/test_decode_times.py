"""decode_times: every decoder is timed on every crop, and only with what the network can write."""

import numpy as np
import pytest
import torch

from simpleocr.config import CRNNConfig
from simpleocr.constraints import ConstraintError
from simpleocr.crnn import CRNN
from simpleocr.vocabulary import VOCABULARIES, Vocabulary
from tests.test_recognition import noise
from training import benchmark
from training import decode_times as module
from training.decode_times import FOR_EACH, decode_times, decoders


def any_network(vocabulary: Vocabulary) -> CRNN:
    torch.manual_seed(0)
    return CRNN(CRNNConfig(vocabulary, "tiny")).eval()


def test_every_decoder_has_a_time_for_every_crop() -> None:
    before = torch.get_num_threads()
    found = decode_times(
        any_network(VOCABULARIES["english"]), [noise(width, 32, 0) for width in (40, 90, 60)], ["a", "b", "b", "é", ""]
    )
    assert list(found) == [
        "greedy",
        "beam of 10",
        "a date",
        "a serial number",
        "a charset of 20",
        "a lexicon of 2",
    ]
    assert all(times.shape == (3,) and np.all(times > 0) for times in found.values())
    assert torch.get_num_threads() == before


def test_the_shortest_of_several_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(10_000))
    monkeypatch.setattr(module, "_seconds", lambda *_: float(next(seconds)))
    found = decode_times(any_network(VOCABULARIES["english"]), [noise(40, 32, 0)] * 2, [])
    assert found["greedy"].tolist() == [0.0, FOR_EACH]
    assert not [name for name in found if "lexicon" in name]


def test_the_published_network_has_n_grams() -> None:
    assert "beam of 10, n-grams" in decoders(CRNN.from_pretrained("english"), [])


def test_a_network_that_has_no_digits_is_refused() -> None:
    with pytest.raises(ConstraintError):
        decoders(any_network(Vocabulary("ab")), [])


def test_it_needs_crops(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(["--parts", "decode", "render"])
    assert "--parts decode need --dataset" in capsys.readouterr().err
