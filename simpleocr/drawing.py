"""Drawing: picture and Page -> a picture to look at, with boxes around the lines and what they say beside or below."""

from PIL import Image, ImageDraw

from simpleocr.document import UNSURE_BELOW, Line, Page
from simpleocr.geometry import Transform, polygon_to_box
from simpleocr.lettering import FontOf, lettering

SIDES = (900, 1600)  # pixels: a smaller picture is enlarged and a larger one reduced until its longer side is between
SURE, UNSURE = (
    (13, 110, 104),
    (190, 84, 10),
)  # of words and boxes from UNSURE_BELOW on and below; they can be told apart without seeing red or green
PAPER, INK, RULE = (255, 255, 255), (24, 28, 33), (214, 219, 224)


def draw(image: Image.Image, page: Page) -> Image.Image:
    """The picture with a box around each line, and next to it a sheet with each line's words in the same place.

    The sheet is on the right of an upright picture and below a wide one, so that the letters stay as large as they can.

    Args:
        image: the upright picture that was read, as load_image gives it; it is not changed.
        page: what was read in it.

    Raises:
        ValueError: the page is of a picture of another size.
    """
    if image.size != page.size:
        raise ValueError(
            f"the page was read in a picture of {page.size[0]} x {page.size[1]} pixels, not {image.width} x {image.height}"
        )
    longer = max(image.size)
    scale = min(max(longer, SIDES[0]), SIDES[1]) / longer
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    picture = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    beside = height > width
    corner = (width + 1, 0) if beside else (0, height + 1)
    both = Image.new("RGB", (2 * width + 1, height) if beside else (width, 2 * height + 1), PAPER)
    both.paste(picture, (0, 0))
    pen = ImageDraw.Draw(both)
    pen.line((width, 0, width, height) if beside else (0, height, width, height), fill=RULE)
    to_picture = Transform.scale(width / image.width, height / image.height)
    to_sheet = to_picture.then(Transform.translate(*corner))
    font = lettering(page.text)
    for line in page.lines:
        colour = SURE if line.confidence >= UNSURE_BELOW else UNSURE
        polygon = to_picture.apply_polygon(line.polygon)
        pen.line([*polygon, polygon[0]], fill=colour, width=3, joint="curve")
        _write(pen, line, to_sheet, font)
    return both


def _write(pen: ImageDraw.ImageDraw, line: Line, to_sheet: Transform, font_of: FontOf) -> None:
    """The line's words in their places on the sheet, as large as the line's box allows."""
    left, top, right, bottom = polygon_to_box(to_sheet.apply_polygon(line.polygon))
    width_at_100 = max(1.0, font_of(100).getlength(line.text))
    font = font_of(max(8.0, min(1.3 * (bottom - top), 100 * (right - left) / width_at_100)))
    free = left  # from here on nothing is written yet
    for word in line.words:
        x = max(free, polygon_to_box(to_sheet.apply_polygon(word.polygon))[0])
        colour = INK if word.confidence >= UNSURE_BELOW else UNSURE
        pen.text((x, (top + bottom) / 2), word.text, colour, font=font, anchor="lm")
        free = x + font.getlength(f"{word.text} ")
