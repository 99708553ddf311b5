"""simpleocr.documents: every page of TIFFs and PDFs, one at a time; what is wrong is one sentence."""

import builtins
import sys
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pytest
from PIL import Image

from simpleocr import documents
from simpleocr.document import Page
from simpleocr.documents import load_pages
from simpleocr.image import MAX_PIXELS, InputError
from simpleocr.pdf import PdfWriter

GREYS = (10, 120, 240)


def tiff(size: tuple[int, int] = (40, 30)) -> bytes:
    file = BytesIO()
    pages = [Image.new("L", size, grey) for grey in GREYS]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    return file.getvalue()


def pdf(*images: Image.Image, dots_per_inch: float = 200) -> bytes:
    file = BytesIO()
    with PdfWriter(file) as writer:
        for image in images:
            writer.add(image, Page((), image.size), dots_per_inch)
    return file.getvalue()


def grey_of(image: Image.Image) -> int:
    return int(np.asarray(image.convert("L")).mean().round())


def test_every_frame_of_a_tiff_is_a_page(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff())
    for source in (tiff(), str(tmp_path / "a.tif"), tmp_path / "a.tif", BytesIO(tiff())):
        pages = list(load_pages(source))
        assert [grey_of(page) for page in pages] == list(GREYS)
        assert {page.mode for page in pages} == {"RGB"}


def test_a_picture_is_one_page_whatever_it_comes_as() -> None:
    image = Image.new("RGB", (20, 10), "red")
    file = BytesIO()
    image.save(file, "PNG")
    animation = BytesIO()
    image.save(animation, "GIF", save_all=True, append_images=[Image.new("RGB", (20, 10), "blue")])
    for source in (image, np.asarray(image), file.getvalue(), animation.getvalue()):
        (page,) = load_pages(source)
        assert page.size == (20, 10)


def test_the_pages_of_a_pdf_are_drawn_at_a_size_that_can_be_read() -> None:
    drawn = list(load_pages(pdf(*(Image.new("L", (400, 200), grey) for grey in GREYS))))
    assert [grey_of(page) for page in drawn] == pytest.approx(list(GREYS), abs=2)
    assert drawn[0].size == (400, 200)
    (poster,) = load_pages(pdf(Image.new("L", (3000, 4000), 200), dots_per_inch=20))
    assert 0.9 * MAX_PIXELS < poster.width * poster.height <= MAX_PIXELS
    assert poster.height / poster.width == pytest.approx(4 / 3, rel=0.01)


def test_pages_come_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    render = pdfium.PdfPage.render

    def counted(page: Any, **more: Any) -> Any:
        drawn.append(1)
        return render(page, **more)

    monkeypatch.setattr(pdfium.PdfPage, "render", counted)
    pages = load_pages(pdf(*(Image.new("L", (40, 20), grey) for grey in GREYS)))
    next(pages)
    assert len(drawn) == 1
    pages.close()  # type: ignore[attr-defined]


def test_a_document_left_half_read_may_be_closed_while_another_is_drawn() -> None:
    pages = load_pages(pdf(*(Image.new("L", (40, 20), grey) for grey in GREYS)))
    next(pages)

    def collected() -> None:
        with documents.PDFIUM:
            pages.close()  # type: ignore[attr-defined]  # as the garbage collector does, whenever it runs

    thread = Thread(target=collected, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"%PDF-1.7\nnothing", "damaged PDF"),
        (pdf(), "without pages|damaged PDF"),
        (b"", "is empty"),
        (b"no picture at all", "not a picture"),
        (tiff()[:60], "damaged, cut off|not a picture"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        list(load_pages(data))
    assert "\n" not in str(caught.value)


def test_a_damaged_frame_comes_after_the_good_ones() -> None:
    data = bytearray(tiff((200, 200)))
    with Image.open(BytesIO(data)) as image:
        image.seek(1)
        offset = image.tag_v2[273][0]  # type: ignore[attr-defined]
    pages = load_pages(bytes(data[: offset + 10]))
    with pytest.raises(InputError):
        list(pages)


def test_without_pypdfium2_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *more: Any) -> Any:
        if name == "pypdfium2":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.delitem(sys.modules, "pypdfium2", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match="pip install pypdfium2"):
        next(load_pages(pdf(Image.new("L", (5, 5)))))


def test_endless_documents_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_PAGES", 2)
    pages = load_pages(tiff())
    assert [grey_of(next(pages)) for _ in range(2)] == list(GREYS[:2])
    with pytest.raises(InputError, match="more than 2 pages"):
        next(pages)
    with pytest.raises(InputError, match="has 3 pages: up to 2"):
        next(load_pages(pdf(*(Image.new("L", (5, 5), grey) for grey in GREYS))))


def test_how_large_a_page_may_be_is_the_readers_to_say() -> None:
    with pytest.raises(InputError, match="up to 1,000 are read"):
        list(load_pages(tiff(), max_pixels=1000))
    with pytest.raises(InputError, match="up to 1,000 are read"):
        list(load_pages(Image.new("L", (40, 30)), max_pixels=1000))
    (page,) = load_pages(pdf(Image.new("RGB", (400, 300))), max_pixels=50_000)  # drawn with fewer dots an inch
    assert 40_000 < page.width * page.height <= 50_000


@pytest.mark.parametrize("fault", ["cut off", "no picture", "too large"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_every_message_names_its_file_once(suffix: str, fault: str, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80), dtype=np.uint8))
    file = BytesIO()
    noise.save(file, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    data = {"cut off": file.getvalue()[: len(file.getvalue()) // 2], "no picture": b"Hello"}.get(fault, file.getvalue())
    path = tmp_path / f"one.{suffix}"
    path.write_bytes(data)
    with path.open("rb") as opened:
        for source in (path, str(path), opened):
            with pytest.raises(InputError) as caught:
                list(load_pages(source, max_pixels=1000))
            assert str(caught.value).count(repr(str(path))) == 1
            assert "as bytes" not in str(caught.value)
    if suffix == "tif" and fault == "too large":
        assert str(caught.value).startswith("page 1 of ")
