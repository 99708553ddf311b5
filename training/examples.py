"""Examples: the pictures to click in the demo, drawn with the fonts of this machine.

python -m training.examples --out simpleocr/examples
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from simpleocr.geometry import Transform
from simpleocr.options import Parser
from training.fonts import find_fonts

FALLBACK = "DejaVuSans.ttf"  # comes with matplotlib, which find_fonts always looks into
PROSE = (
    "The ferry left at seven, as it always did,",
    "with nine people, two bicycles and a dog.",
    "“Will it rain?” asked the captain; nobody",
    "answered. By noon the far shore was near:",
    "low hills, a white church, an empty pier.",
)
RECEIPT = (
    "CORNER MARKET",
    "24 Mill Lane, open 8-20",
    "2 x Oat milk      5.80",
    "1 x Rye bread     3.45",
    "6 x Eggs          2.90",
    "TOTAL            12.15",
    "Thank you, come again!",
)
FIELDS = (
    ("Name", "Ada Example"),
    ("Date", "14 March 2026"),
    ("Order number", "4711-B"),
    ("Amount due", "$1,284.50"),
    ("Street", "24 Mill Lane"),
    ("City", "Northport"),
)
ROWS = (
    ("holiday-photos.zip", "412 MB", "Finished"),
    ("report_final.pdf", "1.8 MB", "Finished"),
    ("setup-2.14.exe", "96 MB", "72 %"),
    ("notes.txt", "4 KB", "Finished"),
)

Fonts = dict[str, Path]


def _font(fonts: Fonts, name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(fonts.get(name, fonts[FALLBACK])), size)


def sign(fonts: Fonts) -> Image.Image:
    """A shop's name, light on dark."""
    image = Image.new("RGB", (720, 260), (28, 64, 56))
    pen = ImageDraw.Draw(image)
    pen.text((360, 126), "Bakery", (244, 228, 190), font=_font(fonts, "Caladea-Bold.ttf", 150), anchor="mm")
    return image


def receipt(fonts: Fonts) -> Image.Image:
    """A narrow block of typewritten lines."""
    image = Image.new("RGB", (520, 560), (247, 246, 241))
    pen = ImageDraw.Draw(image)
    for i, text in enumerate(RECEIPT):
        pen.text((40, 50 + 70 * i), text, (45, 45, 52), font=_font(fonts, "DejaVuSansMono.ttf", 32))
    return image.filter(ImageFilter.GaussianBlur(0.6))


def sideways(fonts: Fonts) -> Image.Image:
    """A printed page with its punctuation that was laid on the scanner the wrong way."""
    image = Image.new("RGB", (900, 560), (252, 251, 247))
    pen = ImageDraw.Draw(image)
    pen.text((50, 50), "The Morning Ferry", (20, 20, 20), font=_font(fonts, "DejaVuSerif-Bold.ttf", 46))
    for i, text in enumerate(PROSE):
        pen.text((50, 160 + 62 * i), text, (20, 20, 20), font=_font(fonts, "DejaVuSerif.ttf", 36))
    return image.rotate(90, expand=True)


def form(fonts: Fonts) -> Image.Image:
    """Boxes of a form: what is asked for in small print, what was typed in below."""
    image = Image.new("RGB", (900, 460), (253, 253, 254))
    pen = ImageDraw.Draw(image)
    pen.text((36, 28), "Delivery note", (20, 26, 40), font=_font(fonts, "DejaVuSans-Bold.ttf", 38))
    for i, (asked, typed) in enumerate(FIELDS):
        left, top = 36 + 414 * (i % 2), 108 + 110 * (i // 2)
        pen.rectangle((left, top, left + 400, top + 96), outline=(120, 128, 140), width=2)
        pen.text((left + 14, top + 10), asked, (84, 92, 106), font=_font(fonts, "DejaVuSans.ttf", 19))
        pen.text((left + 14, top + 44), typed, (24, 44, 110), font=_font(fonts, "DejaVuSansMono.ttf", 30))
    return image


def screenshot(fonts: Fonts) -> Image.Image:
    """A window of a program: a bar with buttons, a list, light on dark."""
    image = Image.new("RGB", (900, 470), (31, 36, 46))
    pen = ImageDraw.Draw(image)
    small, bold = _font(fonts, "DejaVuSans.ttf", 22), _font(fonts, "DejaVuSans-Bold.ttf", 22)
    pen.rectangle((0, 0, 900, 56), fill=(46, 53, 67))
    for i, text in enumerate(("File", "Edit", "View", "Help")):
        pen.text((28 + 104 * i, 28), text, (222, 228, 236), font=small, anchor="lm")
    pen.text((28, 100), "Downloads (3 of 4 finished)", (240, 243, 247), font=bold, anchor="lm")
    for i, (name, size, state) in enumerate(ROWS):
        y = 166 + 62 * i
        pen.line((28, y + 31, 872, y + 31), fill=(62, 70, 86))
        pen.text((28, y), name, (214, 220, 230), font=small, anchor="lm")
        pen.text((540, y), size, (214, 220, 230), font=small, anchor="lm")
        pen.text((700, y), state, (126, 206, 152) if state == "Finished" else (240, 190, 96), font=small, anchor="lm")
    pen.rounded_rectangle((700, 408, 872, 452), 8, fill=(38, 110, 190))
    pen.text((786, 430), "Close", "white", font=bold, anchor="mm")
    return image


def photo(fonts: Fonts) -> Image.Image:
    """A sign at a wall as a camera sees it from the side: a little out of focus, unevenly lit, noisy."""
    rng = np.random.default_rng(7)
    width, height = 960, 640
    bricks = np.full((height, width, 3), (150, 92, 72), np.float32)
    for row in range(0, height, 44):
        bricks[row : row + 4] = (186, 178, 168)
        for column in range((row // 44 % 2) * 55, width, 110):
            bricks[row : row + 44, column : column + 4] = (186, 178, 168)
    board = Image.new("RGB", (700, 330), (26, 74, 128))
    pen = ImageDraw.Draw(board)
    pen.rectangle((10, 10, 689, 319), outline="white", width=5)
    pen.text((350, 118), "Harbour Street", "white", font=_font(fonts, "DejaVuSans-Bold.ttf", 76), anchor="mm")
    pen.text((350, 232), "No parking 7-18", (255, 214, 74), font=_font(fonts, "DejaVuSans.ttf", 56), anchor="mm")
    # where the board's corners are in the photo: top left, top right, bottom right, bottom left
    seen_at = Transform.from_corners(board.size, ((140, 150), (810, 190), (800, 470), (150, 500)))
    back = seen_at.invert().coefficients
    bicubic, way = Image.Resampling.BICUBIC, Image.Transform.PERSPECTIVE
    seen = np.asarray(board.transform((width, height), way, back, bicubic), np.float32)
    covered = np.asarray(Image.new("L", board.size, 255).transform((width, height), way, back, bicubic), np.float32)
    share = covered[..., None] / 255
    flat = Image.fromarray((bricks * (1 - share) + seen * share).clip(0, 255).astype(np.uint8))
    blurred = np.asarray(flat.filter(ImageFilter.GaussianBlur(1.3)), np.float32)
    light = np.linspace(1.05, 0.72, width, dtype=np.float32)[None, :, None]
    pixels = blurred * light + rng.normal(0, 3, (height, width, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).resize((720, 480), Image.Resampling.BICUBIC)


EXAMPLES: dict[str, Callable[[Fonts], Image.Image]] = {
    "photo.jpg": photo,
    "receipt.jpg": receipt,
    "form.png": form,
    "screenshot.png": screenshot,
    "sideways.png": sideways,
    "sign.jpg": sign,
}
"""The pictures by file name; to add one is one function and one entry."""


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the pictures and say how large they are."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("simpleocr/examples"), help="folder of the pictures")
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders of fonts, beside the system's")
    args = parser.parse_args(argv)
    fonts = {file.name: file for file in find_fonts(args.fonts)}
    args.out.mkdir(parents=True, exist_ok=True)
    for name, render in EXAMPLES.items():
        image = render(fonts)
        if name.endswith(".png"):
            image = image.quantize(32, dither=Image.Dither.NONE)
        image.save(args.out / name, optimize=True, quality=82)
        print(f"{args.out / name}: {image.width} x {image.height}, {(args.out / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
