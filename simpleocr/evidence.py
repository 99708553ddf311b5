"""Evidence: a Page and its picture -> HTML in which every word shows what was seen, where, how surely, and what else.

A fragment holds all it needs to be read without scripts; evidence.js, listening on the document, adds what is shown of
the word or line that is pointed at, clicked or reached with the keyboard. Nothing is loaded from anywhere.
"""

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image

from simpleocr.document import UNSURE_BELOW, Char, Line, Page, Word
from simpleocr.geometry import Polygon

SHOWN_SIDE = 1600  # pixels of the longer side of the picture in the page; a larger one is reduced
QUALITY = 80  # of JPEG
TABLE_ROWS = 300  # of the table of lines; a browser is slow with thousands
LOW = 0.5  # confidence under which a bar is red; between this and UNSURE_BELOW it is yellow
WIDE = 1.5  # times as wide as high: the text stands below such a picture, beside all others
HINT = (
    "Point at a word, or reach it with the keyboard, to see its letters and what else they might be. A click holds it."
)


def to_html(pages: Sequence[Page]) -> str:
    """One HTML document; boxes and text on blank sheets, as pages come without their pictures."""
    return to_document(to_fragment(page, number=number) for number, page in enumerate(pages, 1))


def to_document(fragments: Iterable[str]) -> str:
    """A document of what to_fragment() gives, with its style and script; opened from anywhere, it loads nothing."""
    digest = b64encode(sha256(script().encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!DOCTYPE html>\n<html lang="en" class="evidence-document">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>What was read</title>\n'
        f"<style>{style()}</style>\n</head>\n<body>\n<main>\n{''.join(fragments)}</main>\n"
        f"<script>{script()}</script>\n</body>\n</html>\n"
    )


def to_fragment(
    page: Page, image: Image.Image | None = None, *, number: int = 1, min_confidence: float = UNSURE_BELOW
) -> str:
    """One page as an element of a document that has style() and script().

    Args:
        page: what was read.
        image: the upright picture in which it was read; without it the words are drawn on a blank sheet.
        number: of the page, for its name.
        min_confidence: words and lines less likely right are marked as doubtful.

    Raises:
        ValueError: the page is of a picture of another size.
    """
    if image is not None and image.size != page.size:
        raise ValueError(f"the page was read in a picture of {page.size}, not {image.size}")
    width, height = page.size
    ground = _picture(image) if image is not None else ""
    boxes = "".join(_boxes(line, i, min_confidence, drawn=image is None) for i, line in enumerate(page.lines))
    doubtful = sum(word.confidence < min_confidence for word in page.words)
    count = f"{_count(len(page.words), 'word')} in {_count(len(page.lines), 'line')}, {doubtful or 'none'} doubtful"
    panel = (
        '<div class="evidence-panel" role="region" aria-label="Evidence" aria-live="polite">'
        f'<p class="evidence-hint">{HINT}</p></div>\n'
    )
    none = '<p class="evidence-none">No text was found here.</p>\n'
    said = panel + _text(page, min_confidence) if page.lines else none
    wide = " evidence-wide" if width > WIDE * height else ""
    return (
        f'<section class="evidence{wide}" aria-label="Page {number}: {count}">\n'
        f'<div class="evidence-grid">\n<figure>\n<svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Page {number} with a box around each word">\n'
        f'<rect class="evidence-sheet" width="{width}" height="{height}"/>{ground}\n{boxes}</svg>\n'
        f"<figcaption>{count}</figcaption>\n</figure>\n"
        f'<div class="evidence-said">\n{said}</div>\n</div>\n</section>\n'
    )


def to_table(pages: Sequence[Page]) -> str:
    """The lines of all pages with their confidences, as an HTML table for a page that has room for no more than that.

    Args:
        pages: what was read; of several pages each line has the number of its page, too.
    """
    lines = [(number, row, line) for number, page in enumerate(pages, 1) for row, line in enumerate(page.lines, 1)]
    if not lines:
        return "<p>No line was found.</p>"
    several = len(pages) > 1
    rows = "".join(
        f"<tr>{f'<td>{number}</td>' * several}<td>{row}</td>"
        f"<td>{escape(line.text)}</td><td>{meter(line.confidence)}</td></tr>"
        for number, row, line in lines[:TABLE_ROWS]
    )
    head = "".join(f"<th>{name}</th>" for name in (*["Page"] * several, "Line"))
    more = f"<p>{_count(len(lines) - TABLE_ROWS, 'line')} more in the text.</p>" if len(lines) > TABLE_ROWS else ""
    return f"<table><thead><tr>{head}<th>Text</th><th>How sure</th></tr></thead><tbody>{rows}</tbody></table>{more}"


def meter(confidence: float) -> str:
    """A probability as HTML: a bar, of which screen readers say nothing, and percent."""
    good = f'low="{LOW}" high="{UNSURE_BELOW}" optimum="1"'  # green from there on, where nothing is marked as doubtful
    return f'<meter value="{round(confidence, 4)}" {good} aria-hidden="true"></meter>{percent(confidence)}'


@cache
def style() -> str:
    """The CSS of fragments."""
    return Path(__file__).with_suffix(".css").read_text(encoding="utf-8")


@cache
def script() -> str:
    """The JavaScript of fragments: run once in a document, it serves all that come into it later, too."""
    return Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


def percent(confidence: float) -> str:
    """A probability for people; never 0 or 100, which it is not."""
    if confidence >= 0.995:
        return "over 99 %"
    return f"{max(1, math.floor(100 * confidence + 0.5))} %" if confidence >= 0.005 else "under 1 %"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def picture_url(image: Image.Image) -> str:
    """A picture as a data: URL, no larger than is needed to look at it."""
    shown = image.convert("RGB")
    shown.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    data = BytesIO()
    shown.save(data, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{b64encode(data.getvalue()).decode()}"


def _picture(image: Image.Image) -> str:
    """The picture over the whole sheet, as large as is needed to look at it."""
    return (
        f'<image href="{picture_url(image)}" width="{image.width}" height="{image.height}" preserveAspectRatio="none"/>'
    )


def _boxes(line: Line, index: int, min_confidence: float, *, drawn: bool) -> str:
    """Polygons around the line and its words; the words themselves, too, where there is no picture of them.

    On a picture the words' outlines are drawn twice, first wide and light, so that they are seen on any ground.
    """
    parts = [f'<polygon class="evidence-around" data-line="{index}" points="{_points(line.polygon)}"/>']
    if not drawn:
        outlines = "".join(f"M{_points(word.polygon)}Z" for word in line.words)
        parts.append(f'<path class="evidence-halo" d="{outlines}"/>')
    for word, start, end in _words(line):
        kind = "evidence-box evidence-doubtful" if word.confidence < min_confidence else "evidence-box"
        parts.append(
            f'<polygon class="{kind}" data-line="{index}" data-from="{start}" data-to="{end}" '
            f'points="{_points(word.polygon)}"/>'
        )
        if drawn:
            parts.append(_drawn(word))
    return "".join(parts) + "\n"


def _drawn(word: Word) -> str:
    """The word in its place."""
    (ax, ay), (bx, by), _, (dx, dy) = word.polygon
    length, height = math.hypot(bx - ax, by - ay), math.hypot(dx - ax, dy - ay)
    degrees = math.degrees(math.atan2(by - ay, bx - ax))
    place = f'transform="translate({dx:.1f} {dy:.1f}) rotate({degrees:.2f})" y="{-0.22 * height:.1f}"'
    size = f'font-size="{0.8 * height:.1f}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f'<text class="evidence-drawn" {place} {size}>{escape(word.text)}</text>'


def _text(page: Page, min_confidence: float) -> str:
    lines = iter(range(len(page.lines)))
    paragraphs = [
        "".join(_line(line, next(lines), min_confidence) for line in paragraph) for paragraph in page.paragraphs
    ]
    inside = "".join(f'<div class="evidence-paragraph">\n{paragraph}</div>\n' for paragraph in paragraphs)
    return f'<div class="evidence-text" role="group" aria-label="Text, word by word">\n{inside}</div>\n'


def _line(line: Line, index: int, min_confidence: float) -> str:
    """A line of the text: how sure it is, and its words; as data, all that is known of its characters."""
    chars = escape(json.dumps([_char(char) for char in line.chars], ensure_ascii=False, separators=(",", ":")))
    doubtful = ", doubtful" if line.confidence < min_confidence else ""
    # one stop for the tab key in the whole text: arrows go on from there
    stop = -1 if index else 0
    sure = (
        f'<button type="button" class="evidence-sure" tabindex="{stop}" data-from="0" data-to="{len(line.chars)}" '
        f'data-sure="{line.confidence:.4f}" aria-label="Line {index + 1}: {percent(line.confidence)} sure{doubtful}">'
        f"{_short(line.confidence)}</button>"
    )
    words = " ".join(_word(word, start, end, min_confidence) for word, start, end in _words(line))
    return (
        f'<div class="evidence-line" data-line="{index}" data-unsure="{min_confidence:g}" data-chars="{chars}">'
        f"{sure}<span>{words}</span></div>\n"
    )


def _word(word: Word, start: int, end: int, min_confidence: float) -> str:
    doubtful = word.confidence < min_confidence
    kind = "evidence-word evidence-doubtful" if doubtful else "evidence-word"
    name = f"{word.text}: {percent(word.confidence)} sure{', doubtful' * doubtful}"
    return (
        f'<button type="button" class="{kind}" tabindex="-1" data-from="{start}" data-to="{end}" '
        f'data-sure="{word.confidence:.4f}" aria-label="{escape(name)}">{escape(word.text)}</button>'
    )


def _words(line: Line) -> Iterable[tuple[Word, int, int]]:
    """The words, and which characters of the line they are, the end exclusive."""
    at = 0
    for word in line.words:
        while line.chars[at].text == " ":
            at += 1
        yield word, at, at + len(word.chars)
        at += len(word.chars)


def _char(char: Char) -> list[str | float]:
    place = [round(edge, 1) for point in char.polygon for edge in point]
    return [char.text, round(char.confidence, 4), char.runner_up, round(char.runner_up_score, 4), *place]


def _short(confidence: float) -> str:
    """Percent in two digits, for the margin."""
    return f"{min(99, max(1, math.floor(100 * confidence + 0.5)))}"


def _points(polygon: Polygon) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in polygon)
