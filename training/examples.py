"""Examples: the pictures to click in the demo, drawn with the fonts of this machine.

python -m training.examples --out simpleocr/examples
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

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


def paragraph(fonts: Fonts) -> Image.Image:
    """Printed prose with its punctuation."""
    image = Image.new("RGB", (900, 380), "white")
    pen = ImageDraw.Draw(image)
    for i, text in enumerate(PROSE):
        pen.text((50, 40 + 62 * i), text, (20, 20, 20), font=_font(fonts, "DejaVuSerif.ttf", 36))
    return image


def form(fonts: Fonts) -> Image.Image:
    """Lines of a form: labels, numbers and a date."""
    image = Image.new("RGB", (820, 250), (250, 250, 252))
    pen = ImageDraw.Draw(image)
    for i, text in enumerate(("Order no. 4711-B", "Date: 14 March 2026", "Signed by: Ada Example")):
        pen.text((44, 32 + 68 * i), text, (24, 44, 110), font=_font(fonts, "DejaVuSans.ttf", 40))
    return image


def photo(fonts: Fonts) -> Image.Image:
    """A line as a camera sees it: a little turned, out of focus, unevenly lit, noisy."""
    rng = np.random.default_rng(7)
    flat = Image.new("L", (900, 220), 0)
    pen = ImageDraw.Draw(flat)
    pen.text((450, 110), "Platform 9 closes at 18:30", 255, font=_font(fonts, "DejaVuSans-Bold.ttf", 56), anchor="mm")
    ink = flat.rotate(1.5, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1.8))
    coverage = np.asarray(ink, dtype=np.float32)[..., None] / 255
    light = np.linspace(1.0, 0.78, 900, dtype=np.float32)[None, :, None]
    ground, text = np.array([226, 220, 206], np.float32), np.array([52, 48, 60], np.float32)
    pixels = (ground + (text - ground) * coverage) * light + rng.normal(0, 6, (220, 900, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def price(fonts: Fonts) -> Image.Image:
    """A price tag: two sizes of print."""
    image = Image.new("RGB", (560, 340), (250, 214, 62))
    pen = ImageDraw.Draw(image)
    pen.text((280, 130), "$4.99", (30, 24, 20), font=_font(fonts, "DejaVuSans-Bold.ttf", 150), anchor="mm")
    pen.text((280, 275), "per kilo", (30, 24, 20), font=_font(fonts, "DejaVuSans.ttf", 60), anchor="mm")
    return image


EXAMPLES: dict[str, Callable[[Fonts], Image.Image]] = {
    "paragraph.png": paragraph,
    "receipt.jpg": receipt,
    "sign.jpg": sign,
    "photo.jpg": photo,
    "price.jpg": price,
    "form.png": form,
}
"""The pictures by file name; to add one is one function and one entry."""


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the pictures and say how large they are."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
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
