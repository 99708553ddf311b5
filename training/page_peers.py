"""Page peers: the same pages read by this project and by other systems that are installed, on the same threads.

Each reads as it does by default: Tesseract with its own page segmentation (psm 3), RapidOCR with detection, orientation and
recognition. RapidOCR gives lines, whose words are taken to be as wide as their letters are many: where the set has boxes of
words, its boxes are not compared.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from simpleocr.document import Char, Line, Page
from simpleocr.geometry import Box, box_to_polygon, polygon_to_box, union
from simpleocr.image import InputError
from simpleocr.reader import OCR
from training.crops import MAX_PAGE_PIXELS
from training.page_scores import compare, figures
from training.page_sets import Piece, TruePage
from training.peers import bgr, installed, own_name, rapidocr_engine, rapidocr_name, tesseract_api
from training.timing import threads

COLUMNS = {
    "word_precision": "precision",
    "word_recall": "recall",
    "word_f1": "word F1",
    "detection_hmean": "detection hmean",
    "end_to_end_f1": "end-to-end F1",
}
"""Figures that are printed, and their headings."""


@dataclass(frozen=True)
class PagePeer:
    """A system that reads pages.

    Args:
        name: what it is called.
        read: reads one.
        ours: whether it is this project's.
        words: whether it says where each word stands, not only each line.
    """

    name: str
    read: Callable[[Image.Image], Page]
    ours: bool = False
    words: bool = True


@dataclass(frozen=True)
class PageRace:
    """What one system did on one set.

    Args:
        name: of the system.
        figures: of page_scores.FIGURES, those that it can have.
        median: seconds a page.
    """

    name: str
    figures: dict[str, float]
    median: float


def line_of(words: Sequence[Piece]) -> Line:
    """A line of words whose letters are taken to be equally wide."""
    chars: list[Char] = []
    for number, (box, text) in enumerate(words):
        if number:
            chars.append(_char(" ", (chars[-1].box[2], box[1], max(chars[-1].box[2], box[0]), box[3])))
        step = (box[2] - box[0]) / max(1, len(text))
        chars += [_char(c, (box[0] + i * step, box[1], box[0] + (i + 1) * step, box[3])) for i, c in enumerate(text)]
    return Line(tuple(chars), box_to_polygon(union([box for box, _ in words])), 1.0)


def _char(text: str, box: Box) -> Char:
    return Char(text, 1.0, "", 0.0, box_to_polygon(box))


def own(model: str, detector: str, runtime: str, *, retry: bool) -> PagePeer:
    """This project's reader."""
    ocr = OCR.from_pretrained(model, detector=detector, runtime=runtime, retry=retry, max_pixels=MAX_PAGE_PIXELS)

    def read(image: Image.Image) -> Page:
        try:
            return ocr(image)
        except InputError:  # what it refuses it has not read
            return Page((), image.size)

    return PagePeer(own_name(model, runtime, retry=retry), read, ours=True)


def tesseract() -> PagePeer | None:
    """Tesseract on pages; None if it is not installed."""
    api = tesseract_api("AUTO")
    return None if api is None else PagePeer(f"tesseract {api.Version()}", partial(_tesseract_page, api))


def _tesseract_page(api: Any, image: Image.Image) -> Page:
    from tesserocr import RIL, iterate_level

    api.SetImage(image)
    api.Recognize()
    rows: list[list[Piece]] = []
    found = api.GetIterator()
    for word in iterate_level(found, RIL.WORD) if found else ():
        box, text = word.BoundingBox(RIL.WORD), "" if word.Empty(RIL.WORD) else word.GetUTF8Text(RIL.WORD).strip()
        if word.IsAtBeginningOf(RIL.TEXTLINE) or not rows:
            rows.append([])
        if box and text:
            left, top, right, bottom = map(float, box)
            rows[-1].append(((left, top, right, bottom), text))
    return Page(tuple(line_of(row) for row in rows if row), image.size)


def rapidocr(count: int) -> PagePeer | None:
    """All of RapidOCR; None if it is not installed."""
    engine = rapidocr_engine(count)
    if engine is None:
        return None

    def read(image: Image.Image) -> Page:
        found = engine(bgr(image), use_det=True, use_cls=True, use_rec=True)
        boxes, texts = (() if of is None else of for of in (found.boxes, found.txts))
        lines = []
        for corners, text in zip(boxes, texts, strict=True):
            a, b, c, d = ((float(x), float(y)) for x, y in corners)
            if text.strip():
                lines.append(line_of([(polygon_to_box((a, b, c, d)), text.strip())]))
        return Page(tuple(lines), image.size)

    return PagePeer(rapidocr_name(engine), read, words=False)


def page_peers(model: str, detector: str, runtimes: Sequence[str], count: int) -> list[PagePeer]:
    """All that are installed, this project's first: under each runtime, with one look and as it reads by default."""
    ours = [partial(own, model, detector, runtime, retry=retry) for runtime in runtimes for retry in (False, True)]
    return installed([*ours, tesseract, partial(rapidocr, count)], count)


def race(peer: PagePeer, pages: Sequence[TruePage], count: int) -> PageRace:
    """One system over one set; the first page is read once more before the clock starts.

    Args:
        peer: the system.
        pages: at least one.
        count: threads.
    """
    counts, seconds = [], []
    with threads(count):
        peer.read(pages[0].image)
        for page in tqdm(pages, unit="page", desc=peer.name, disable=None, leave=False):
            started = time.perf_counter()
            read = peer.read(page.image)
            seconds.append(time.perf_counter() - started)
            counts.append(compare(read, page, boxes=peer.words or page.level == "lines").counts)
    found = figures(np.array(counts, dtype=np.float64).sum(axis=0))
    return PageRace(peer.name, {name: float(value) for name, value in found.items()}, float(np.median(seconds)))


def table(races: Sequence[PageRace]) -> str:
    """What systems did on one set, side by side."""
    rows = [f"{'':40}" + "".join(f"  {heading}" for heading in COLUMNS.values()) + "  seconds a page"]
    for one in races:
        cells = [
            f"  {one.figures[name]:{len(heading)}.3f}" if name in one.figures else f"  {'-':>{len(heading)}}"
            for name, heading in COLUMNS.items()
        ]
        rows.append(f"{one.name[-40:]:40}{''.join(cells)}{one.median:16.2f}")
    return "\n".join(rows)
