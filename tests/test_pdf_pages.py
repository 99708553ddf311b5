"""training.pdf_pages: words, lines and boxes of PDFs whose letters stand at known places; pages that are passed over."""

import gzip
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from random import Random

import cv2
import datasets
import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pytest
from PIL import Image

from simpleocr.document import Char, Line, Page
from simpleocr.pdf import PdfWriter
from training import pdf_pages
from training.data import open_pages
from training.pdf_pages import draw_page, draw_pages, find_pdfs, split_files, to_meaning
from training.shards import PageSample

FILLER = "/F1 9 Tf 1 0 0 1 72 80 Tm (Enough letters for a page.) Tj"


def made_pdf(*contents: str, page: str = "/MediaBox[0 0 400 500]") -> bytes:
    """A PDF of pages with these texts, in Helvetica (F1), its bold face (F2) and Courier (F3)."""
    faces = ("Helvetica", "Helvetica-Bold", "Courier")
    fonts = "".join(
        f"/F{i}<</Type/Font/Subtype/Type1/BaseFont/{face}/Encoding/WinAnsiEncoding>>" for i, face in enumerate(faces, 1)
    )
    kids = " ".join(f"{3 + 2 * i} 0 R" for i in range(len(contents)))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Count {len(contents)}/Kids[{kids}]>>"]
    for i, content in enumerate(contents):
        objects.append(f"<</Type/Page/Parent 2 0 R{page}/Resources<</Font<<{fonts}>>>>/Contents {4 + 2 * i} 0 R>>")
        objects.append(f"<</Length {len(content)}>>stream\n{content}\nendstream")
    body, offsets = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj{text}endobj\n"
    rows = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
    return f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}{trailer}".encode("latin-1")


def texts(*operators: str) -> str:
    return f"BT {' '.join((*operators, FILLER))} ET"


def at(x: float, y: float, text: str, font: str = "/F1 12 Tf") -> str:
    return f"{font} 1 0 0 1 {x} {y} Tm ({text}) Tj"


def drawn(data: bytes, seed: int = 1) -> PageSample | None:
    document = pdfium.PdfDocument(data)
    try:
        return draw_page(document, 0, Random(seed))
    finally:
        document.close()


def lines_of(data: bytes) -> list[str]:
    """Texts of the lines but for that of FILLER."""
    sample = drawn(data)
    assert sample is not None
    assert sample.lines[-1]["text"] == "Enough letters for a page."
    return [line["text"] for line in sample.lines[:-1]]


def picture(sample: PageSample) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(sample.data, np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def ink(grey: npt.NDArray[np.uint8], box: Sequence[float], around: int) -> list[int]:
    """Where the ink in a box and so many pixels around it begins and ends."""
    left, top, right, bottom = (
        max(0, round(edge) + step) for edge, step in zip(box, (-around, -around, around, around), strict=True)
    )
    rows, columns = np.nonzero(grey[top:bottom, left:right] < 140)
    return [left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("box", "turn"),
    [
        ("/MediaBox[0 0 400 500]", ""),
        ("/MediaBox[-50 -20 350 480]", ""),
        ("/MediaBox[0 0 600 700]/CropBox[30 40 430 540]", ""),
        ("/MediaBox[0 0 400 500]/Rotate 90", "0 1 -1 0 400 0 cm "),
    ],
)
def test_boxes_fit_the_ink_wherever_the_page_lies(seed: int, box: str, turn: str) -> None:
    sample = drawn(made_pdf(f"{turn}{texts(at(72, 300, 'Hdlgpq Hdlgpq', '/F1 30 Tf'))}", page=box), seed)
    assert sample is not None
    grey = picture(sample)
    assert grey.shape == sample.size[::-1]
    assert len(sample.lines) == 2
    for word in sample.lines[0]["words"]:
        assert word["text"] == "Hdlgpq"
        assert word["box"] == pytest.approx(ink(grey, word["box"], 7), abs=0.13 * (word["box"][3] - word["box"][1]))


def test_boxes_are_as_high_whatever_the_letters_are() -> None:
    sample = drawn(
        made_pdf(texts(at(50, 400, "Hdlgpq nano - '"), at(50, 300, "nano xx"), at(50, 200, "noon", "/F3 12 Tf")))
    )
    assert sample is not None
    scale = sample.size[1] / 500
    for line, y in zip(sample.lines, (400, 300, 200), strict=False):
        for word in line["words"]:
            # Helvetica's tall letters are 0.72 em high, its hanging ones reach 0.21 em below the line
            assert (500 - y) - word["box"][1] / scale == pytest.approx(0.72 * 12, abs=0.6)
            assert word["box"][3] / scale - (500 - y) == pytest.approx(0.21 * 12, abs=0.6)
    first = sample.lines[0]
    edges = np.array([word["box"] for word in first["words"]])
    assert first["box"] == [*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)]


def test_advances_are_the_widths_of_words() -> None:
    """Every letter of Courier is 0.6 em wide."""
    sample = drawn(made_pdf(texts(at(60, 400, "ii nnn i", "/F3 20 Tf"))))
    assert sample is not None
    scale = sample.size[0] / 400
    places = [(word["box"][0] / scale, word["box"][2] / scale) for word in sample.lines[0]["words"]]
    assert np.array(places) == pytest.approx(np.array([(60, 84), (96, 132), (144, 156)]), abs=0.5)


def test_lines_end_at_gutters_and_between_cells() -> None:
    rows = [("alpha", "beta", "12.50"), ("a much longer one", "gamma", "7")]
    columns = [at(30, y, f"left {y}") for y in (400, 386)] + [at(90, y, f"right {y}") for y in (400, 386)]
    # the second cell of the last row begins 1.05 em behind the first, less than makes a gap by itself
    cells = [
        at(x, y, t) for row, y in zip(rows, (300, 286), strict=True) for x, t in zip((30, 142, 250), row, strict=True)
    ]
    found = lines_of(made_pdf(texts(*columns, *cells)))
    assert found == ["left 400", "left 386", "right 400", "right 386", *rows[0], *rows[1]]


def test_spaces_are_seen_whether_written_or_not() -> None:
    """As TeX does it: kerning within words, a jump between them."""
    shown = "/F1 12 Tf 1 0 0 1 40 400 Tm [(W)80(A)70(VE)-333(comes)-278(fi)20(rst)-900(third)] TJ"
    spaced = at(40, 350, "s p a c e d   out")
    assert lines_of(made_pdf(texts(shown, spaced))) == ["WAVE comes first third", "s p a c e d out"]


def test_parts_that_were_drawn_out_of_order_are_one_line() -> None:
    # "See the " is 8.00 + 6.67 + 6.67 + ... wide: the bold word begins where it ends
    wide = sum({"S": 667, "e": 556, " ": 278, "t": 278, "h": 556}[c] for c in "See the ") * 12 / 1000
    first, last = at(40, 400, "See the"), at(40, 380, "next line")
    assert lines_of(made_pdf(texts(first, last, at(40 + wide, 400, "bold", "/F2 12 Tf")))) == [
        "See the bold",
        "next line",
    ]


def test_a_raised_mark_stays_in_its_line() -> None:
    parts = "/F1 12 Tf 1 0 0 1 40 400 Tm (includes) Tj /F1 8 Tf 4.3 Ts (20) Tj 0 Ts /F1 12 Tf ( headers) Tj"
    below = at(40, 386.5, "tightly set below")
    assert lines_of(made_pdf(texts(parts, below))) == ["includes20 headers", "tightly set below"]


def test_hyphens_at_the_end_of_a_line_are_kept() -> None:
    parts = "/F1 12 Tf 13 TL 1 0 0 1 40 400 Tm (some exam-) Tj T* (ples of words) Tj"
    assert lines_of(made_pdf(texts(parts))) == ["some exam-", "ples of words"]


def test_what_the_vocabulary_lacks_is_not_known() -> None:
    sample = drawn(made_pdf(texts(at(40, 400, "caf\xe9 is \x80 5"))))
    assert sample is not None
    assert [word["text"] for word in sample.lines[0]["words"]] == ["", "is", "\u20ac", "5"]
    assert sample.lines[0]["text"] == ""
    assert [to_meaning(c) for c in ("a", "\ufb03", "\u03b1", "\ufffd", "\x07", "\ue000")] == [
        "a",
        "ffi",
        "",
        None,
        None,
        None,
    ]


def test_an_underscore_that_is_a_rule_joins_words_of_unknown_text() -> None:
    # "my" is 16 points wide, "word" begins 4 behind it and is 26 wide
    parts = [at(x, y, t) for y in (400, 300) for x, t in ((40, "my"), (60, "word"))]
    underlined = f"{texts(*parts)} 40 398 46 0.9 re f"
    assert lines_of(made_pdf(underlined)) == ["my word"] * 2, "it goes on below the words"
    sample = drawn(made_pdf(f"{texts(*parts)} 56.2 399 3.6 0.9 re f"))
    assert sample is not None
    assert [[word["text"] for word in line["words"]] for line in sample.lines[:2]] == [[""], ["my", "word"]]


def test_what_cannot_be_seen_is_no_word() -> None:
    hidden = "1 g " + at(40, 400, "white on white") + " 0 g " + at(40, 300, "black")
    assert lines_of(made_pdf(texts(hidden))) == ["black"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "BT /F1 12 Tf 1 0 0 1 40 400 Tm (few) Tj ET",
        texts("/F1 12 Tf 0 1 -1 0 40 300 Tm (turned by a quarter) Tj"),
        texts("/F1 12 Tf 0.996 0.087 -0.087 0.996 40 300 Tm (turned by five degrees) Tj"),
        texts("/F1 12 Tf -1 0 0 -1 340 300 Tm (upside down) Tj"),
        texts("/F1 12 Tf -1 0 0 1 340 300 Tm (in a mirror) Tj"),
        texts("3 Tr", at(40, 400, "invisible"), "0 Tr"),
        texts(at(40, 400, "\x01\x02\x03\x04\x05\x06")),
        f"q 300 0 0 90 20 200 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q {texts()}",
    ],
)
def test_pages_whose_truth_is_not_whole_are_passed_over(content: str) -> None:
    assert drawn(made_pdf(content)) is None


def test_a_scan_with_a_layer_of_read_text_is_passed_over() -> None:
    text = "invisible but still letters"
    boxes = [((5.0 + 7 * i, 10.0), (12.0 + 7 * i, 10.0), (12.0 + 7 * i, 30.0), (5.0 + 7 * i, 30.0)) for i in range(27)]
    chars = tuple(Char(c, 0.9, "", 0.0, box) for c, box in zip(text, boxes, strict=True))
    line = Line(chars, ((5.0, 10.0), (194.0, 10.0), (194.0, 30.0), (5.0, 30.0)), 0.9)
    file = BytesIO()
    with PdfWriter(file) as pdf:
        pdf.add(Image.new("L", (200, 100), 128), Page((line,), (200, 100)))
    assert drawn(file.getvalue()) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty files of two pages."""
    out = tmp_path / "pdf"
    (out / "below").mkdir(parents=True)
    for i in range(40):
        pages = [texts(at(40, 400, f"file {i} page {page}")) for page in range(2)]
        data = made_pdf(*pages)
        file = out / "below" / f"{i}.pdf.gz" if i % 2 else out / f"{i}.pdf"
        file.write_bytes(gzip.compress(data) if i % 2 else data)
    return out


def test_files_are_split_by_their_contents_alone(folder: Path) -> None:
    files = find_pdfs([folder])
    (folder / "copy.pdf").write_bytes((folder / "0.pdf").read_bytes())
    assert len(find_pdfs([folder, folder / "2.pdf"])) == len(files) == 40
    splits = split_files(files)
    assert sorted(file for chosen in splits.values() for file in chosen) == sorted(files)
    assert len(splits["train"]) > 20
    (folder / "2.pdf").rename(folder / "renamed.pdf")
    (folder / "4.pdf").unlink()
    again = split_files(find_pdfs([folder]))
    for split, chosen in splits.items():
        assert {file.name for file in chosen} - {"0.pdf", "2.pdf", "4.pdf"} <= {file.name for file in again[split]}


def test_pages_come_once_and_are_decided_by_the_seed(folder: Path) -> None:
    files = find_pdfs([folder])
    samples = list(draw_pages(files, 80, 3, range(80)))
    assert len({sample.lines[0]["text"] for sample in samples}) == 80
    assert len({sample.size for sample in samples}) > 40
    some = list(draw_pages(files, 80, 3, range(20, 24)))
    assert [sample.data for sample in some] == [sample.data for sample in samples[20:24]]
    other = list(draw_pages(files, 80, 4, range(20, 24)))
    assert [sample.data for sample in some] != [sample.data for sample in other]


def test_bad_pages_give_way_to_others(tmp_path: Path) -> None:
    file = tmp_path / "one.pdf"
    file.write_bytes(made_pdf("", "", texts(at(40, 400, "good")), ""))
    samples = list(draw_pages([file], 3, 1, range(3)))
    assert [sample.lines[0]["text"] for sample in samples] == ["good"] * 3
    file.write_bytes(made_pdf("", ""))
    with pytest.raises(ValueError, match="none of 2 pages of 1 PDFs has text"):
        list(draw_pages([file], 3, 1, range(3)))


@pytest.mark.slow
def test_a_corpus_of_pdf_pages_is_read_back(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    out = tmp_path / "pages"
    pdf_pages.main(["--pdf", str(folder), "--out", str(out), "--samples", "30", "--seed", "2", "--processes", "1"])
    counts, files = {}, {}
    for split in ("train", "validation", "test"):
        rows = open_pages(str(out), split)
        assert set(rows.column_names) == {"image", "width", "height", "lines"}
        counts[split] = len(rows)
        files[split] = {row["lines"][0]["text"].split()[1] for row in rows}
    assert counts == {"train": 28, "validation": 1, "test": 1}
    assert not files["train"] & (files["validation"] | files["test"])


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.pdf", b"no PDF at all", "is not a PDF"),
        ("a.pdf.gz", b"not packed", "cannot be unpacked"),
        ("a.pdf", made_pdf(texts()), "of 1 PDFs none falls to"),
        ("a.txt", b"", "none falls to train and validation and test"),
    ],
)
def test_what_cannot_be_used_is_said(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SystemExit, match=rf"training\.pdf_pages: .*{said}"):
        pdf_pages.main(["--pdf", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="is not there"):
        pdf_pages.main(["--pdf", str(tmp_path / "none"), "--out", str(tmp_path / "out")])


def test_a_damaged_pdf_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.pdf").write_bytes(b"%PDF-1.4\nnothing")
    with pytest.raises(ValueError, match=r"cut\.pdf cannot be opened"):
        list(draw_pages([tmp_path / "cut.pdf"], 1, 1, range(1)))
