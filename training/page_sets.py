"""Labelled pages to measure on: a folder with pages.jsonl, or a corpus of training.pages."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from simpleocr.geometry import Box
from simpleocr.image import load_image
from training.crops import LEVELS, MAX_PAGE_PIXELS, spread
from training.data import DataError, open_pages, picture

Piece = tuple[Box, str]
"""Where a word or line stands, and what it says."""


@dataclass(frozen=True)
class TruePage:
    """A page and what stands on it.

    Args:
        name: where it is from.
        image: as load_image gives it.
        level: whether its pieces are "words" or "lines".
        pieces: those with text.
        ordered: the text of all pieces in reading order; None where nobody knows that order.
        unknown: where pieces stand of which nobody knows what they say: what is read there is neither right nor wrong.
    """

    name: str
    image: Image.Image
    level: str
    pieces: list[Piece]
    ordered: str | None
    unknown: list[Box] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that stands on it, in whatever order."""
        return " ".join(text for _, text in self.pieces)


def pages_of(name: str, split: str, limit: int | None = None) -> Iterator[TruePage]:
    """Pages of a set, in its order.

    Args:
        name: a folder whose pages.jsonl has {"file_name"} and "words" or (for lines) "boxes", a list of {"box", "text"};
            or a corpus of pages.
        split: of a corpus.
        limit: so many pages, evenly spread over the set.

    Raises:
        DataError: no such set, or it is not as it should be.
        InputError: a picture cannot be read.
    """
    index = Path(name, "pages.jsonl")
    if index.is_file():
        rows = [row for row in index.read_text(encoding="utf-8-sig").split("\n") if row.strip()]
        for row in spread(rows, limit):
            yield _of_index(Path(name), row)
        return
    corpus = open_pages(name, split)
    for number in spread(range(len(corpus)), limit):
        page = corpus[number]
        lines: list[dict[str, Any]] = page["lines"]
        pieces, unknown = _pieces(lines)
        ordered = " ".join(text for _, text in pieces)
        yield TruePage(f"page {number}", picture(page), "lines", pieces, ordered, unknown)


def _of_index(folder: Path, row: str) -> TruePage:
    try:
        page = json.loads(row)
        level = next((level for level, key in LEVELS.items() if key in page), "words")
        file, (pieces, unknown) = str(page["file_name"]), _pieces(page.get(LEVELS[level], []))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{folder / 'pages.jsonl'} is not as it should be: {type(error).__name__} {error}") from error
    return TruePage(file, load_image(folder / file, max_pixels=MAX_PAGE_PIXELS), level, pieces, None, unknown)


def _pieces(rows: list[dict[str, Any]]) -> tuple[list[Piece], list[Box]]:
    """Those with text, and the boxes of those without."""
    pieces: list[Piece] = []
    unknown: list[Box] = []
    for row in rows:
        left, top, right, bottom = (float(edge) for edge in row["box"])
        if str(row["text"]).strip():
            pieces.append(((left, top, right, bottom), str(row["text"])))
        else:
            unknown.append((left, top, right, bottom))
    return pieces, unknown
