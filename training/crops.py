"""Crops to measure on: the rows of a corpus, or the words or lines cut out of a set of pages."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simpleocr.image import InputError, load_image
from simpleocr.vocabulary import normalize
from training.data import DataError, NoSplitError, open_corpus, picture

LEVELS = {"words": "words", "lines": "boxes"}
"""What is cut out of pages -> the key of a page's list of them."""
MAX_PAGE_PIXELS = 100_000_000  # labelled sets are trusted more than uploads: a scan at 600 dots an inch is welcome
SPLITS = ("test", "validation", "train")
"""In this order, where no split is asked for; a corpus without splits is all "train"."""


@dataclass(frozen=True)
class Sample:
    """One picture of a word or line and what it says.

    Args:
        name: where it is from, for messages; of one with a fault, with the fault's details.
        image: as load_image gives it; None where there is a fault.
        target: normalised.
        fault: why it cannot be read; "" where it can.
    """

    name: str
    image: Image.Image | None
    target: str
    fault: str = ""


@dataclass(frozen=True)
class Samples:
    """A set of samples, to be gone through once: pictures are decoded as they come.

    Args:
        name: what the user called the set.
        split: of a corpus; of pages, what was cut out of them.
        count: how many samples come.
        stream: gives them.
        left_out: rows of a page set that have no text to compare with.
    """

    name: str
    split: str
    count: int
    stream: Iterator[Sample]
    left_out: int = 0


def open_samples(name: str, *, split: str | None = None, level: str | None = None, limit: int | None = None) -> Samples:
    """A set by name: a folder with pages.jsonl, or whatever open_corpus takes.

    Args:
        name: the set.
        split: of a corpus; None takes the first of SPLITS that there is.
        level: a key of LEVELS, for pages; None takes what they have.
        limit: so many samples, evenly spread over the set, for neighbours in a set are alike.

    Raises:
        DataError: nothing there, no such split or level, one that cannot be read, or no samples in it.
    """
    if (Path(name) / "pages.jsonl").is_file():
        return page_crops(name, level=level, limit=limit)
    corpus, split = _open_split(name, split)
    if not len(corpus):
        raise DataError(f"{name!r}, split {split!r}, has no rows")
    rows = spread(range(len(corpus)), limit)
    return Samples(name, split, len(rows), (_corpus_sample(corpus[i], i) for i in rows))


def page_crops(folder: str, *, level: str | None = None, limit: int | None = None) -> Samples:
    """The words or lines of a set of pages, cut out by their boxes.

    Rows without text are left out and counted: nobody knows what such a box holds. All others are samples. A box is
    clipped to its page; one of which nothing is left, and all those of a page that cannot be read, are faults.

    Args:
        folder: has pages.jsonl; each line {"file_name", "width", "height"} and "words" or (for lines) "boxes", a list
            of {"box": [left, top, right, bottom] in pixels, "text"}.
        level: a key of LEVELS; None takes what there is.
        limit: so many samples, evenly spread over the set.

    Raises:
        DataError: pages.jsonl is missing or not as above, or has no boxes of that level.
    """
    file = Path(folder) / "pages.jsonl"
    pages = _read_pages(file)
    levels = [name for name, key in LEVELS.items() if any(key in page for page in pages)]
    if level is None and len(levels) == 1:
        level = levels[0]
    if level not in levels:
        raise DataError(
            f"{file} has {' and '.join(levels) or 'neither words nor lines'}, asked for is {level or 'no level'}"
        )
    try:
        rows = [
            (number, tuple(float(edge) for edge in row["box"]), normalize(row["text"]))
            for number, page in enumerate(pages)
            for row in page.get(LEVELS[level], [])
        ]
        names = [Path(folder) / page["file_name"] for page in pages]
        sizes = [(page["width"], page["height"]) for page in pages]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{file} is not as it should be: {type(error).__name__} {error}") from error
    for number, box, text in rows:
        if len(box) != 4 or not all(map(math.isfinite, box)):
            raise DataError(f"{file}, line {number + 1}: the box of {text[:40]!r} is {list(box)}, not four numbers")
    with_text = [row for row in rows if row[2]]
    if not with_text:
        raise DataError(f"{file} has no {level} with text")
    chosen = spread(with_text, limit)
    return Samples(folder, level, len(chosen), _cut(chosen, names, sizes), left_out=len(rows) - len(with_text))


def _open_split(name: str, split: str | None) -> tuple[Any, str]:
    wanted = [split] if split else list(SPLITS)
    for candidate in wanted:
        try:
            return open_corpus(name, candidate), candidate
        except NoSplitError:
            if candidate == wanted[-1]:
                raise
    raise AssertionError(wanted)


def spread(rows: Sequence[Any], limit: int | None) -> list[Any]:
    """So many of them, evenly spread; all where there is no limit."""
    if limit is None or limit >= len(rows):
        return list(rows)
    return [rows[int(i)] for i in np.arange(limit) * len(rows) // limit]


def _corpus_sample(row: dict[str, Any], number: int) -> Sample:
    path = row["image"]["path"] if row["image"] else None
    name = f"row {number}" + (f" {Path(path).name}" if path else "")
    if not isinstance(row["text"], str):
        return Sample(name, None, "", "no text")
    target = normalize(row["text"])
    try:
        return Sample(name, picture(row), target)
    except InputError as error:
        return Sample(f"{name} ({error})", None, target, "no readable picture")


def _read_pages(file: Path) -> list[dict[str, Any]]:
    try:
        pages = [json.loads(line) for line in file.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if not all(isinstance(page, dict) for page in pages):
        raise DataError(f"{file} has a line that is not a JSON object")
    return pages


def _cut(rows: Sequence[Any], names: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> Iterator[Sample]:
    """Samples of (page number, box, text) rows in order of pages, each page decoded once."""
    page: Image.Image | None = None
    opened, fault, details = -1, "", ""
    for number, box, text in rows:
        if number != opened:
            page, fault, details = _page(names[number], sizes[number])
            opened = number
        name = f"{names[number].name} {' '.join(f'{edge:g}' for edge in box)}"
        if page is None:
            yield Sample(f"{name} ({details})", None, text, fault)
            continue
        left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
        right, bottom = min(page.width, math.ceil(box[2])), min(page.height, math.ceil(box[3]))
        if right <= left or bottom <= top:
            yield Sample(name, None, text, "a box without area")
        else:
            yield Sample(name, page.crop((left, top, right, bottom)), text)


def _page(path: Path, size: tuple[int, int]) -> tuple[Image.Image | None, str, str]:
    """(a page's picture, "", ""), or None, why there is none, and the details."""
    try:
        page = load_image(path, max_pixels=MAX_PAGE_PIXELS)
    except InputError as error:
        return None, "on pages that cannot be read", str(error)
    if page.size != size:  # a page that was turned or scaled: its boxes are elsewhere
        return None, "on pages of another size than pages.jsonl says", f"{page.size} instead of {size}"
    return page, "", ""
