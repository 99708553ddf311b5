"""Page sheet: the worst pages of an evaluation as one HTML file, what was missed and what was invented drawn on them."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO

from PIL import Image, ImageDraw

from simpleocr.document import Page
from simpleocr.geometry import Transform
from simpleocr.lettering import lettering
from training.page_scores import Comparison
from training.sheet import PAGE, differences, visible

SIDE = 1500  # pixels of a drawn page's longer side, at most twice that of the page
FOUND, LOST, ADDED = (20, 150, 140), (205, 0, 40), (200, 95, 0)  # also told apart by how they are drawn
LABEL = 13.0  # pixels of the letters that say what was read instead


@dataclass(frozen=True)
class BadPage:
    """A page to be looked at.

    Args:
        name: where it is from.
        comparison: what became of it.
        picture: a JPEG file's bytes.
    """

    name: str
    comparison: Comparison
    picture: bytes


def draw_errors(image: Image.Image, page: Page, comparison: Comparison) -> Image.Image:
    """The page: its lines as they were found thin, pieces read wrong double with what was read, missed words thick.

    Args:
        image: the picture that was read.
        page: what was read in it.
        comparison: in its pixels.
    """
    scale = min(2.0, SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    sheet = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    pen, font = ImageDraw.Draw(sheet), lettering(page.text)(LABEL)
    larger = Transform.scale(scale, scale)
    for line in page.lines:
        polygon = larger.apply_polygon(line.polygon)
        pen.line([*polygon, polygon[0]], fill=FOUND, width=1)
    for box, _ in comparison.lost:
        x0, y0, x1, y1 = (edge * scale for edge in box)
        pen.rectangle((x0 - 2, y0 - 2, max(x0, x1) + 2, max(y0, y1) + 2), outline=LOST, width=3)
    for box, text in comparison.added:
        x0, y0, x1, y1 = (edge * scale for edge in box)
        pen.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=ADDED, width=1)
        place = (x0, max(0.0, y0 - LABEL))
        pen.rectangle(pen.textbbox(place, text, font=font), fill=(255, 255, 255))
        pen.text(place, text, ADDED, font=font)
    return sheet


def bad_page(name: str, image: Image.Image, page: Page, comparison: Comparison) -> BadPage:
    """A page drawn and packed."""
    file = BytesIO()
    draw_errors(image, page, comparison).save(file, "JPEG", quality=70)
    return BadPage(name, comparison, file.getvalue())


def page_sheet(
    *, title: str, facts: Sequence[tuple[str, str]], figures: Sequence[tuple[str, str]], pages: Sequence[BadPage]
) -> str:
    """One HTML page that needs nothing else.

    Args:
        title: of the sheet.
        facts: (what, value) of the run.
        figures: (name, value) of the whole set.
        pages: worst first.
    """
    rows = [f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in (*facts, *figures)]
    parts = [
        f"<table>{''.join(rows)}</table>",
        "<p>Thin: lines as they were found. Thick and red: words that were misread or missed. Orange: what was read in "
        "their place, or where nothing stands.</p>",
        *(_section(page) for page in pages),
    ]
    return PAGE.format(title=_text(title), body="\n".join(parts))


def _section(page: BadPage) -> str:
    of = page.comparison
    misread = "".join(
        "<tr>"
        + "".join(f"<td><code>{side}</code></td>" for side in differences(prediction=read, target=true))
        + "</tr>"
        for true, read in of.misread
    )
    picture = b64encode(page.picture).decode("ascii")
    return "\n".join(
        [
            f"<h2>{_text(page.name)}: word F1 {of.word_f1:.3f}</h2>",
            f'<p><img src="data:image/jpeg;base64,{picture}" alt="{_text(page.name)}"/></p>',
            f"<p>{len(of.misread)} misread:</p><table>{misread}</table>" if misread else "<p>None misread.</p>",
            f"<p>{len(of.missed)} missed: <code>{_text('  '.join(of.missed))}</code></p>",
            f"<p>{len(of.invented)} invented: <code>{_text('  '.join(of.invented))}</code></p>",
        ]
    )


def _text(text: str) -> str:
    return escape(visible(text))
