"""training.page_lines: crops say what their words say, and no more."""

from pathlib import Path
from random import Random
from typing import Any

import cv2
import datasets
import numpy as np
import numpy.typing as npt
import pytest

from training import page_lines, shards
from training.data import open_corpus
from training.page_lines import cut_line, cut_pages
from training.shards import write_lines


def page(words: list[str], size: tuple[int, int] = (700, 120)) -> tuple[npt.NDArray[np.uint8], list[dict[str, Any]]]:
    """A white page with a dark bar for each word, and the words."""
    grey = np.full(size[::-1], 255, dtype=np.uint8)
    placed, left = [], 40
    for word in words:
        right = left + 14 * len(word)
        grey[40:64, left:right] = 0
        placed.append({"box": [float(left), 40.0, float(right), 64.0], "text": word})
        left = right + 20
    return grey, placed


def bars(crop: npt.NDArray[np.uint8]) -> int:
    """Dark bars side by side along the middle of a crop."""
    row = crop[crop.shape[0] // 2]
    dark = np.concatenate([[0], (row < 128).astype(np.int8)])
    return int((np.diff(dark) == 1).sum())


def cut_off(table: datasets.Dataset, path: Path) -> None:
    """to_parquet() on a disk that is full."""
    path.write_bytes(b"PAR1")
    raise OSError(f"{len(table)} rows: the disk is full")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_lines, "photographed", lambda image, letters, rng: image)


@pytest.mark.usefixtures("plain")
def test_a_crop_holds_the_words_of_its_text() -> None:
    grey, words = page(["Alpha", "beta", "Gamma", "delta"])
    texts = set()
    for seed in range(60):
        cut = cut_line(grey, words, Random(seed))
        assert cut is not None
        crop, text = cut
        assert text in "Alpha beta Gamma delta"
        assert len(text.split()) in (bars(crop), bars(255 - crop))  # some are inverted
        texts.add(text)
    assert "Alpha beta Gamma delta" in texts
    assert len(texts) > 3


def test_what_is_not_known_is_not_cut() -> None:
    grey, words = page(["Alpha", "beta"])
    assert cut_line(grey, [{**words[0], "text": ""}], Random(1)) is None
    assert cut_line(grey, [{**words[0], "text": "\u0416"}], Random(1)) is None
    assert cut_line(grey, [{"box": [10.0, 10.0, 60.0, 15.0], "text": "small"}], Random(1)) is None


def test_a_corpus_of_lines_is_one_to_train_on(tmp_path: Path) -> None:
    grey, words = page(["Alpha", "beta"])
    data = cv2.imencode(".png", grey)[1].tobytes()
    pages = [
        {"image": {"bytes": data, "path": None}, "lines": [{"box": [40.0, 40.0, 186.0, 64.0], "words": words}]}
    ] * 3
    pages += [{"image": {"bytes": data, "path": None}, "lines": []}]
    (tmp_path / "data").mkdir()
    assert write_lines(cut_pages(pages, 0, "train"), tmp_path, "train") == 3
    rows = open_corpus(str(tmp_path), "train")
    assert len(rows) == 3
    assert all(row["text"] in ("Alpha beta", "Alpha", "beta") for row in rows)
    assert next(cut_pages(pages, 0, "train")) == next(cut_pages(pages, 0, "train"))


def test_a_shard_is_there_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "LINES", 2)
    row = {"image": {"bytes": cv2.imencode(".png", page(["a"])[0])[1].tobytes(), "path": None}, "width": 1, "height": 1}
    rows = [{**row, "text": str(i)} for i in range(5)]
    (tmp_path / "data").mkdir()
    assert write_lines(iter(rows), tmp_path, "train") == 5
    names = [f"train-{i:05d}.parquet" for i in range(3)]
    assert sorted(file.name for file in (tmp_path / "data").iterdir()) == names
    assert open_corpus(str(tmp_path), "train")["text"][:] == list("01234")
    (tmp_path / "other" / "data").mkdir(parents=True)
    monkeypatch.setattr(datasets.Dataset, "to_parquet", cut_off)
    with pytest.raises(OSError, match="full"):
        write_lines(iter(rows), tmp_path / "other", "train")
    assert [*(tmp_path / "other" / "data").glob("*.parquet")] == []
