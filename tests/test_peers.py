"""peers: figures by hand, times that are times, and systems that are not installed are passed over."""

import os
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from simpleocr import CRNN, CRNNConfig, Vocabulary
from training import benchmark, peers
from training.crops import Sample
from training.data import DataError
from training.peers import Peer, Race, own, race, shares, table
from training.timing import threads

FIGURES = {"exact_alphanumeric": 1.0, "exact_caseless": 1.0, "exact_raw": 1.0, "cer": 0.0, "cer_caseless": 0.0}


def samples(texts: list[str]) -> list[Sample]:
    return [Sample(str(i), Image.new("RGB", (40, 20)), text) for i, text in enumerate(texts)]


def test_a_race_by_hand() -> None:
    answers = iter([*["warm"] * 3, "ab", "AB", "a-b"])

    def one(image: Image.Image) -> str:
        time.sleep(0.005)
        return f" {next(answers)}\n"

    result = race(Peer("slow", one, None), samples(["ab", "ab", "ab"]), 1)
    assert result.figures["exact_raw"] == pytest.approx(1 / 3)
    assert result.figures["exact_caseless"] == pytest.approx(2 / 3)
    assert result.figures["exact_alphanumeric"] == 1
    assert result.figures["cer"] == pytest.approx(3 / 6)
    assert result.figures["cer_caseless"] == pytest.approx(1 / 6)
    assert 5 <= result.median < 100
    assert result.batched is None
    assert "slow" in table([result])
    assert "1.000" in table([result])


def test_samples_without_a_picture_are_not_raced() -> None:
    broken = Sample("broken", None, "x", "no readable picture")
    quick = Peer("quick", lambda _: "ab", lambda images: ["ab"] * len(images))
    result = race(quick, [broken, *samples(["ab"])], 1)
    assert result.figures["exact_raw"] == 1
    assert result.batched is not None


def test_a_set_without_a_picture_is_one_sentence() -> None:
    broken = Sample("broken", None, "x", "no readable picture")
    with pytest.raises(DataError, match="of 2 crops none can be read"):
        race(Peer("quick", lambda _: "", lambda _: []), [broken, broken], 1)


def test_this_projects_reader_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CRNN(CRNNConfig(Vocabulary("ab "), "tiny")).save_pretrained(tmp_path / "model")
    for retry, runtime in ((True, "torch"), (False, "onnx")):
        result = race(own(str(tmp_path / "model"), runtime, retry=retry), samples(["ab", "b"]), 1)
        assert result.ours
        assert result.batched is not None
    folder = tmp_path / "set"
    folder.mkdir()
    Image.new("RGB", (40, 20)).save(folder / "a.png")
    (folder / "metadata.csv").write_text("file_name,text\na.png,ab\n")
    arguments = ["--parts", "peers", "--model", str(tmp_path / "model"), "--dataset", str(folder), "--threads", "1"]
    benchmark.main([*arguments, "--runtimes", "torch"])
    shown = capsys.readouterr().out
    assert "one by one" in shown
    assert "simpleocr model torch, one look" in shown
    assert "onnx" not in shown
    with pytest.raises(SystemExit):
        benchmark.main(["--parts", "peers"])


def test_what_is_not_installed_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert peers.tesseract() is None
    assert peers.rapidocr(1) is None
    monkeypatch.setattr(peers, "own", lambda model, runtime, *, retry: Peer(f"{runtime} {retry}", lambda _: "", None))
    names = [peer.name for peer in peers.peers("english", ["torch", "onnx"], 1)]
    assert names == ["torch False", "torch True", "onnx False", "onnx True"]


def test_times_are_shares_of_the_others() -> None:
    races = [
        Race("own", FIGURES, 2.0, 1.0, ours=True),
        Race("slow 1", FIGURES, 20.0, None),
        Race("fast", FIGURES, 8.0, None),
    ]
    assert shares(races) == [
        {"slow 1": 0.1, "fast": 0.25},
        {"slow 1": 1.0, "fast": 2.5},
        {"slow 1": pytest.approx(0.4), "fast": 1.0},
    ]
    shown = table(races).splitlines()
    assert shown[0].endswith("/      slow  /      fast")
    assert shown[1].split()[-2:] == ["0.10", "0.25"]
    assert len({len(row) for row in shown}) == 1


def test_what_is_loaded_in_a_number_of_threads_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    with threads(1):
        assert os.environ["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in os.environ


def test_what_tesseract_cannot_take_in_it_has_not_read() -> None:
    class Refusing:
        def SetImage(self, image: Image.Image) -> None:  # noqa: N802 - as Tesseract has it
            raise RuntimeError(image)

    assert peers.tesseract_read(Refusing(), Image.new("L", (1, 1))) == ""


@pytest.mark.skipif(find_spec("rapidocr") is None, reason="rapidocr is not installed")
def test_rapidocr_reads_a_blank() -> None:
    peer = peers.rapidocr(1)
    assert peer is not None
    assert isinstance(peer.one(Image.new("RGB", (100, 32), "white")), str)
