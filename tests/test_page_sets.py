"""Page sets: what a folder with pages.jsonl and a corpus of pages say of their pages."""

import json
from pathlib import Path
from typing import Any

import cv2
import datasets
import pytest
from PIL import Image

from tests.test_pages import made_page
from training.data import DataError
from training.page_sets import pages_of


def folder(tmp_path: Path, *rows: dict[str, Any]) -> str:
    Image.new("RGB", (200, 100), "white").save(tmp_path / "a.png")
    (tmp_path / "pages.jsonl").write_text("\n".join(json.dumps({"file_name": "a.png"} | row) for row in rows))
    return str(tmp_path)


def test_words_and_lines_with_text(tmp_path: Path) -> None:
    words = [{"box": [0, 1, 9, 10], "text": "a"}, {"box": [0, 0, 5, 5], "text": " "}]
    boxes = [{"box": [0, 1, 90, 10], "text": "a b"}]
    first, second, third = pages_of(folder(tmp_path, {"words": words}, {"boxes": boxes}, {}), "test")
    assert (first.level, first.pieces, first.text, first.ordered) == ("words", [((0, 1, 9, 10), "a")], "a", None)
    assert (second.level, second.text) == ("lines", "a b")
    assert third.pieces == []
    assert [page.unknown for page in (first, second, third)] == [[(0, 0, 5, 5)], [], []]
    assert first.image.size == (200, 100)


def test_a_limit_is_spread_over_the_set(tmp_path: Path) -> None:
    name = folder(tmp_path, *({"words": [{"box": [0, 0, 9, 9], "text": str(i)}]} for i in range(10)))
    assert [page.text for page in pages_of(name, "test", 3)] == ["0", "3", "6"]


@pytest.mark.parametrize(
    "row", [{"words": [{"box": [1, 2, 3], "text": "x"}]}, {"words": [{"text": "x"}]}, {"words": 3}]
)
def test_what_is_not_as_it_should_be_is_named(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"pages\.jsonl is not as it should be"):
        list(pages_of(folder(tmp_path, row), "test"))


def test_a_corpus_of_pages_has_lines_and_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    image, lines = made_page()
    for word in lines[2]["words"][1:]:
        word["text"] = ""
    lines[2]["text"] = ""
    row = {"image": [{"bytes": bytes(cv2.imencode(".png", image)[1]), "path": None}], "lines": [lines[:3]]}
    (tmp_path / "set" / "data").mkdir(parents=True)
    table = datasets.Dataset.from_dict(row).cast_column("image", datasets.Image())
    table.to_parquet(tmp_path / "set" / "data" / "test-00000-of-00001.parquet")
    (page,) = pages_of(str(tmp_path / "set"), "test")
    assert page.level == "lines"
    assert [text for _, text in page.pieces] == [line["text"] for line in lines[:2]]
    assert page.ordered == " ".join(line["text"] for line in lines[:2]), "nor is a word of a line that is not known"
    assert page.unknown == [tuple(lines[2]["box"])]
