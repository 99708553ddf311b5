import hashlib
import json
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from huggingface_hub import EvalResult, ModelCard
from PIL import Image

import simpleocr
from simpleocr import CRNN, CRNNConfig, LineNet, LineNetConfig, Vocabulary
from simpleocr.vocabulary import VOCABULARIES
from training import detector_card, publish


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


def page_report(model: Path, folder: Path, name: str = "forms", **changes: Any) -> Path:
    figure = {"value": 0.8123, "low": 0.8, "high": 0.82}
    content = {
        "command": f"python -m training.evaluate_pages --dataset {name}",
        "model": {"name": "english", "sha256": "ab" * 32},
        "detector": {"name": "lines", "sha256": hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()},
        "runtime": "torch",
        "retry": True,
        "turned": 0.0,
        "dataset": f"somewhere/{name}",
        "pages": 149,
        "boxes": "words",
        "figures": {column: figure for column in detector_card.COLUMNS if column != "cer_in_order"},
    }
    path = folder / f"{name}-pages.json"
    path.write_text(json.dumps(content | changes))
    return path


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    LineNet(LineNetConfig("small", 0.35), {"samples": 3600}).save_pretrained(tmp_path / "found", dtype=torch.float16)
    return tmp_path / "found"


def test_a_detectors_card_has_the_figures_of_pages(detector: Path, tmp_path: Path) -> None:
    words_alone = {"word_f1": {"value": 0.5, "low": 0.4, "high": 0.6}}
    reports = [
        page_report(detector, tmp_path),
        page_report(detector, tmp_path, "turned", turned=90.0, runtime="onnx", retry=False, figures=words_alone),
    ]
    readme = tmp_path / "README.md"
    readme.write_text(
        f"{publish.MARKS[0]}lines\n{publish.MARKS[1]}\n{publish.PAGE_MARKS[0]}old\n{publish.PAGE_MARKS[1]}\n"
    )
    out = tmp_path / "lines"
    arguments = ["--reports", *map(str, reports), "--out", str(out), "--readme", str(readme)]
    publish.main(["--model", str(detector), *arguments])
    assert (out / "model.safetensors").read_bytes() == (detector / "model.safetensors").read_bytes()
    card = (out / "README.md").read_text()
    results: list[EvalResult] = ModelCard(card).data.get("eval_results")
    assert {result.dataset_name for result in results} == {"forms", "turned, turned by 90°, onnx, one look"}
    assert "| forms | 149 | words | 0.812 (0.800–0.820) |" in card
    assert "| turned, turned by 90°, onnx, one look | 149 | – | – | – | – | – | 0.500 (0.400–0.600) | – |" in card
    assert "3,600 views" in card
    assert "0.35" in card
    assert 'detector="lines"' in card
    assert "`english` (sha256 abababababab…)" in card
    assert "training.evaluate_pages --dataset forms\n" in card
    assert "{{" not in card
    text = readme.read_text()
    assert "old" not in text
    assert f"{publish.MARKS[0]}lines\n" in text
    assert "| forms | 149 |" in text


def test_reports_of_one_kind_are_not_taken_for_the_other(model: Path, detector: Path, tmp_path: Path) -> None:
    lines, pages = report(model, tmp_path), page_report(detector, tmp_path)
    for network, of, script in ((detector, lines, "evaluate_pages"), (model, pages, "evaluate")):
        with pytest.raises(SystemExit, match=f"not a report of training.{script}:"):
            publish.main(["--model", str(network), "--reports", str(of), "--out", str(tmp_path / "out")])
    other = page_report(model, tmp_path, "other")
    with pytest.raises(SystemExit, match="other weights"):
        publish.main(["--model", str(detector), "--reports", str(other), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("name", ["english", "lines"])
def test_a_shipped_card_is_called_as_what_it_lies_beside(name: str) -> None:
    card = Path(simpleocr.__file__).parent / "weights" / name / "README.md"
    title = next(line for line in card.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    assert title == f"# SimpleOCR {name}"


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What would go to the Hub, saved in a folder instead."""
    monkeypatch.setattr(
        datasets.DatasetDict, "push_to_hub", lambda self, *_, **__: self.save_to_disk(str(tmp_path / "pushed"))
    )
    return tmp_path / "pushed"


def labelled(folder: Path, table: str, rows: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        Image.new("L", (40 + number, 20), 255).save(folder / f"{number}.png")
    (folder / table).write_text(f"file_name,text\n{rows}")


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("table", ["metadata.csv", "labels.csv"])
def test_a_corpus_is_pushed_with_the_labels_that_training_reads(tmp_path: Path, pushed: Path, table: str) -> None:
    labelled(tmp_path / "mine", table, "0.png,007\n1.png,NA\n2.png,12.50\n")
    labelled(tmp_path / "mine" / "val", table, "0.png,010\n")
    publish.main(["--corpus", str(tmp_path / "mine"), "--push", "user/lines"])
    found = datasets.load_from_disk(str(pushed))
    assert {split: rows["text"][:] for split, rows in found.items()} == {
        "train": ["007", "NA", "12.50"],
        "validation": ["010"],
    }
    assert found["train"][2]["image"].size == (42, 20)


@pytest.mark.usefixtures("apart")
def test_a_corpus_of_pages_is_pushed_as_it_is(tmp_path: Path, pushed: Path) -> None:
    Image.new("L", (40, 20), 255).save(tmp_path / "0.png")
    rows = datasets.Dataset.from_dict({"image": [str(tmp_path / "0.png")], "lines": [[{"text": "a"}]]})
    (tmp_path / "pages").mkdir()
    rows.cast_column("image", datasets.Image()).to_parquet(tmp_path / "pages" / "test-00000-of-00001.parquet")
    publish.main(["--corpus", str(tmp_path / "pages"), "--push", "user/pages"])
    found = datasets.load_from_disk(str(pushed))
    assert {split: rows["lines"][:] for split, rows in found.items()} == {"test": [[{"text": "a"}]]}


@pytest.mark.usefixtures("apart")
def test_what_is_no_corpus_is_not_pushed(tmp_path: Path, pushed: Path) -> None:
    (tmp_path / "mine").mkdir()
    Image.new("L", (40, 20), 255).save(tmp_path / "mine" / "0.png")
    with pytest.raises(SystemExit, match=r"training\.publish: .*mine.*training\.labels reads pictures without texts"):
        publish.main(["--corpus", str(tmp_path / "mine"), "--push", "user/lines"])
    assert not pushed.exists()
