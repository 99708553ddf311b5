"""Page lines: the lines of rendered pages, cut out as a detector would, as a corpus for the recognizer.

    python -m training.page_lines --dataset corpora/pages... --out corpora/page_lines --seed 0

What a page brings that a rendered line lacks: rules and boxes of its form, the letters of the lines above and below, real
spacing of words, small print. The corpus has the columns of training.synth: image, text, width, height; its splits are
those of the pages.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from simpleocr.options import Parser
from simpleocr.vocabulary import VOCABULARIES, normalize
from training.augment import photographed
from training.data import DataError, open_pages, picture
from training.shards import write_lines

SPLITS = ("train", "validation", "test")
SMALLEST = 8.0  # pixels from ascender to descender that a line keeps
PART = 0.25  # of the lines are cut somewhere between words: detectors part lines where there is a gap
VOCABULARY = VOCABULARIES["english"]


def cut_line(
    page: npt.NDArray[np.uint8], words: list[dict[str, Any]], rng: Random
) -> tuple[npt.NDArray[np.uint8], str] | None:
    """A crop of neighbouring words of one line, and what they say; None where that is not known.

    Args:
        page: (H, W) grey.
        words: of one line, with box and text.
        rng: decides.
    """
    first, last = 0, len(words)
    if len(words) > 1 and rng.random() < PART:
        first = rng.randrange(len(words))
        last = rng.randint(first + 1, len(words))
    text = normalize(" ".join(word["text"] for word in words[first:last]))
    if not text or VOCABULARY.unknown(text) or not all(word["text"] for word in words[first:last]):
        return None
    boxes = np.array([word["box"] for word in words[first:last]])
    left, top = (float(edge) for edge in boxes[:, :2].min(axis=0))
    right, bottom = (float(edge) for edge in boxes[:, 2:].max(axis=0))
    letters = bottom - top
    if letters < SMALLEST:
        return None
    # as far as the next word at most, where the line was parted
    free_left = left - words[first - 1]["box"][2] if first else letters
    free_right = words[last]["box"][0] - right if last < len(words) else letters
    left -= min(0.8 * free_left, letters * rng.uniform(-0.05, 0.35))
    right += min(0.8 * free_right, letters * rng.uniform(-0.05, 0.35))
    top -= letters * rng.gauss(0.05, 0.07)
    bottom += letters * rng.gauss(0.03, 0.06)
    scale = 1.0
    if rng.random() < 0.6:
        scale = float(np.exp(rng.uniform(np.log(max(0.25, SMALLEST / letters)), np.log(1.25))))
    width, height = max(4, round((right - left) * scale)), max(4, round((bottom - top) * scale))
    angle = np.radians(rng.gauss(0, 0.6)) * min(1.0, 8 * height / width)
    cos, sin = float(np.cos(angle)) / scale, float(np.sin(angle)) / scale
    x, y = (left + right) / 2, (top + bottom) / 2
    back = np.array(
        [[cos, -sin, x - (cos * width - sin * height) / 2], [sin, cos, y - (sin * width + cos * height) / 2]]
    )
    if scale < 0.7:
        page = np.asarray(cv2.blur(page, (round(1 / scale), round(1 / scale))), dtype=np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(page, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    seen = photographed(np.asarray(crop, dtype=np.float32), letters * scale, rng)
    if rng.random() < 0.08:
        seen = 255 - seen
    return np.clip(seen, 0, 255).astype(np.uint8), text


def cut_pages(pages: Any, seed: int, split: str) -> Iterator[dict[str, Any]]:
    """Rows of the corpus: one crop of each line of each page."""
    for number, page in enumerate(pages):
        rng = Random(f"page_lines/{seed}/{split}/{number}")
        grey = np.asarray(picture(page).convert("L"), dtype=np.uint8)
        for line in page["lines"]:
            around = _around(grey, line)
            if around is None or (cut := cut_line(*around, rng)) is None:
                continue
            image, text = cut
            data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(30, 95)])[1].tobytes()
            yield {
                "image": {"bytes": data, "path": None},
                "text": text,
                "width": image.shape[1],
                "height": image.shape[0],
            }


def _around(
    grey: npt.NDArray[np.uint8], line: dict[str, Any]
) -> tuple[npt.NDArray[np.uint8], list[dict[str, Any]]] | None:
    """The part of a page around a line, and its words in the part's pixels: what is blurred need not be all of it."""
    left, top, right, bottom = line["box"]
    room = 2 * (bottom - top)
    x0, y0 = max(0, int(left - room)), max(0, int(top - room))
    part = grey[y0 : int(bottom + room) + 1, x0 : int(right + room) + 1]
    if not part.size:
        return None
    shift = np.array([x0, y0, x0, y0])
    return part, [{**word, "box": (np.array(word["box"]) - shift).tolist()} for word in line["words"]]


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, cut the lines and say how many there are."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--dataset", nargs="+", required=True, help="corpora of training.pages or training.pdf_pages")
    parser.add_argument("--out", type=Path, required=True, help="a new folder for the corpus")
    parser.add_argument("--rounds", type=int, default=1, help="crops of each line")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    try:
        (args.out / "data").mkdir(parents=True)
        for split in SPLITS:
            rows = (
                row
                for round_ in range(args.rounds if split == "train" else 1)
                for name in args.dataset
                for row in cut_pages(open_pages(name, split), args.seed + 1000 * round_, f"{split}/{Path(name).name}")
            )
            print(f"{split}: {write_lines(rows, args.out, split)} lines")
    except (DataError, OSError) as error:
        sys.exit(f"training.page_lines: {error}")


if __name__ == "__main__":
    main()
