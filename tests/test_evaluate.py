"""training.evaluate and what it is made of: figures by hand, every bad sample an error, files that can be opened."""

import csv
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from simpleocr import CRNN, VOCABULARIES, CRNNConfig, metrics
from simpleocr.inference import for_inference
from simpleocr.preprocessing import Preprocessing
from simpleocr.recognition import recognize
from simpleocr.retry import recognize_carefully
from training import crops, evaluate, scores, sheet
from training.data import DataError
from training.timing import threads

TEXTS = ["007", "NA", "two words", "", "null"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from more, and beside other work they lose much."""
    with threads(1):
        yield


def picture(text: str, size: tuple[int, int] = (80, 24)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((4, 4), text, "black")
    return image


@pytest.fixture(scope="module")
def network() -> CRNN:
    torch.manual_seed(1)
    made = CRNN(CRNNConfig(VOCABULARIES["ascii"], "tiny", Preprocessing(max_width=2000))).eval()
    made.classifier.weight.data.mul_(30)  # so that it writes something
    return made


@pytest.fixture(scope="module")
def model(network: CRNN, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    network.save_pretrained(folder, dtype=torch.float32)
    return str(folder)


def write_corpus(folder: Path, rows: list[tuple[str, str]]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in rows:
        if not (folder / name).exists():
            picture(text).save(folder / name)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "text"), *rows])
    return str(folder)


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    return write_corpus(tmp_path / "set", [(f"{i}.png", text) for i, text in enumerate(TEXTS)])


def write_pages(folder: Path, pages: list[dict[str, Any]]) -> str:
    folder.mkdir()
    (folder / "pages.jsonl").write_text("\n".join(json.dumps(page) for page in pages), encoding="utf-8")
    return str(folder)


def report_of(model: str, dataset: str, out: Path, *more: str) -> dict[str, Any]:
    evaluate.main(["--model", model, "--dataset", dataset, "--out", str(out), *more])
    report: dict[str, Any] = json.loads(next(out.glob("*.json")).read_text(encoding="utf-8"))
    return report


def space_precision_recall(predictions: list[str], targets: list[str]) -> tuple[float, float]:
    """Of the spaces written the share that are there, of those that are there the share written; 1 where none is."""
    pairs = zip(predictions, targets, strict=True)
    right = sum(metrics.right_spaces(prediction=p, target=t) for p, t in pairs)
    written, there = "".join(predictions).count(" "), "".join(targets).count(" ")
    return right / written if written else 1.0, right / there if there else 1.0


def test_figures_are_those_of_metrics_on_what_recognize_gives(
    network: CRNN, model: str, corpus: str, tmp_path: Path
) -> None:
    report = report_of(model, corpus, tmp_path / "out")
    images = [Image.open(Path(corpus, f"{i}.png")).convert("RGB") for i in range(len(TEXTS))]
    predictions = [line.text for line in recognize_carefully(for_inference(network), images)]
    assert any(predictions)
    pair: dict[str, Any] = {"predictions": predictions, "targets": TEXTS}
    precision, recall = space_precision_recall(predictions, TEXTS)
    expected = {
        "cer": metrics.cer(**pair),
        "cer_caseless": metrics.cer(predictions=[p.lower() for p in predictions], targets=[t.lower() for t in TEXTS]),
        "wer": metrics.wer(**pair),
        **{f"exact_{n}": metrics.exact_match(**pair, normalisation=n) for n in metrics.NORMALISATIONS},
        "space_precision": precision,
        "space_recall": recall,
    }
    assert {name: of["value"] for name, of in report["figures"].items()} == pytest.approx(expected)
    assert all(of["low"] <= of["value"] <= of["high"] for of in report["figures"].values())
    assert {row["target"]: row["prediction"] for row in report["worst"]}.items() <= dict(
        zip(TEXTS, predictions, strict=True)
    ).items()


def test_without_retry_it_is_what_one_look_gives(network: CRNN, model: str, corpus: str, tmp_path: Path) -> None:
    report = report_of(model, corpus, tmp_path / "out", "--no_retry")
    images = [Image.open(Path(corpus, f"{i}.png")).convert("RGB") for i in range(len(TEXTS))]
    predictions = [line.text for line in recognize(network, images)]
    assert report["figures"]["cer"]["value"] == pytest.approx(metrics.cer(predictions=predictions, targets=TEXTS))
    assert report["model"]["retry"] is False


def test_a_split_that_cannot_be_read_is_not_taken_for_a_missing_one(model: str, tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_corpus(tmp_path / split, [("a.png", "a")])
    (tmp_path / "test" / "metadata.csv").write_bytes("file_name,text\na.png,für\n".encode("latin-1"))
    with pytest.raises(SystemExit, match=r"test.metadata\.csv is not UTF-8"):
        evaluate.main(["--model", model, "--dataset", str(tmp_path)])


def test_lines_that_may_have_been_trained_on_are_warned_of(
    model: str, corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.main(["--model", model, "--dataset", corpus])
    assert f"warning: {corpus} has no test or validation split" in capsys.readouterr().err
    evaluate.main(["--model", model, "--dataset", corpus, "--split", "train"])
    assert "warning" not in capsys.readouterr().err, "asked for"
    split = write_corpus(tmp_path / "split" / "test", [("a.png", "a")])
    write_corpus(tmp_path / "split" / "train", [("b.png", "b")])
    evaluate.main(["--model", model, "--dataset", str(Path(split).parent)])
    assert "warning" not in capsys.readouterr().err


@pytest.mark.usefixtures("exact")
def test_any_runtime_may_compute_the_model(
    model: str, corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch_report = report_of(model, corpus, tmp_path / "torch")
    onnx_report = report_of(model, corpus, tmp_path / "onnx", "--runtime", "onnx")
    assert (torch_report["model"].pop("runtime"), onnx_report["model"].pop("runtime")) == ("torch", "onnx")
    assert torch_report["model"] == onnx_report["model"]
    assert onnx_report["figures"]["cer"] == torch_report["figures"]["cer"]
    with pytest.raises(SystemExit, match=r"training\.evaluate: .*ranges"):
        evaluate.main(["--model", model, "--dataset", corpus, "--runtime", "onnx-int8"])


def test_the_report_says_where_it_is_from(model: str, corpus: str, tmp_path: Path) -> None:
    report = report_of(model, corpus, tmp_path / "out")
    assert report["samples"] == len(TEXTS)
    assert report["split"] == "train"
    assert report["command"].startswith(f"python -m training.evaluate --model {model}")
    assert re.fullmatch("[0-9a-f]{64}", report["model"]["sha256"])
    assert report["samples_per_second"] > 0
    assert set(report["figures"]) == set(scores.FIGURES)
    assert report["bootstrap"] == {"draws": 1000, "seed": 0, "interval": 0.95}
    assert report["confusions"]
    assert report["faults"] == {}


def test_what_cannot_be_read_counts_as_an_error(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "blank.png").write_bytes(b"")
    picture("long", (1000, 10)).save(folder / "wide.png")
    rows = [("broken.png", "four"), ("blank.png", ""), ("wide.png", "long"), ("euro.png", "€€"), ("euro2.png", "€")]
    report = report_of(model, write_corpus(folder, rows), tmp_path / "out")
    assert report["samples"] == 5
    assert {what: of["count"] for what, of in report["faults"].items()} == {"no readable picture": 2, "too wide": 1}
    assert "broken.png" in report["faults"]["no readable picture"]["examples"][0]
    assert report["targets_with_unknown_characters"] == 2
    assert report["unknown_characters"] == {"€": 2}
    assert report["figures"]["exact_raw"]["value"] == 0  # the empty target, too: nothing was read
    assert report["figures"]["cer"]["value"] >= 1
    shown = capsys.readouterr().out
    assert "1 too wide, counted as errors: row 2 wide.png" in shown
    assert "2 targets with characters that the model lacks" in shown


def test_a_fault_is_never_a_match_however_little_is_compared() -> None:
    counts = dict(zip(scores.COUNTS, scores.sample_counts(prediction="", target="!?", fault=True), strict=True))
    assert (counts["raw"], counts["alphanumeric"], counts["edits"]) == (0, 0, 2)
    counts = dict(zip(scores.COUNTS, scores.sample_counts(prediction="", target="!?", fault=False), strict=True))
    assert (counts["raw"], counts["alphanumeric"]) == (0, 1)


WORDS = st.lists(st.text("aAbß İ.", max_size=6).map(lambda t: " ".join(t.split())), min_size=1, max_size=5)


@settings(max_examples=50, deadline=None)
@given(st.data(), WORDS)
def test_summed_counts_give_what_metrics_gives(data: st.DataObject, targets: list[str]) -> None:
    predictions = data.draw(
        st.lists(st.sampled_from([*targets, "a b", ""]), min_size=len(targets), max_size=len(targets))
    )
    counts = [
        scores.sample_counts(prediction=p, target=t, fault=False) for p, t in zip(predictions, targets, strict=True)
    ]
    found = scores.figures(np.array(counts, dtype=np.float64).sum(axis=0))
    pair: dict[str, Any] = {"predictions": predictions, "targets": targets}
    assert float(found["cer"]) == pytest.approx(metrics.cer(**pair))
    assert float(found["wer"]) == pytest.approx(metrics.wer(**pair))
    folded: dict[str, Any] = {
        name: [metrics.NORMALISATIONS["caseless"](text) for text in texts] for name, texts in pair.items()
    }
    assert float(found["cer_caseless"]) == pytest.approx(metrics.cer(**folded))
    for name in metrics.NORMALISATIONS:
        assert float(found[f"exact_{name}"]) == pytest.approx(metrics.exact_match(**pair, normalisation=name))
    spaces = (float(found["space_precision"]), float(found["space_recall"]))
    assert spaces == pytest.approx(space_precision_recall(predictions, targets))


def test_bootstrap_is_deterministic_contains_the_figure_and_is_as_wide_as_theory_says() -> None:
    rng = np.random.default_rng(3)
    right = rng.random(400) < 0.7
    counts = np.array([scores.sample_counts(prediction="a" if r else "b", target="a", fault=False) for r in right])
    found = scores.bootstrap(counts)
    assert found == scores.bootstrap(counts)
    assert found != scores.bootstrap(counts, seed=1)
    value, low, high = found["exact_raw"]
    assert value == right.mean()
    assert low < value < high
    assert high - low == pytest.approx(2 * 1.96 * (value * (1 - value) / 400) ** 0.5, rel=0.15)
    assert found["space_recall"] == (1, 1, 1)


def test_the_sheet_is_well_formed_and_takes_no_text_for_markup(model: str, tmp_path: Path) -> None:
    evil = '<script>alert("&")</script>'
    dataset = write_corpus(tmp_path / "set", [("a.png", evil), ("b&lt;.png", "]]>"), ("c.png", "a\x07b")])
    report_of(model, dataset, tmp_path / "out")
    text = next((tmp_path / "out").glob("*.html")).read_text(encoding="utf-8")
    assert "<script" not in text
    page = ET.fromstring(text)
    pictures = [image.attrib["src"] for image in page.iter("img")]
    assert len(pictures) == 3
    assert all(source.startswith("data:image/png;base64,") for source in pictures)
    assert "http" not in text  # needs nothing else
    assert evil in [image.attrib["alt"] for image in page.iter("img")]


def test_the_worst_come_first_and_case_alone_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "WORST", 3)
    worst = evaluate.WorstErrors()
    for prediction, score in (("word", 1.0), ("WORD", 0.9), ("wxyz", 0.5), ("", 0.1), ("abcc", 0.8), ("wor", 0.9)):
        counts = scores.sample_counts(prediction=prediction, target="word", fault=False)
        worst.add(evaluate.Reading("", "word", prediction, {"raw": score}, ""), picture("word"), counts)
        assert "word" not in [row.prediction for row in worst.rows()]
    assert [row.prediction for row in worst.rows()] == ["abcc", "", "wxyz"]


def test_differences_are_marked_on_both_sides() -> None:
    assert sheet.differences(prediction="c>t", target="c at") == (
        "c<mark>␣</mark><mark>a</mark>t",
        "c<mark>·</mark><mark>&gt;</mark>t",
    )
    assert sheet.visible("a\x00\ud800é") == "a\\x00\\ud800é"


@pytest.mark.parametrize(("key", "level"), [("words", "words"), ("boxes", "lines")])
def test_crops_of_pages(network: CRNN, tmp_path: Path, key: str, level: str) -> None:
    rows = [
        ([10, 10, 60, 30], "in"),
        ([-5, -5, 20.5, 20], "half out"),
        ([90, 40, 300, 300], "over the edge"),
        ([60, 30, 10, 10], "turned"),
        ([200, 10, 220, 20], "beyond"),
        ([5, 5, 5, 9], "flat"),
        ([1, 1, 9, 9], "  "),
    ]
    page = {"file_name": "p.png", "width": 100, "height": 50, key: [{"box": box, "text": text} for box, text in rows]}
    lost = {**page, "file_name": "gone.png", key: [{"box": [0, 0, 9, 9], "text": "x"}]}
    grown = {**page, "width": 200, key: [{"box": [0, 0, 9, 9], "text": "y"}]}
    folder = write_pages(tmp_path / "pages", [page, lost, grown])
    picture("page", (100, 50)).save(tmp_path / "pages" / "p.png")
    samples = crops.open_samples(folder)
    assert (samples.count, samples.left_out, samples.split) == (8, 1, level)
    found = list(samples.stream)
    assert [s.image.size if s.image else None for s in found] == [(50, 20), (21, 20), (10, 10), *[None] * 5]
    assert [s.fault for s in found[3:]] == [
        *["a box without area"] * 3,
        "on pages that cannot be read",
        "on pages of another size than pages.jsonl says",
    ]
    report, _ = evaluate.evaluate(network, crops.page_crops(folder))
    assert report["samples"] == 8
    assert sum(of["count"] for of in report["faults"].values()) == 5
    assert report["rows_without_text_left_out"] == 1
    other = "lines" if level == "words" else "words"
    with pytest.raises(DataError, match=f"has {level}, asked for is {other}"):
        crops.open_samples(folder, level=other)


@pytest.mark.parametrize(
    "page",
    [
        {"file_name": "p.png", "width": 9, "height": 9},
        {"file_name": "p.png", "width": 9, "height": 9, "words": [{"box": [1, 2, 3], "text": "a"}]},
        {"file_name": "p.png", "width": 9, "height": 9, "words": [{"box": [1, 2, 3, "x"], "text": "a"}]},
        {"file_name": "p.png", "width": 9, "height": 9, "words": [{"box": [1, 2, 3, 4], "text": None}]},
        {"file_name": "p.png", "width": 9, "height": 9, "words": [{"box": [1, 2, 3, 4], "text": " "}]},
        {"file_name": "p.png", "words": [{"box": [1, 2, 3, 4], "text": "a"}]},
        ["words"],
    ],
)
def test_pages_that_are_not_as_they_should_be(tmp_path: Path, page: Any) -> None:
    with pytest.raises(DataError, match=r"pages\.jsonl"):
        crops.open_samples(write_pages(tmp_path / "pages", [page]))


def test_a_limit_is_spread_over_the_set(corpus: str) -> None:
    samples = crops.open_samples(corpus, limit=2)
    assert samples.count == 2
    assert [s.target for s in samples.stream] == [TEXTS[0], TEXTS[2]]
    assert crops.open_samples(corpus, limit=99).count == len(TEXTS)


def test_test_goes_before_train(tmp_path: Path) -> None:
    from datasets import Dataset

    (tmp_path / "data").mkdir()
    picture("a").save(tmp_path / "a.png")
    cell = {"bytes": (tmp_path / "a.png").read_bytes(), "path": None}
    for split in ("train", "test"):
        Dataset.from_dict({"image": [cell], "text": [split]}).to_parquet(tmp_path / "data" / f"{split}-0.parquet")
    (tmp_path / "a.png").unlink()
    assert [s.target for s in crops.open_samples(str(tmp_path)).stream] == ["test"]
    assert [s.target for s in crops.open_samples(str(tmp_path), split="train").stream] == ["train"]


def test_several_sets_of_one_name_are_kept_apart_and_summed_up(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "CHUNK_SAMPLES", 1)
    first = write_corpus(tmp_path / "a" / "set", [("1.png", "one"), ("2.png", "two")])
    second = write_corpus(tmp_path / "b" / "set", [("1.png", "one")])
    evaluate.main(["--model", model, "--dataset", first, second, "--out", str(tmp_path / "out")])
    names = ["set-2.html", "set-2.json", "set.html", "set.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert re.findall(r"^set +(\d)", capsys.readouterr().out, flags=re.MULTILINE) == ["2", "1"]


@pytest.mark.parametrize("fault", ["dataset", "model", "split", "out"])
def test_what_the_user_can_mend_is_one_sentence(model: str, corpus: str, tmp_path: Path, fault: str) -> None:
    (tmp_path / "file").write_text("")
    given = {"dataset": corpus, "model": model} | {fault: str(tmp_path / ("file" if fault == "out" else "missing"))}
    with pytest.raises(SystemExit) as caught:
        evaluate.main([word for name, value in given.items() for word in (f"--{name}", value)])
    assert str(caught.value.code).startswith("training.evaluate: ")
    assert "\n" not in str(caught.value.code)
