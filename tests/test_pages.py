"""training.layouts, pages and page_crops: boxes lie around the words, and follow every view of the page."""

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import cv2
import datasets
import numpy as np
import numpy.typing as npt
import pytest

from simpleocr.regions import LINES, STRIDE, WORDS
from training import page_crops, pages
from training.corpus import load_corpus
from training.data import DataError, open_pages
from training.fonts import find_fonts
from training.layouts import LAYOUTS, Stock, Writer, lay_out_page
from training.page_crops import OF_SINGLES, core, crop_page, draw_maps, to_quads
from training.pages import render_pages, write_pages

needs_browser = pytest.mark.skipif(not any(map(shutil.which, pages.BROWSERS)), reason="no Chromium is installed")
PHOTO = np.full((40, 40), 90, dtype=np.float32)


@pytest.fixture(scope="module")
def stock() -> Stock:
    fonts = [file for file in find_fonts() if "DejaVu" in file.name and file.suffix == ".ttf"]
    return Stock(load_corpus(), fonts, fonts, [])


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_layout_is_decided_by_its_seed(kind: str, stock: Stock) -> None:
    write = LAYOUTS[kind][0]
    assert write(Writer(stock, Random(1))) == write(Writer(stock, Random(1)))
    assert write(Writer(stock, Random(1))) != write(Writer(stock, Random(2)))


def test_every_kind_of_page_comes(stock: Stock) -> None:
    drawn = [lay_out_page(stock, Random(seed)) for seed in range(60)]
    assert all(layout.html.startswith("<!doctype html>") for layout in drawn)
    assert len({layout.html for layout in drawn}) == 60
    assert {layout.scale for layout in drawn} == {1, 1.25, 1.5, 2}


@pytest.mark.slow
@needs_browser
def test_boxes_lie_around_the_ink(stock: Stock) -> None:
    ink, boxed, words = 0, 0, 0
    for page in render_pages(stock, 3, range(6)):
        grey = np.asarray(cv2.imdecode(np.frombuffer(page.data, np.uint8), cv2.IMREAD_GRAYSCALE))
        assert grey.shape == page.size[::-1]
        for line in page.lines:
            edges = np.array([word["box"] for word in line["words"]])
            assert line["box"] == [*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)]
            for word in line["words"]:
                left, top, right, bottom = (round(edge) for edge in word["box"])
                assert 0 <= left < right <= page.size[0]
                assert 0 <= top < bottom <= page.size[1]
                inside = grey[top:bottom, left:right].astype(int)
                words += 1
                boxed += np.ptp(inside) > 60
            if line["text"]:
                assert line["text"] == " ".join(word["text"] for word in line["words"])
        ink += len(page.lines)
    assert ink > 40
    assert boxed > 0.97 * words


@needs_browser
def test_a_word_broken_over_lines_has_the_text_of_each_part() -> None:
    from playwright.sync_api import sync_playwright

    html = """<style>body { font: 20px 'DejaVu Sans'; width: 150px; margin: 10px }</style>
    <p>aa well-known-state-of-the-art end</p>
    <p style='overflow-wrap: anywhere'>Donaudampfschiffe\u0301\U0001d538 x</p>
    <p>uni&shy;ver&shy;sal&shy;ity&shy;of&shy;things ty&shy;pe</p>
    <p>two<b>four-five</b>-six-seven</p>"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=pages.find_browser(), args=pages.ARGUMENTS)
        page = browser.new_page(viewport={"width": 400, "height": 600})
        page.set_content(html)
        lines = page.evaluate(pages.MEASURE)
        browser.close()
    texts = [" ".join(word["text"] for word in line) for line in lines]
    assert texts[:3] == ["aa well-", "known-state-", "of-the-art end"]
    assert "".join(texts[3:5]) == "Donaudampfschiffe\u0301\U0001d538 x"
    assert texts[5:] == ["universalityof-", "things type", "twofour-five-", "six-seven"]
    for line in lines:
        assert all(word["box"][2] <= 175 for word in line), "a part is as long as its own letters"
        assert all(one["box"][2] < other["box"][0] for one, other in pairwise(line))


@needs_browser
@pytest.mark.slow
def test_a_corpus_of_pages_is_read_back(stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    out = tmp_path / "pages"
    write_pages(out, {"train": stock, "validation": stock}, {"train": 2, "validation": 1}, 5, 1)
    rows = open_pages(str(out), "train")
    assert len(rows) == 2
    assert set(rows.column_names) == {"image", "width", "height", "lines"}
    again = list(render_pages(stock, 50, range(2)))
    assert [row["lines"][0]["text"] for row in rows if row["lines"]] == [p.lines[0]["text"] for p in again if p.lines]
    with pytest.raises(ValueError, match="another corpus"):
        write_pages(out, {"train": stock}, {"train": 3}, 5, 1)
    less = replace(stock, fonts=stock.fonts[1:])
    with pytest.raises(ValueError, match=r"differs in: fonts$"):
        write_pages(out, {"train": less, "validation": less}, {"train": 2, "validation": 1}, 5, 1)
    with pytest.raises(DataError, match="no such corpus"):
        open_pages(str(tmp_path / "none"), "train")


def test_without_a_browser_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pages, "BROWSERS", ("no-such-browser",))
    with pytest.raises(SystemExit, match=r"training\.pages: none of no-such-browser is installed"):
        pages.main(["--out", str(tmp_path), "--samples", "20"])


def test_photographs_are_those_of_the_other_corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(out: Path, stocks: dict[str, Stock], *_: Any) -> float:
        raise OSError(", ".join(sorted({file.name for stock in stocks.values() for file in stock.photos})))

    monkeypatch.setattr(pages, "write_pages", stop)
    given = ["--out", str(tmp_path / "out"), "--samples", "20", "--backgrounds", str(tmp_path / "photos")]
    with pytest.raises(SystemExit, match=r"no pictures for backgrounds in .*photos"):
        pages.main(given)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("a.JPG", "b.jpeg", "more/c.png", "d.webp", "notes.txt"):
        (tmp_path / "photos" / name).touch()
    with pytest.raises(SystemExit, match=r"training\.pages: a\.JPG, b\.jpeg, c\.png, d\.webp$"):
        pages.main(given)


def test_fonts_are_told_by_their_suffix_whatever_its_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(out: Path, stocks: dict[str, Stock], *_: Any) -> float:
        raise OSError(", ".join(file.name for file in stocks["train"].fonts))

    monkeypatch.setattr(pages, "write_pages", stop)
    (tmp_path / "DejaVuOwn.TTF").touch()
    with pytest.raises(SystemExit, match=r"DejaVuOwn\.TTF"):
        pages.main(["--out", str(tmp_path / "out"), "--samples", "20", "--fonts", str(tmp_path)])


def made_page() -> tuple[npt.NDArray[np.uint8], list[dict[str, Any]]]:
    """Black words on white, and their boxes."""
    page = np.full((600, 500), 255, dtype=np.uint8)
    lines = []
    for top in range(30, 560, 50):
        words = []
        for left in (40, 130, 220):
            page[top : top + 20, left : left + 70] = 0
            words.append({"box": [float(left), float(top), left + 70.0, top + 20.0], "text": "word"})
        lines.append({"box": [40.0, float(top), 290.0, float(top + 20)], "text": "word word word", "words": words})
    return page, lines


def test_cores_are_the_middle_half() -> None:
    quads = to_quads([[10, 20, 110, 60], [0, 0, 6, 30]])
    (a, _, c, _), (e, _, g, _) = core(quads, 0.25)
    assert (a.tolist(), c.tolist()) == ([20, 30], [100, 50])
    assert (e.tolist(), g.tolist()) == ([0, 7.5], [6, 22.5]), "a narrow one keeps its length"


def test_maps_cover_cells_in_part() -> None:
    quads = to_quads([[16, 16, 48, 32]])
    maps, weights = draw_maps(quads, quads, 64)
    assert maps.shape == (2, 16, 16)
    assert maps[LINES].sum() * STRIDE**2 == pytest.approx(24 * 8, rel=0.2)
    assert maps[WORDS].sum() > maps[LINES].sum()
    assert weights.all()
    small = to_quads([[10, 10, 60, 14]])
    assert not draw_maps(small, small, 64)[1].all(), "what is too small to be read is not asked for"


def test_views_keep_maps_on_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the map says a word's core is, the page is dark, however it is seen."""
    monkeypatch.setattr(page_crops, "photographed", lambda image, *_: image)
    page, lines = made_page()
    dark, seen = [], 0
    for seed in range(40):
        crop = crop_page(page, lines, PHOTO, 256, Random(seed))
        assert crop.image.shape == (256, 256)
        assert crop.maps.shape == (2, 64, 64)
        cells = crop.image.reshape(64, STRIDE, 64, STRIDE).mean(axis=(1, 3))
        where = (crop.maps[WORDS] == 1) & (crop.weights == 1)
        if where.any():
            seen += 1
            value = cells[where].mean()
            dark.append(min(value, 255 - value))
    assert seen > 25
    assert np.mean(dark) < 12


def test_no_view_has_a_page_beyond_its_horizon() -> None:
    """Ends of lines there lay anywhere, as numbers that no pixel has."""
    height, width = 200, 4000
    corners = np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]])
    for seed in range(500):
        matrix, _ = page_crops._view((height, width), to_quads([[10, 90, 3990, 100]]), 128, Random(seed))
        assert (matrix[2] @ corners).min() > 0.19, seed


def test_views_are_decided_by_their_seed() -> None:
    page, lines = made_page()
    one, other = (crop_page(page, lines, PHOTO, 128, Random(7)) for _ in range(2))
    assert (one.image == other.image).all()
    assert (one.maps == other.maps).all()
    assert (one.image != crop_page(page, lines, PHOTO, 128, Random(8)).image).any()


def test_a_page_without_text_gives_empty_maps() -> None:
    page = np.full((300, 200), 200, dtype=np.uint8)
    for seed in range(5):
        assert not crop_page(page, [], PHOTO, 128, Random(seed)).maps.any()


def test_single_characters_count_more() -> None:
    quads = to_quads([[20, 20, 32, 44], [100, 20, 200, 44]])
    _, weights = draw_maps(quads, quads, 256)
    assert (weights[5:11, 5:8] == OF_SINGLES).all()
    assert (weights[5:11, 25:50] == 1).all()


@pytest.mark.parametrize("height", [8, 11, 16, 40])
def test_maps_are_as_thick_as_cores_and_centred_on_them(height: int) -> None:
    thick, off, long = [], [], []
    for top in np.arange(50, 54, 0.4):  # wherever a line lies in its cells
        maps, _ = draw_maps(*(to_quads([[20.0, top, 180.0, top + height]]),) * 2, 256)
        column = maps[LINES][:, 25].astype(float)
        thick.append(column.sum() * STRIDE)
        off.append((column * (np.arange(64) + 0.5) * STRIDE).sum() / column.sum() - top - height / 2)
        long.append(maps[LINES].sum() / column.sum() * STRIDE)
    assert np.mean(thick) == pytest.approx(height / 2, abs=0.55)
    assert np.mean(off) == pytest.approx(0, abs=0.15)
    assert np.mean(long) == pytest.approx(160 - height / 2, abs=1)
