"""Measure page reading: which words are found and read, in which order, how fast.

    python -m training.evaluate_pages --dataset FOLDER... --model english --detector lines --out reports
    python -m training.evaluate_pages --dataset FOLDER --turn 0 -10 5 90 180 270      the same, with turned pages

A set is a folder with pages.jsonl (file_name; words or boxes, a list of {"box", "text"}) or a corpus of training.pages.
Words are compared without case and outer punctuation, and without their order (precision, recall, F1 over the set); on
corpora of pages also with it (CER of the text in reading order, white space normalised).
"""

import argparse
import json
import statistics
import string
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from simpleocr import metrics
from simpleocr.image import InputError, load_image
from simpleocr.linenet import LineNet
from simpleocr.modelfile import ModelError
from simpleocr.reader import OCR
from simpleocr.vocabulary import normalize
from training.crops import MAX_PAGE_PIXELS
from training.data import DataError, open_pages, picture

OUTER = string.punctuation + "“”‘’–—…•"


def words_of(text: str) -> Counter[str]:
    """Words without case and outer punctuation; those that are nothing else are left out."""
    return Counter(word for token in normalize(text).lower().split() if (word := token.strip(OUTER)))


def pages_of(name: str, split: str) -> Iterator[tuple[Image.Image, list[str], str | None]]:
    """Of each page: its picture, its texts, and the whole text in order, where that is known.

    Raises:
        DataError: no such set.
    """
    index = Path(name, "pages.jsonl")
    if index.is_file():
        for row in index.read_text(encoding="utf-8-sig").splitlines():
            page = json.loads(row)
            texts = [str(item["text"]) for item in page.get("words") or page.get("boxes") or []]
            yield load_image(Path(name, page["file_name"]), max_pixels=MAX_PAGE_PIXELS), texts, None
        return
    for page in open_pages(name, split):
        lines: list[dict[str, Any]] = page["lines"]
        texts = [word["text"] for line in lines for word in line["words"]]
        yield picture(page), texts, " ".join(texts)


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """A page as it lies on a scanner's glass or in a hand: turned counter-clockwise, and larger so that all is on it."""
    quarters = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    if degrees % 360 in quarters:
        return image.transpose(quarters[int(degrees % 360)])
    if not degrees:
        return image
    ground = tuple(int(v) for v in np.median(np.asarray(image.convert("RGB"))[[0, -1]].reshape(-1, 3), axis=0))
    return image.convert("RGB").rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=ground)


def measure(ocr: OCR, name: str, split: str, limit: int | None, degrees: float = 0.0) -> dict[str, float]:
    """Figures over a set, each page turned by so many degrees."""
    both, read_count, true_count, seconds = 0, 0, 0, []
    predictions, targets = [], []
    for number, (image, texts, ordered) in enumerate(tqdm(pages_of(name, split), unit="page")):
        if number == limit:
            break
        page = turned(image, degrees)
        started = time.perf_counter()
        try:
            read = ocr(page).text
        except InputError:  # what the reader refuses, it has not read
            read = ""
        seconds.append(time.perf_counter() - started)
        found, true = words_of(read), words_of(" ".join(texts))
        both += (found & true).total()
        read_count += found.total()
        true_count += true.total()
        if ordered is not None:
            predictions.append(normalize(" ".join(read.split())))
            targets.append(normalize(ordered))
    if not seconds:
        raise DataError(f"{name!r} has no pages")
    precision, recall = both / max(1, read_count), both / max(1, true_count)
    figures = {
        "pages": float(len(seconds)),
        "word_precision": precision,
        "word_recall": recall,
        "word_f1": 2 * precision * recall / max(1e-9, precision + recall),
        "seconds_a_page_median": statistics.median(seconds),
    }
    return figures | ({"cer_in_order": metrics.cer(predictions=predictions, targets=targets)} if targets else {})


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, read the pages, print and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--dataset", nargs="+", required=True)
    parser.add_argument("--split", default="test", help="of corpora")
    parser.add_argument("--model", default="english")
    parser.add_argument("--detector", default="lines", help='a LineNet, or "none" for the profile of the ink')
    parser.add_argument("--limit", type=int, help="pages of each set")
    parser.add_argument(
        "--turn", type=float, nargs="+", default=[0.0], help="degrees by which every page is turned first"
    )
    parser.add_argument("--no-retry", action="store_true", help="do not look at doubtful lines again")
    parser.add_argument("--out", type=Path, help="folder for SET-pages.json")
    args = parser.parse_args(argv)
    try:
        detector = None if args.detector == "none" else LineNet.from_pretrained(args.detector)
        ocr = OCR.from_pretrained(args.model, detector=detector, retry=not args.no_retry)
        for name in args.dataset:
            for degrees in args.turn:
                figures = measure(ocr, name, args.split, args.limit, degrees)
                label = f"{Path(name).name}-{degrees:g}" if degrees else Path(name).name
                print(label, "  ".join(f"{key} {value:.4f}" for key, value in figures.items()), flush=True)
                if args.out:
                    args.out.mkdir(parents=True, exist_ok=True)
                    report = {"set": name, "model": args.model, "detector": args.detector, "turned": degrees}
                    text = json.dumps(report | {"figures": figures}, indent=1)
                    (args.out / f"{label}-pages.json").write_text(text + "\n")
    except (DataError, ModelError, ValueError, OSError) as error:
        sys.exit(f"training.evaluate_pages: {error}")


if __name__ == "__main__":
    main()
