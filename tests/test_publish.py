import hashlib
import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import EvalResult, ModelCard

from simpleocr import CRNN, CRNNConfig, Vocabulary
from simpleocr.vocabulary import VOCABULARIES
from training import publish


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = CRNN(CRNNConfig(VOCABULARIES["english"], "tiny"), {"samples": 1_234_567})
    network.save_pretrained(tmp_path / "model", dtype=torch.float16)
    return tmp_path / "model"


def report(model: Path, folder: Path, name: str = "iiit5k_train", split: str = "train") -> Path:
    figure = {"value": 0.9123, "low": 0.9, "high": 0.92}
    content = {
        "command": f"python -m training.evaluate --model m --dataset {name}",
        "model": {"sha256": hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()},
        "dataset": f"somewhere/{name}",
        "split": split,
        "samples": 2000,
        "figures": dict.fromkeys(publish.COLUMNS, figure),
        "calibration": {name: {"error": 0.0321} for name in publish.CALIBRATION},
    }
    path = folder / f"{name}-{split}.json"
    path.write_text(json.dumps(content))
    return path


def test_the_card_says_what_was_measured_and_the_weights_stay_the_same(model: Path, tmp_path: Path) -> None:
    reports = [report(model, tmp_path), report(model, tmp_path, "hard", "test")]
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{publish.MARKS[0]}old\n{publish.MARKS[1]}after\n")
    out = tmp_path / "out"
    publish.main(["--model", str(model), "--reports", *map(str, reports), "--out", str(out), "--readme", str(readme)])
    assert (out / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    card = (out / "README.md").read_text()
    front = ModelCard(card).data
    assert front["library_name"] == "simpleocr"
    results: list[EvalResult] = front.get("eval_results")
    assert {result.dataset_name for result in results} == {"iiit5k_train", "hard (test)"}
    assert {result.metric_value for result in results} == {0.9123, 0.0321}
    assert "1,234,567 views" in card
    assert "0.912 (0.900–0.920)" in card
    assert "| 0.032 |" in card
    assert "{{" not in card
    assert "training.evaluate --model m --dataset iiit5k_train" in card
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| hard (test) | 2,000 |" in text
    assert "old" not in text


def test_a_card_is_replaced_by_a_newer_one(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("first", "second"):
        publish.main(["--model", str(model), "--reports", str(report(model, tmp_path, name)), "--out", str(out)])
    assert "second" in (out / "README.md").read_text()
    assert "first" not in (out / "README.md").read_text()


def test_figures_of_other_weights_are_refused(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    CRNN(CRNNConfig(Vocabulary("ab"), "tiny")).save_pretrained(other)
    with pytest.raises(SystemExit, match="other weights"):
        publish.main(["--model", str(model), "--reports", str(report(other, tmp_path)), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 3}', '{"model": {}}'])
def test_a_file_that_is_no_report_is_named(model: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises(SystemExit, match=r"odd\.json is not a report"):
        publish.main(["--model", str(model), "--reports", str(tmp_path / "odd.json"), "--out", str(tmp_path / "out")])


def test_a_missing_model_or_target_is_one_sentence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="nowhere"):
        publish.main(["--model", str(tmp_path / "nowhere"), "--reports", "x.json", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        publish.main(["--model", str(model), "--reports", "x.json"])
    assert "--out, --push or --space" in capsys.readouterr().err
