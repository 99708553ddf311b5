"""training.evaluate_pages: words counted as they should be, with and without their order."""

import json
from pathlib import Path
from typing import Any

import cv2
import datasets
import pytest
from PIL import Image

from simpleocr.document import Char, Line, Page
from simpleocr.geometry import box_to_polygon
from tests.test_pages import made_page
from training import evaluate_pages
from training.evaluate_pages import words_of


class Reader:
    """Reads the same lines on every page."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def __call__(self, image: Image.Image) -> Page:
        lines = []
        for row, text in enumerate(self.texts):
            box = box_to_polygon((0.0, 30.0 * row, 100.0, 30.0 * row + 20))
            lines.append(Line(tuple(Char(c, 1.0, "", 0.0, box) for c in text), box, 1.0))
        return Page(tuple(lines), image.size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (200, 100), "white").save(tmp_path / "a.png")
    words = [{"box": [0, 0, 9, 9], "text": text} for text in ("Total:", "5.00", "(paid)", "-", "total")]
    rows = [{"file_name": "a.png", "width": 200, "height": 100, "words": words}]
    (tmp_path / "pages.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path


def test_words_have_neither_case_nor_outer_marks() -> None:
    assert words_of("Total: (5.00) — don't TOTAL “x” -") == {"total": 2, "5.00": 1, "don't": 1, "x": 1}


def test_words_are_counted_whatever_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_pretrained(*_: Any, **__: Any) -> Reader:
        return Reader("PAID total", "wrong")

    monkeypatch.setattr("simpleocr.reader.OCR.from_pretrained", from_pretrained)
    evaluate_pages.main(["--dataset", str(folder), "--detector", "none", "--out", str(folder / "out")])
    figures = json.loads((folder / "out" / f"{folder.name}-pages.json").read_text())["figures"]
    assert figures["word_precision"] == pytest.approx(2 / 3)
    assert figures["word_recall"] == pytest.approx(2 / 4)
    assert figures["word_f1"] == pytest.approx(4 / 7)
    assert figures["pages"] == 1
    assert "cer_in_order" not in figures


def test_order_counts_on_corpora_of_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    image, lines = made_page()
    row = {"image": [{"bytes": bytes(cv2.imencode(".png", image)[1]), "path": None}], "lines": [lines[:2]]}
    (tmp_path / "set" / "data").mkdir(parents=True)
    table = datasets.Dataset.from_dict(row).cast_column("image", datasets.Image())
    table.to_parquet(tmp_path / "set" / "data" / "test-00000-of-00001.parquet")
    reader: Any = Reader("word word word", "word word")
    figures = evaluate_pages.measure(reader, str(tmp_path / "set"), "test", None)
    assert figures["word_recall"] == pytest.approx(5 / 6)
    assert figures["cer_in_order"] == pytest.approx(5 / 29)


def test_no_such_set_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"training\.evaluate_pages: no such corpus"):
        evaluate_pages.main(["--dataset", "no-such-folder/at-all/x", "--detector", "none"])
    assert "Traceback" not in capsys.readouterr().err
