"""hOCR: pages -> XHTML whose classes and titles say what is where (hOCR 1.2)."""

import math
from collections.abc import Sequence
from html import escape

from simpleocr.document import Char, Line, Page, Word
from simpleocr.geometry import Box, union

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
<head>
<title>OCR</title>
<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>
<meta name="ocr-system" content="simpleocr"/>
<meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrx_cinfo"/>
</head>
<body>
"""


def to_hocr(pages: Sequence[Page]) -> str:
    """One XHTML document; boxes are whole pixels, confidences 0 to 100."""
    return HEAD + "".join(_page(page, number) for number, page in enumerate(pages, 1)) + "</body>\n</html>\n"


def _page(page: Page, number: int) -> str:
    inside = "".join(_paragraph(lines, f"{number}_{i}") for i, lines in enumerate(page.paragraphs, 1))
    title = f"{_bbox((0, 0, *page.size))}; ppageno {number - 1}"
    return f'<div class="ocr_page" id="page_{number}" title="{title}">\n{inside}</div>\n'


def _paragraph(lines: Sequence[Line], name: str) -> str:
    around = _bbox(union([line.box for line in lines]))
    inside = "\n".join(_line(line, f"{name}_{i}") for i, line in enumerate(lines, 1))
    return (
        f'<div class="ocr_carea" id="block_{name}" title="{around}">\n'
        f'<p class="ocr_par" id="par_{name}" title="{around}">\n{inside}\n</p>\n</div>\n'
    )


def _line(line: Line, name: str) -> str:
    (ax, ay), (bx, by), *_ = line.polygon
    degrees = -math.degrees(math.atan2(by - ay, bx - ax))  # counter-clockwise, as hOCR has it
    turned = f"; textangle {degrees:.2f}" if abs(degrees) >= 0.05 else ""
    words = " ".join(_word(word, f"{name}_{i}") for i, word in enumerate(line.words, 1))
    return f'<span class="ocr_line" id="line_{name}" title="{_bbox(line.box)}{turned}">{words}</span>'


def _word(word: Word, name: str) -> str:
    title = f"{_bbox(word.box)}; x_wconf {round(100 * word.confidence)}"
    return f'<span class="ocrx_word" id="word_{name}" title="{title}">{"".join(map(_char, word.chars))}</span>'


def _char(char: Char) -> str:
    title = f"x_bboxes {_edges(char.box)}; x_conf {100 * char.confidence:.1f}"
    return f'<span class="ocrx_cinfo" title="{title}">{escape(char.text)}</span>'


def _bbox(box: Box) -> str:
    return f"bbox {_edges(box)}"


def _edges(box: Box) -> str:
    return " ".join(str(max(0, round(edge))) for edge in box)
