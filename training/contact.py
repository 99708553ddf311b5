"""Contact sheet: samples of several sets side by side in one picture, to see by eye how rendered ones differ from real.

python -m training.contact --dataset corpora/hard SET... --rows 12 --out sheet.png
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw

from simpleocr.lettering import lettering
from simpleocr.options import Parser
from training.crops import open_samples
from training.data import DataError

CELL = (250, 52)  # pixels of a picture's place
LABEL = 16  # pixels below it for its text
SMALLEST = 9  # pixels of letters
GROUND, INK = (225, 228, 232), (20, 24, 28)


def cell(image: Image.Image, label: str) -> Image.Image:
    """A picture reduced or enlarged to fit CELL, its aspect ratio kept, its label below it, or as much of that as fits."""
    out = Image.new("RGB", (CELL[0], CELL[1] + LABEL), GROUND)
    scale = min((CELL[0] - 6) / image.width, (CELL[1] - 4) / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    out.paste(image.convert("RGB").resize(size, Image.Resampling.BICUBIC), (0, 2))
    font = lettering(label)
    large = font(12)
    fitting = large if large.getlength(label) <= CELL[0] else font(SMALLEST)
    while fitting.getlength(label) > CELL[0] - 4:
        label = label[: -max(2, len(label) // 10)] + "…"
    ImageDraw.Draw(out).text((0, CELL[1]), label, INK, font=fitting)
    return out


def contact_sheet(columns: Sequence[Sequence[Image.Image]], titles: Sequence[str]) -> Image.Image:
    """Cells in one column a set, its title above."""
    rows = max((len(column) for column in columns), default=0)
    out = Image.new("RGB", (CELL[0] * len(columns), LABEL + 4 + rows * (CELL[1] + LABEL)), GROUND)
    pen = ImageDraw.Draw(out)
    for x, (column, title) in enumerate(zip(columns, titles, strict=True)):
        pen.text((x * CELL[0], 2), title, INK, font=lettering(title)(14))
        for y, picture in enumerate(column):
            out.paste(picture, (x * CELL[0], LABEL + 4 + y * (CELL[1] + LABEL)))
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments and write the sheet."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--dataset", nargs="+", required=True, help="sets, as training.evaluate takes them")
    parser.add_argument("--columns", type=int, default=2, help="columns for each set")
    parser.add_argument("--rows", type=int, default=14)
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    args = parser.parse_args(argv)
    if args.columns < 1 or args.rows < 1:
        parser.error("--columns and --rows must be at least 1")
    columns, titles = [], []
    try:
        for name in args.dataset:
            samples = open_samples(name, limit=args.rows * args.columns)
            cells = (cell(s.image, s.target) for s in samples.stream if s.image is not None)
            columns += [list(islice(cells, args.rows)) for _ in range(args.columns)]
            titles += [Path(name).name] * args.columns
        args.out.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(columns, titles).save(args.out)
    except (DataError, OSError, ValueError) as error:
        sys.exit(f"training.contact: {error}")


if __name__ == "__main__":
    main()
