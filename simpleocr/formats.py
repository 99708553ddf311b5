"""Formats: pages -> text, JSON, TSV, hOCR, ALTO or HTML; pure functions of the result."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

from simpleocr.alto import to_alto
from simpleocr.document import Char, Line, Page, Word
from simpleocr.evidence import to_html
from simpleocr.geometry import Polygon, union
from simpleocr.hocr import to_hocr

TSV_COLUMNS = (
    *("level", "page_num", "block_num", "par_num", "line_num", "word_num"),
    *("left", "top", "width", "height", "conf", "text"),
)


def to_text(pages: Sequence[Page]) -> str:
    """What each page says, with a line break at its end, and a form feed between pages."""
    return "\f".join(page.text + "\n" * bool(page.lines) for page in pages)


def to_json(pages: Sequence[Page]) -> str:
    """Everything in the result, each page on a line: text, confidences, polygons in pixels of the upright picture."""
    return "".join(json.dumps(page_to_dict(page), ensure_ascii=False, allow_nan=False) + "\n" for page in pages)


def to_tsv(pages: Sequence[Page]) -> str:
    """A table of words, in the columns and levels of Tesseract's: 1 page, 2 block, 3 paragraph, 4 line, 5 word.

    Boxes are whole pixels, confidences 0 to 100, and -1 for what is no word.
    """
    rows = ["\t".join(TSV_COLUMNS)]

    def add(level: int, place: Sequence[int], box: Sequence[float], confidence: float, text: str) -> None:
        left, top, right, bottom = (round(edge) for edge in box)
        rows.append("\t".join(map(str, (level, *place, left, top, right - left, bottom - top, confidence, text))))

    for number, page in enumerate(pages, 1):
        add(1, (number, 0, 0, 0, 0), (0, 0, *page.size), -1, "")
        for block, lines in enumerate(page.paragraphs, 1):
            around = union([line.box for line in lines])
            add(2, (number, block, 0, 0, 0), around, -1, "")
            add(3, (number, block, 1, 0, 0), around, -1, "")
            for row, line in enumerate(lines, 1):
                add(4, (number, block, 1, row, 0), line.box, -1, "")
                for place, word in enumerate(line.words, 1):
                    add(5, (number, block, 1, row, place), word.box, round(100 * word.confidence, 2), word.text)
    return "\n".join(rows) + "\n"


def page_to_dict(page: Page) -> dict[str, Any]:
    """A page as JSON values."""
    return {"text": page.text, "size": list(page.size), "lines": [_line(line) for line in page.lines]}


def _line(line: Line) -> dict[str, Any]:
    words = [_word(word) for word in line.words]
    return {
        "text": line.text,
        "confidence": round(line.confidence, 4),
        "polygon": _polygon(line.polygon),
        "words": words,
    }


def _word(word: Word) -> dict[str, Any]:
    chars = [_char(char) for char in word.chars]
    return {
        "text": word.text,
        "confidence": round(word.confidence, 4),
        "polygon": _polygon(word.polygon),
        "chars": chars,
    }


def _char(char: Char) -> dict[str, Any]:
    return {
        "text": char.text,
        "confidence": round(char.confidence, 4),
        "runner_up": char.runner_up,
        "runner_up_score": round(char.runner_up_score, 4),
        "polygon": _polygon(char.polygon),
    }


def _polygon(polygon: Polygon) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in polygon]


def _of_pages(render: Callable[[Sequence[Page]], str]) -> Callable[[Sequence[Page]], str]:
    """The same format; of what is no list of pages it says so.

    Raises:
        TypeError: one page, or what is none.
    """

    @wraps(render)
    def checked(pages: Sequence[Page]) -> str:
        given = list(pages) if isinstance(pages, Iterable) else [None]
        if not all(isinstance(page, Page) for page in given):
            raise TypeError(f"a format takes a list of pages, [page] of a single one, not a {type(pages).__name__}")
        return render(given)

    return checked


FORMATS: dict[str, Callable[[Sequence[Page]], str]] = {
    "txt": _of_pages(to_text),
    "json": _of_pages(to_json),
    "tsv": _of_pages(to_tsv),
    "hocr": _of_pages(to_hocr),
    "alto": _of_pages(to_alto),
    "html": _of_pages(to_html),
}
"""The named formats of text; to add one is one function and one entry. PDF needs the pictures too: see pdf.py."""
