"""simpleocr.pdf: another program finds every word, where it stands, and sees the picture."""

import math
import string
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pytest
from PIL import Image

from simpleocr.document import Char, Line, Page
from simpleocr.geometry import Transform, box_to_polygon
from simpleocr.pdf import CODES, DOTS_PER_INCH, PdfWriter

SIZE = (400, 300)


def line(text: str, left: float, top: float, degrees: float = 0.0, advance: float = 10.0) -> Line:
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = Transform(((cos, -sin, left), (sin, cos, top), (0, 0, 1)))
    chars = tuple(
        Char(c, 0.9, "", 0.0, turn.apply_polygon(box_to_polygon((i * advance, 0, (i + 1) * advance, 20))))
        for i, c in enumerate(text)
    )
    return Line(chars, turn.apply_polygon(box_to_polygon((0, 0, advance * len(text), 20))), 0.9)


def written(*pages: tuple[Image.Image, Page]) -> pdfium.PdfDocument:
    file = BytesIO()
    with PdfWriter(file) as pdf:
        for image, page in pages:
            pdf.add(image, page)
    return pdfium.PdfDocument(file.getvalue())


def text_of(page: pdfium.PdfPage) -> str:
    return str(page.get_textpage().get_text_bounded()).strip()


def test_the_text_is_found_by_another_program() -> None:
    lines = (line("Hello world", 20, 30), line("“naïve” – €5 ½ © …", 20, 80))
    document = written((Image.new("RGB", SIZE, "white"), Page(lines, SIZE)))
    assert len(document) == 1
    assert text_of(document[0]).split() == ["Hello", "world", "“naïve”", "–", "€5", "½", "©", "…"]
    assert document[0].get_textpage().search("world").get_next() is not None


@pytest.mark.parametrize("degrees", [0, 7, -15])
def test_words_lie_where_they_were_read(degrees: float) -> None:
    read = line("Where am I", 60, 120, degrees, advance=14)
    page = written((Image.new("L", SIZE, 255), Page((read,), SIZE)))[0]
    text = page.get_textpage()
    scale = DOTS_PER_INCH / 72
    for word in read.words:
        start = text.get_text_bounded().index(word.text)
        boxes = [text.get_charbox(start + i, loose=True) for i in range(len(word.text))]
        left, bottom = min(box[0] for box in boxes) * scale, SIZE[1] - min(box[1] for box in boxes) * scale
        right, top = max(box[2] for box in boxes) * scale, SIZE[1] - max(box[3] for box in boxes) * scale
        assert [left, top, right, bottom] == pytest.approx(list(word.box), abs=6)


def test_the_picture_is_seen_and_the_text_is_not() -> None:
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((50, 50, 1), dtype=np.uint8))
    image = Image.fromarray(pixels)
    page = written((image, Page((line("XXXXXXXXXXXX", 50, 100),), SIZE)))[0]
    assert [round(side) for side in page.get_size()] == [192, 144]
    seen = np.asarray(page.render(scale=DOTS_PER_INCH / 72).to_pil().convert("RGB").resize(SIZE)).astype(int)
    assert np.abs(seen - pixels).mean() < 8


def test_any_number_of_characters_and_pages() -> None:
    many = [chr(c) for c in range(0x4E00, 0x4E00 + 2 * CODES + 10)] + list(string.ascii_letters) + ["😀"]
    rows = ["".join(many[i : i + 30]) for i in range(0, len(many), 30)]
    size = (700, 30 * len(rows))
    first = Page(tuple(line(row, 10, 28.0 * i) for i, row in enumerate(rows)), size)
    second = Page((line("second", 5, 5),), SIZE)
    document = written(
        (Image.new("L", size, 255), first),
        (Image.new("L", SIZE, 255), second),
        (Image.new("L", SIZE, 255), Page((), SIZE)),
    )
    assert len(document) == 3
    assert "".join(text_of(document[0]).split()) == "".join(many)
    assert text_of(document[1]) == "second"
    assert text_of(document[2]) == ""


def test_no_page_at_all_is_a_document_too(tmp_path: Path) -> None:
    with (tmp_path / "a.pdf").open("wb") as file, PdfWriter(file):
        pass
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-1.7")


def test_a_page_of_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not"):
        PdfWriter(BytesIO()).add(Image.new("L", (10, 10)), Page((), (11, 10)))


def test_a_picture_longer_than_any_jpeg_is_reduced() -> None:
    size = (70_000, 50)
    image = Image.new("L", size, 255)
    image.paste(0, (35_000, 0, 70_000, 50))
    document = written((image, Page((line("far", 100, 10), line("away", 69_900, 10)), size)))
    assert text_of(document[0]).split() == ["far", "away"]
    assert document[0].get_size()[0] == pytest.approx(70_000 * 72 / DOTS_PER_INCH, abs=1)
    seen = np.asarray(document[0].render(scale=0.1).to_pil().convert("L")).mean(axis=0)
    assert seen[: len(seen) // 2 - 5].min() > 250
    assert seen[len(seen) // 2 + 5 :].max() < 60


def test_letters_without_room_do_no_harm() -> None:
    flat = Line((Char("a", 0.5, "", 0.0, ((5, 5), (5, 5), (5, 5), (5, 5))),), ((5, 5), (5, 5), (5, 5), (5, 5)), 0.5)
    assert text_of(written((Image.new("L", SIZE, 255), Page((flat,), SIZE)))[0]) in ("", "a")


@pytest.mark.parametrize("file", ["x.pdf", Path("x.pdf"), None, StringIO()])
def test_what_is_no_file_to_write_to_is_refused(file: Any) -> None:
    with pytest.raises(TypeError, match="PdfWriter takes a file opened with mode 'wb', not"):
        PdfWriter(file)


@pytest.mark.parametrize(
    ("given", "kinds"),
    [(("a.jpg", Page((), SIZE)), "not str and Page"), ((Image.new("L", SIZE), "text"), "not Image and str")],
)
def test_what_is_no_picture_with_its_page_is_refused(given: Any, kinds: str) -> None:
    with pytest.raises(TypeError, match=f"takes a PIL image and its Page, {kinds}"):
        PdfWriter(BytesIO()).add(*given)
