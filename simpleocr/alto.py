"""ALTO: pages -> the XML of libraries and archives (ALTO 4.4, Library of Congress)."""

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from simpleocr.document import Char, Line, Page, Word
from simpleocr.geometry import Box, Polygon, union

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://www.loc.gov/standards/alto/ns-v4# http://www.loc.gov/standards/alto/v4/alto-4-4.xsd">
<Description>
<MeasurementUnit>pixel</MeasurementUnit>
<Processing ID="ocr"><processingSoftware><softwareName>simpleocr</softwareName></processingSoftware></Processing>
</Description>
<Layout>
"""


def to_alto(pages: Sequence[Page]) -> str:
    """One ALTO document; measures in pixels, confidences 0 to 1."""
    return HEAD + "".join(_page(page, number) for number, page in enumerate(pages, 1)) + "</Layout>\n</alto>\n"


def _page(page: Page, number: int) -> str:
    width, height = page.size
    inside = "".join(_block(lines, f"{number}_{i}") for i, lines in enumerate(page.paragraphs, 1))
    return (
        f'<Page ID="page_{number}" PHYSICAL_IMG_NR="{number}" WIDTH="{width}" HEIGHT="{height}">\n'
        f"<PrintSpace{_place((0, 0, width, height))}>\n{inside}</PrintSpace>\n</Page>\n"
    )


def _block(lines: Sequence[Line], name: str) -> str:
    around = union([line.box for line in lines])
    inside = "".join(_line(line, f"{name}_{i}") for i, line in enumerate(lines, 1))
    return f'<TextBlock ID="block_{name}"{_place(around)}>\n{inside}</TextBlock>\n'


def _line(line: Line, name: str) -> str:
    parts: list[str] = []
    for i, word in enumerate(line.words, 1):
        if i > 1:
            parts.append("<SP/>")
        parts.append(_word(word, f"{name}_{i}"))
    return f'<TextLine ID="line_{name}"{_place(line.box)}>{_shape(line.polygon)}{"".join(parts)}</TextLine>\n'


def _word(word: Word, name: str) -> str:
    glyphs = "".join(_glyph(char, f"{name}_{i}") for i, char in enumerate(word.chars, 1))
    return (
        f'<String ID="word_{name}"{_place(word.box)} CONTENT={quoteattr(word.text)} WC="{word.confidence:.4f}">'
        f"{_shape(word.polygon)}{glyphs}</String>"
    )


def _glyph(char: Char, name: str) -> str:
    variant = ""
    if char.runner_up and char.runner_up != " ":
        variant = f'<Variant CONTENT={quoteattr(char.runner_up)} VC="{char.runner_up_score:.4f}"/>'
    content = f'CONTENT={quoteattr(char.text)} GC="{char.confidence:.4f}"'
    return f'<Glyph ID="glyph_{name}"{_place(char.box)} {content}>{variant}</Glyph>'


def _shape(polygon: Polygon) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in polygon)
    return f'<Shape><Polygon POINTS="{points}"/></Shape>'


def _place(box: Box) -> str:
    left, top, right, bottom = box
    return f' HPOS="{left:.1f}" VPOS="{top:.1f}" WIDTH="{right - left:.1f}" HEIGHT="{bottom - top:.1f}"'
