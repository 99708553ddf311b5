"""training.evaluate_pages: the figures of a set, its worst pages, and settings that reach the reader."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from simpleocr.document import Page
from simpleocr.image import InputError
from simpleocr.models import MODEL_FILE, SHIPPED
from tests.test_page_scores import A, B, read_page
from training import evaluate_pages, memory
from training.crops import MAX_PAGE_PIXELS
from training.memory import forget_peak, peak_memory


class Reader:
    """Reads the same on every page, but refuses small ones."""

    def __call__(self, image: Image.Image) -> Page:
        if image.width < 100:
            raise InputError("too small")
        page = read_page([(A, "PAID"), (B, "total")], [((0.0, 60.0, 30.0, 70.0), "wrong")])
        return Page(page.lines, image.size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (200, 100), "white").save(tmp_path / "a.png")
    Image.new("RGB", (50, 50), "white").save(tmp_path / "b.png")
    words = [
        {"box": list(A), "text": "Total:"},
        {"box": list(B), "text": "total"},
        {"box": [0, 80, 9, 89], "text": "5"},
    ]
    rows = [
        {"file_name": "a.png", "words": words},
        {"file_name": "b.png", "words": [{"box": [0, 0, 9, 9], "text": "paid"}]},
    ]
    (tmp_path / "pages.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path


def test_figures_of_a_set_and_its_worst_pages(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {}

    def from_pretrained(name: str, **options: Any) -> Reader:
        given.update(options, name=name)
        return Reader()

    monkeypatch.setattr("simpleocr.reader.OCR.from_pretrained", from_pretrained)
    out = folder / "out"
    evaluate_pages.main(
        ["--dataset", str(folder), "--runtime", "onnx", "--no_retry", "--worst", "1", "--out", str(out)]
    )
    assert given == {
        "name": "english",
        "detector": "lines",
        "retry": False,
        "runtime": "onnx",
        "max_pixels": MAX_PAGE_PIXELS,
    }
    report = json.loads((out / f"{folder.name}-pages.json").read_text())
    figures = {name: of["value"] for name, of in report["figures"].items()}
    assert figures["word_precision"] == pytest.approx(1 / 3)
    assert figures["word_recall"] == pytest.approx(1 / 4)
    assert figures["detection_hmean"] == pytest.approx(4 / 7)
    assert figures["end_to_end_f1"] == pytest.approx(2 / 7)
    assert "cer_in_order" not in figures
    assert report["figures"]["word_recall"]["low"] == 0
    assert report["pages"] == 2
    assert report["refused"] == ["b.png: too small"]
    assert "1 pages refused, counted as unread: b.png" in capsys.readouterr().out
    assert report["boxes"] == "words"
    assert report["wrong"] == {"misread": 1, "missed": 2, "invented": 1}
    assert report["memory_mib_most"] >= report["memory_mib_median"] > 0
    digest = hashlib.sha256((SHIPPED / "lines" / MODEL_FILE).read_bytes()).hexdigest()
    assert report["detector"] == {"name": "lines", "sha256": digest}
    assert report["command"].startswith("python -m training.evaluate_pages --dataset")
    sheet = (out / f"{folder.name}-pages.html").read_text()
    assert "a.png: word F1" in sheet
    assert "b.png" not in sheet


def test_turned_pages_have_no_boxes(folder: Path) -> None:
    reader: Any = Reader()
    report, bad = evaluate_pages.measure(reader, str(folder), "test", 1, degrees=90)
    assert set(report["figures"]) == {"word_precision", "word_recall", "word_f1"}
    assert bad == []
    assert "refused" not in evaluate_pages.row(report)


def test_sets_of_one_name_have_reports_of_their_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [str(tmp_path / name / "test set") for name in ("one", "other")]
    for name in sets:
        shutil.copytree(folder, name, ignore=shutil.ignore_patterns("one", "other"))
    monkeypatch.setattr("simpleocr.reader.OCR.from_pretrained", lambda *_, **__: Reader())
    out = tmp_path / "out"
    evaluate_pages.main(["--dataset", *sets, "--turn", "0", "90", "--out", str(out)])
    reports = {file.name: json.loads(file.read_text()) for file in out.glob("*-pages.json")}
    assert {name: (report["dataset"], report["turned"]) for name, report in reports.items()} == {
        "test_set-pages.json": (sets[0], 0),
        "test_set-90-pages.json": (sets[0], 90),
        "test_set-2-pages.json": (sets[1], 0),
        "test_set-90-2-pages.json": (sets[1], 90),
    }
    assert "test_set-90-2: 2 pages" in capsys.readouterr().out


def test_no_such_set_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"training\.evaluate_pages: no such corpus"):
        evaluate_pages.main(["--dataset", "no-such-folder/at-all/x", "--detector", "none"])
    assert "Traceback" not in capsys.readouterr().err


def test_a_peak_is_forgotten_where_the_kernel_allows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = bytearray(200 * 2**20)
    del large
    before = peak_memory()
    if before and forget_peak():
        assert peak_memory() < before - 100
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "FORGET", tmp_path / "no" / "folder")
    assert peak_memory() == 0
    assert not forget_peak()
