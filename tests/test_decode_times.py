"""decode_times: every decoder is timed on every crop, and only with what the network can write."""

import json
from pathlib import Path

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
from training.decode_times import decode_times, decoders


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
    seconds = iter([3, 1, 2, 6, 5, 4, *range(10, 100)])
    monkeypatch.setattr(module, "_seconds", lambda *_: float(next(seconds)))
    found = decode_times(any_network(VOCABULARIES["english"]), [noise(40, 32, 0)] * 2, [])
    assert found["greedy"].tolist() == [1, 4]
    assert not [name for name in found if "lexicon" in name]


def test_the_published_network_has_n_grams() -> None:
    assert "beam of 10, n-grams" in decoders(CRNN.from_pretrained("english"), [])


def test_a_network_that_has_no_digits_is_refused() -> None:
    with pytest.raises(ConstraintError):
        decoders(any_network(Vocabulary("ab")), [])


def test_the_benchmark_decodes_the_crops_of_a_set(tmp_path: Path) -> None:
    noise(60, 32, 0).save(tmp_path / "a.png")
    table = tmp_path / "metadata.csv"
    table.write_text("file_name,text\na.png,Ab\n")
    benchmark.main(["--parts", "decode", "--dataset", str(tmp_path), "--out", str(tmp_path / "speed.json")])
    figures = json.loads((tmp_path / "speed.json").read_text())["figures"]["decode"]
    assert len(figures) == 2 * 7
    assert all(figure["value"] > 0 and figure["unit"] == "ms" for figure in figures)
    assert figures[-1]["name"] == f"{tmp_path.name}, 1 crops, a lexicon of 1, p95"
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit, match="there is nothing to decode"):
        benchmark.main(["--parts", "decode", "--dataset", str(tmp_path)])


def test_it_needs_crops(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(["--parts", "decode", "render"])
    assert "--parts decode need --dataset" in capsys.readouterr().err
