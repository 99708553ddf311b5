"""Page peers: pages raced by hand, and every system that is installed reads one."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr.document import Page
from tests.test_page_scores import PAPER, A, B, C, read_page, true_page
from training import benchmark, page_peers, peers
from training.page_peers import PagePeer, PageRace, line_of, race, table

MAKERS: dict[str, Callable[[], PagePeer | None]] = {
    "tesserocr": page_peers.tesseract,
    "rapidocr": lambda: page_peers.rapidocr(1),
}


def test_a_line_of_words_has_their_boxes_and_text() -> None:
    line = line_of([(A, "one"), (B, "two")])
    assert line.text == "one two"
    assert [word.box for word in line.words] == [pytest.approx(A), pytest.approx(B)]
    assert line.box == (0, 0, 90, 10)


def test_a_race_by_hand() -> None:
    def read(image: Image.Image) -> Page:
        time.sleep(0.01)
        return read_page([(A, "right"), (B, "wrong")])

    pages = [true_page([(A, "right"), (C, "left")])] * 2
    result = race(PagePeer("slow", read), pages, 1)
    assert result.figures["word_f1"] == pytest.approx(0.5)
    assert result.figures["detection_hmean"] == pytest.approx(0.5)
    assert 0.01 <= result.median < 0.5
    lines_only = race(PagePeer("lines", read, words=False), pages, 1)
    assert "detection_hmean" not in lines_only.figures
    shown = table([result, lines_only]).splitlines()
    assert "0.500" in shown[1]
    assert shown[2].split()[4:6] == ["-", "-"]
    assert len({len(row) for row in shown}) == 1


def test_they_race_in_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PAPER.save(tmp_path / "a.png")
    (tmp_path / "pages.jsonl").write_text('{"file_name": "a.png", "boxes": [{"box": [0, 0, 40, 10], "text": "x"}]}\n')
    for name in ("tesseract", "rapidocr"):
        monkeypatch.setattr(page_peers, name, lambda *_: None)
    arguments = ["--parts", "page-peers", "--dataset", str(tmp_path), "--threads", "1", "--runtimes", "onnx"]
    out = tmp_path / "out.json"
    benchmark.main([*arguments, "--out", str(out)])
    assert "simpleocr english onnx, one look, a page, median" in out.read_text()
    (tmp_path / "pages.jsonl").write_text("")
    with pytest.raises(SystemExit, match=r"training\.benchmark: .* has no pages"):
        benchmark.main(arguments)


@pytest.mark.parametrize("package", MAKERS)
def test_what_is_installed_reads_a_page(package: str) -> None:
    peer = MAKERS[package]() if find_spec(package) else None
    if peer is None:
        pytest.skip(f"{package} is not installed")
    font = ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), 32)
    image = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(image).text((60, 60), "Invoice of March", "black", font=font)
    page = peer.read(image)
    assert "Invoice" in page.text
    left, top, right, bottom = page.lines[0].box
    assert 40 < left < 80
    assert 40 < top < bottom < 120
    assert right < 400
    assert peer.read(Image.new("RGB", (300, 200), "white")).lines == ()


def test_what_is_not_installed_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert page_peers.tesseract() is None
    assert page_peers.rapidocr(1) is None
    assert "word F1" in table([PageRace("x", {}, 1.0)])
