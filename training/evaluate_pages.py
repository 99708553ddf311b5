"""Measure page reading: which words are found and read, where and in which order, how fast, with how much memory.

    python -m training.evaluate_pages --dataset FOLDER... --model english --detector lines --out reports
    python -m training.evaluate_pages --dataset FOLDER --turn 0 -10 5 90 180 270      the same, with turned pages

A set is a folder with pages.jsonl (file_name; words or boxes, a list of {"box", "text"}) or a corpus of training.pages.
Words are compared without case and outer punctuation, and without their order (precision, recall, F1 over the set); on
corpora of pages also with it (CER of the text in reading order, white space normalised). Boxes are compared upright, one
to one at an overlap of 0.5: of words where pages.jsonl has "words" (funsd), of lines where it has "boxes" (sroie) and on
corpora of pages; end to end, a word counts if it is read right in its place. Turned pages have no boxes to compare with.
What is found where the set has a box without text, for nobody knows what stands there, is not counted, but on turned pages.

OUT/SET-pages.json has the figures with their intervals, OUT/SET-pages.html the worst pages to look at; sets of the same name
are numbered. Memory is the most that the process had while it read a page, libraries and networks included.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from simpleocr.document import Page
from simpleocr.image import InputError
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.reader import DEFAULT_DETECTOR, DEFAULT_MODEL, OCR
from simpleocr.runtimes import RUNTIMES
from training.crops import MAX_PAGE_PIXELS
from training.data import DataError
from training.evaluate import file_sha256
from training.memory import forget_peak, peak_memory
from training.page_scores import compare, figures
from training.page_sets import pages_of
from training.page_sheet import BadPage, bad_page, page_sheet
from training.report import free_name, stem
from training.scores import DRAWS, SEED, bootstrap


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """A page as it lies on a scanner's glass or in a hand: turned counter-clockwise, and larger so that all is on it."""
    quarters = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    if degrees % 360 in quarters:
        return image.transpose(quarters[int(degrees % 360)])
    if not degrees:
        return image
    ground = tuple(int(v) for v in np.median(np.asarray(image.convert("RGB"))[[0, -1]].reshape(-1, 3), axis=0))
    return image.convert("RGB").rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=ground)


def measure(
    ocr: OCR, name: str, split: str, limit: int | None, degrees: float = 0.0, worst: int = 0
) -> tuple[dict[str, Any], list[BadPage]]:
    """Read a set, each page turned by so many degrees, and compare.

    Returns:
        (report, the worst pages, those with most words wrong first): the report holds JSON values only.

    Raises:
        DataError, InputError: as pages_of().
    """
    counts, seconds, memory = [], [], []
    kinds = {"misread": 0, "missed": 0, "invented": 0}
    bad: list[BadPage] = []
    refused: list[str] = []
    level = ""
    for truth in tqdm(pages_of(name, split, limit), unit="page", disable=None):
        image = turned(truth.image, degrees)
        forget_peak()
        started = time.perf_counter()
        try:
            page = ocr(image)
        except InputError as error:  # what the reader refuses, it has not read
            page = Page((), image.size)
            refused.append(f"{truth.name}: {error}")
        seconds.append(time.perf_counter() - started)
        memory.append(peak_memory())
        comparison = compare(page, truth, boxes=not degrees)
        counts.append(comparison.counts)
        level = truth.level
        for kind in kinds:
            kinds[kind] += len(getattr(comparison, kind))
        if worst and (len(bad) < worst or comparison.wrong > bad[-1].comparison.wrong):
            bad.append(bad_page(truth.name, image, page, comparison))
            bad = sorted(bad, key=lambda one: -one.comparison.wrong)[:worst]
    if not counts:
        raise DataError(f"{name!r} has no pages")
    found = bootstrap(np.array(counts), of=figures)
    report = {
        "pages": len(counts),
        "boxes": level,
        "figures": {of: dict(zip(("value", "low", "high"), values, strict=True)) for of, values in found.items()},
        "bootstrap": {"draws": DRAWS, "seed": SEED, "interval": 0.95, "resampled": "pages"},
        "wrong": kinds,
        "refused": refused,
        "seconds_a_page_median": statistics.median(seconds),
        "memory_mib_median": statistics.median(memory),
        "memory_mib_most": max(memory),
    }
    return report, bad


def row(report: dict[str, Any]) -> str:
    """A report as the terminal shows it."""
    values = [f"{name} {of['value']:.4f}" for name, of in report["figures"].items()]
    values += [f"{name} {count}" for name, count in report["wrong"].items()]
    values += [f"{report['seconds_a_page_median']:.2f} s a page, {report['memory_mib_most']:.0f} MiB at most"]
    text = f"{report['pages']} pages  " + "  ".join(values)
    if report["refused"]:
        text += f"\n  {len(report['refused'])} pages refused, counted as unread: {report['refused'][0]}"
    return text


def write(out: Path, label: str, report: dict[str, Any], bad: Sequence[BadPage]) -> None:
    """OUT/LABEL-pages.json, and OUT/LABEL-pages.html if there are pages to look at."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{label}-pages.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if bad:
        named = [
            (name, f"{of['value']:.4f} ({of['low']:.4f} .. {of['high']:.4f})") for name, of in report["figures"].items()
        ]
        counted = [(f"words {name}", str(count)) for name, count in report["wrong"].items()]
        page = page_sheet(
            title=f"{label}: the worst of {report['pages']} pages",
            facts=[("command", report["command"])],
            figures=[*named, *counted],
            pages=bad,
        )
        (out / f"{label}-pages.html").write_text(page, encoding="utf-8")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Command line -> settings."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--dataset", nargs="+", required=True)
    parser.add_argument("--split", default="test", help="of corpora")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--detector", default=DEFAULT_DETECTOR, help='a LineNet, or "none" for the profile of the ink')
    parser.add_argument("--runtime", choices=[*RUNTIMES], default="torch")
    parser.add_argument("--limit", type=int, help="pages of each set, evenly spread over it")
    parser.add_argument(
        "--turn", type=float, nargs="+", default=[0.0], help="degrees by which every page is turned first"
    )
    parser.add_argument("--no_retry", action="store_true", help="do not look at doubtful lines again")
    parser.add_argument("--worst", type=int, default=10, help="pages in the sheet; none without --out")
    parser.add_argument("--out", type=Path, help="folder for SET-pages.json and SET-pages.html")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, read the pages, print and write the figures."""
    args = parse(argv)
    command = shlex.join(["python", "-m", "training.evaluate_pages", *(sys.argv[1:] if argv is None else argv)])
    try:
        detector = None if args.detector == "none" else args.detector
        ocr = OCR.from_pretrained(
            args.model, detector=detector, retry=not args.no_retry, runtime=args.runtime, max_pixels=MAX_PAGE_PIXELS
        )
        run = {
            "command": command,
            "model": {"name": args.model, "sha256": file_sha256(args.model)},
            "detector": {"name": detector, "sha256": file_sha256(detector)} if detector else None,
            "runtime": args.runtime,
            "retry": not args.no_retry,
            "split": args.split,
        }
        taken: set[str] = set()
        for name in args.dataset:
            for degrees in args.turn:
                report, bad = measure(ocr, name, args.split, args.limit, degrees, args.worst if args.out else 0)
                label = free_name(f"{stem(name)}-{degrees:g}" if degrees else stem(name), taken)
                print(f"{label}: {row(report)}", flush=True)
                if args.out:
                    write(args.out, label, {**run, "dataset": name, "turned": degrees, **report}, bad)
    except (DataError, ModelError, InputError, ValueError, OSError) as error:
        sys.exit(f"training.evaluate_pages: {error}")


if __name__ == "__main__":
    main()
