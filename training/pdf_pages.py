"""Render pages of PDFs: real typesetting, whose own text layer says where every word and line of it stands.

    python -m training.pdf_pages --pdf FILE_OR_FOLDER... --out DIR --samples N --seed S

The corpus has the columns that training.shards says; lines are in the order of the text layer. A page is passed over
where its truth would not be whole: no text, rotated text, text that is drawn invisibly or means nothing, pictures that
may hold text of their own. Needs pypdfium2.
"""

import argparse
import ctypes
import gzip
import hashlib
import math
import os
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from simpleocr.documents import PDFIUM
from simpleocr.options import Parser
from simpleocr.vocabulary import VOCABULARIES
from training.claim import digest_of_files
from training.shards import Maker, PageSample, split_counts, to_sample, write_corpus

VOCABULARY = VOCABULARIES["english"]
SUFFIXES = (".pdf", ".pdf.gz")  # as Debian has them
SMALLEST, LARGEST = 1.0, 2.2  # pixels a point
PAGES_A_FILE = 120  # that are drawn from, so that one thick book is not the corpus
FEWEST_LETTERS = 20  # of a page
GARBAGE = 0.05  # share of letters that mean nothing from which a page's text layer is not believed
PICTURE = 0.03  # share of a page from which a picture may hold text that nobody wrote down
TALL, HANGING = "bdfhklABDEFHIKLMNPRTXZ", "gpqy"
ABOVE, BELOW = 0.72, 0.21  # em, where a page has no such letters of a font
WIDE = 1.3  # em: a gap that splits a line
NARROW = 0.8  # em: one that does where other lines are split at the same place
JOINED = 0.4  # em: the widest gap between parts of a line that do not follow each other in the text layer
RAISED = 0.5  # of a letter's height: what stands higher or lower is of another line; a footnote's mark is not
SPACE = 0.3  # em: a gap between words that no space was written in
LEAST_INK = 40  # levels of grey between a word and the paper


@dataclass(frozen=True)
class Letter:
    """A letter as it stands on a page, in pixels.

    Args:
        text: what it means, "" where nobody knows.
        left, right: its advance.
        base: the line that it stands on.
        above, below: how far from there its font's tall letters and hanging ones reach.
        em: size of its font.
        spaced: whether the text layer has a space before it.
    """

    text: str
    left: float
    right: float
    base: float
    above: float
    below: float
    em: float
    spaced: bool


def find_pdfs(places: Sequence[Path]) -> list[Path]:
    """The PDFs among these files and below these folders, each content once, in the order of their contents' hashes.

    Raises:
        ValueError: there is no such file or folder.
    """
    found: dict[str, Path] = {}
    for place in places:
        if not place.exists():
            raise ValueError(f"{place} is not there")
        files = [place] if place.is_file() else sorted(f for f in place.rglob("*") if f.name.endswith(SUFFIXES))
        for file in files:
            found.setdefault(hashlib.sha256(read_pdf(file)).hexdigest(), file)
    return [found[digest] for digest in sorted(found)]


def read_pdf(file: Path) -> bytes:
    """What is in a PDF's file, or in that of a packed one.

    Raises:
        ValueError: it is no PDF.
    """
    data = file.read_bytes()
    try:
        data = gzip.decompress(data) if file.suffix == ".gz" else data
    except (OSError, EOFError) as error:
        raise ValueError(f"{file} cannot be unpacked: {error}") from error
    if b"%PDF-" not in data[:1024]:
        raise ValueError(f"{file} is not a PDF")
    return data


def split_files(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Which files train, validate and test: an eighth each for the latter, by a hash of what is in them.

    Raises:
        ValueError: one of them gets none.
    """
    splits: dict[str, list[Path]] = {"train": [], "validation": [], "test": []}
    for file in files:
        digest = hashlib.sha256(read_pdf(file)).digest()
        splits[{0: "validation", 1: "test"}.get(digest[0] % 8, "train")].append(file)
    if empty := [split for split, chosen in splits.items() if not chosen]:
        raise ValueError(f"of {len(files)} PDFs none falls to {' and '.join(empty)}: give more of them")
    return splits


def draw_pages(files: Sequence[Path], total: int, seed: int, numbers: range) -> Iterator[PageSample]:
    """The pages of these numbers out of `total`; no page comes twice while there are others.

    Raises:
        ValueError: a file is damaged, or no page of them can be used.
    """
    import pypdfium2 as pdfium

    documents = [_opened(file) for file in files]
    try:
        rng = Random(f"pdf/{seed}")
        pages = []
        for document in documents:
            chosen = rng.sample(range(len(document)), min(PAGES_A_FILE, len(document)))
            pages += [(document, number) for number in chosen]
        rng.shuffle(pages)
        for number in numbers:
            rng = Random(f"pdf/{seed}/{number}")
            # a number's own pages first, every total-th from it on, then those of other numbers
            order = [i for start in range(total) for i in range((number + start) % total, len(pages), total)]
            for i in order:
                document, page = pages[i]
                try:
                    sample = draw_page(document, page, rng)
                except pdfium.PdfiumError:
                    continue  # a damaged page
                if sample is not None:
                    yield sample
                    break
            else:
                raise ValueError(f"none of {len(pages)} pages of {len(files)} PDFs has text that can be used")
    finally:
        with PDFIUM:
            for document in documents:
                document.close()


def _opened(file: Path) -> Any:
    import pypdfium2 as pdfium

    try:
        with PDFIUM:
            return pdfium.PdfDocument(read_pdf(file))
    except pdfium.PdfiumError as error:
        raise ValueError(f"{file} cannot be opened: {error}") from error


def draw_page(document: Any, number: int, rng: Random) -> PageSample | None:
    """A page at a random scale; None where its truth is not whole."""
    with PDFIUM:
        page = document[number]
        try:
            if _has_pictures(page):
                return None
            drawn = page.render(scale=rng.uniform(SMALLEST, LARGEST), grayscale=True)
            grey = np.array(drawn.to_numpy(), dtype=np.uint8).reshape(drawn.height, drawn.width)
            letters = read_letters(page, drawn.width, drawn.height)
        finally:
            page.close()
    if letters is None or len(letters) < FEWEST_LETTERS:
        return None
    lines = [_with_underscores(to_words(line), grey) for line in to_lines(letters)]
    # what is white on white or lies under something else cannot be seen
    lines = [[word for word in line if _has_ink(grey, word["box"])] for line in lines]
    return to_sample(grey, [line for line in lines if line], rng)


def _has_pictures(page: Any) -> bool:
    import pypdfium2.raw as pdfium

    width, height = page.get_size()
    for picture in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = picture.get_bounds()
        if (right - left) * (top - bottom) > PICTURE * width * height:
            return True
    return False


def _has_ink(grey: npt.NDArray[np.uint8], box: list[float]) -> bool:
    left, top, right, bottom = (max(0, round(edge)) for edge in box)
    inside = grey[top : bottom + 1, left : right + 1]
    return bool(inside.size) and int(inside.max()) - int(inside.min()) >= LEAST_INK


def _with_underscores(words: list[dict[str, Any]], grey: npt.NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Words that a rule joins are one, of a text that is not known: TeX draws underscores so; not one that goes on."""
    joined = words[:1]
    for word in words[1:]:
        before = joined[-1]["box"]
        start, stop = round(before[2]), round(word["box"][0])
        low = grey[round(before[3] - 0.4 * (before[3] - before[1])) : round(before[3]) + 1]
        dark = low < int(low.max(initial=0)) - LEAST_INK
        under = [dark[:, max(0, round(box[0])) : round(box[2])].mean(axis=1) for box in (before, word["box"])]
        bridge = dark[:, start + 1 : stop - 1].all(axis=1) & (np.maximum(*under) < 0.8)
        if stop - start > 2 and bridge.any():
            edges = np.array([before, word["box"]])
            box = [*edges[:, :2].min(axis=0).tolist(), *edges[:, 2:].max(axis=0).tolist()]
            joined[-1] = {"box": box, "text": ""}
        else:
            joined.append(word)
    return joined


def read_letters(page: Any, width: int, height: int) -> list[Letter] | None:
    """The letters of a page's text layer, in its order; None where they are rotated, invisible or mean nothing.

    Args:
        page: of pypdfium2.
        width: pixels that the page is drawn in.
        height: likewise.
    """
    import pypdfium2.raw as pdfium

    text_page = page.get_textpage()
    to_pixels = _page_matrix(page, width, height)
    letters: list[Letter] = []
    fonts: list[str] = []
    reach: dict[tuple[str, bool], list[float]] = defaultdict(list)  # em that tall and hanging letters of a font reach
    spaced, garbage = True, 0
    for i in range(text_page.count_chars()):
        code = pdfium.FPDFText_GetUnicode(text_page, i)
        character = "-" if pdfium.FPDFText_IsHyphen(text_page, i) == 1 else chr(code)
        if character.isspace() or pdfium.FPDFText_IsGenerated(text_page, i) == 1:
            spaced = True
            continue
        matrix = pdfium.FS_MATRIX()
        pdfium.FPDFText_GetMatrix(text_page, i, matrix)
        along = to_pixels[:, :2] @ (matrix.a, matrix.b)
        up = to_pixels[:, :2] @ (matrix.c, matrix.d)
        loose = text_page.get_charbox(i, loose=True)
        tight = text_page.get_charbox(i)
        em = float(pdfium.FPDFText_GetFontSize(text_page, i) * np.hypot(*up))
        corners = [to_pixels @ (x, y, 1) for x, y in (loose[:2], loose[2:], tight[:2], tight[2:])]
        if tight[2] <= tight[0] or tight[3] <= tight[1] or em <= 0:
            continue  # draws nothing
        if along[0] <= 0 or abs(along[1]) > 0.01 * along[0] or up[1] >= 0 or _is_invisible(text_page, i):
            return None
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(text_page, i, x, y)
        base = float((to_pixels @ (x.value, y.value, 1))[1])
        left, right = sorted(float(corner[0]) for corner in (corners[:2] if loose[2] > loose[0] else corners[2:]))
        top, bottom = sorted(float(corner[1]) for corner in corners[2:])
        meaning = to_meaning(character)
        if meaning is None or pdfium.FPDFText_HasUnicodeMapError(text_page, i) == 1:
            meaning, garbage = "", garbage + 1
        font = _font_name(text_page, i)
        if character in TALL:
            reach[font, True].append((base - top) / em)
        elif character in HANGING:
            reach[font, False].append((bottom - base) / em)
        # what hangs from its origin or stands far above it, as large braces do, is as high as it is
        odd = top < base - 1.15 * em or bottom > base + 0.6 * em
        above, below = (base - top, bottom - base) if odd else (math.nan, math.nan)
        if letters and (left, right, base) == (letters[-1].left, letters[-1].right, letters[-1].base):
            letters[-1] = replace(letters[-1], text=letters[-1].text and meaning and letters[-1].text + meaning)
            continue  # the other letters of a ligature
        letters.append(Letter(meaning, left, right, base, above, below, em, spaced))
        fonts.append(font)
        spaced = False
    if not letters or garbage > GARBAGE * len(letters):
        return None
    return [_with_reach(letter, font, reach) for letter, font in zip(letters, fonts, strict=True)]


def _with_reach(letter: Letter, font: str, reach: dict[tuple[str, bool], list[float]]) -> Letter:
    if not math.isnan(letter.above):
        return letter
    above = median(reach[font, True]) if reach[font, True] else ABOVE
    below = median(reach[font, False]) if reach[font, False] else BELOW
    return replace(letter, above=above * letter.em, below=below * letter.em)


def _page_matrix(page: Any, width: int, height: int) -> npt.NDArray[np.float64]:
    """(2, 3): a point of the page's own space, y upwards -> pixels; knows of cropping and of rotated pages."""
    import pypdfium2.raw as pdfium

    fine = 1024  # the library answers in whole pixels
    points = []
    for x, y in ((0.0, 0.0), (1000.0, 0.0), (0.0, 1000.0)):
        column, row = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, width * fine, height * fine, 0, x, y, column, row)
        points.append((column.value / fine, row.value / fine))
    origin, right, up = np.array(points)
    return np.stack([(right - origin) / 1000, (up - origin) / 1000, origin], axis=1)


def _is_invisible(text_page: Any, i: int) -> bool:
    import pypdfium2.raw as pdfium

    text_object = pdfium.FPDFText_GetTextObject(text_page, i)
    return bool(pdfium.FPDFTextObj_GetTextRenderMode(text_object) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)


def _font_name(text_page: Any, i: int) -> str:
    import pypdfium2.raw as pdfium

    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(text_page, i, name, 128, flags)
    return name.value.decode("utf-8", "replace")


def to_meaning(character: str) -> str | None:
    """What a letter of the text layer is in the vocabulary: ligatures are two, "" is one it lacks, None means nothing."""
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") or character == "\ufffd":
        return None
    if "\ufb00" <= character <= "\ufb06":
        character = unicodedata.normalize("NFKC", character)
    return "" if VOCABULARY.unknown(character) else character


def to_lines(letters: Sequence[Letter]) -> list[list[Letter]]:
    """Letters that stand on one base without a wide gap, each line from left to right; in the order they came."""
    runs: list[list[Letter]] = []
    for letter in letters:
        if runs and _follows(runs[-1][-1], letter, WIDE):
            runs[-1].append(letter)
        else:
            runs.append([letter])
    runs = _split_at_columns(runs)
    i = 0
    while i < len(runs):  # what was drawn out of order: a word in bold, a number set over the line
        behind = (j for j, run in enumerate(runs) if j != i and _follows(runs[i][-1], run[0], JOINED))
        if (j := next(behind, None)) is None:
            i += 1
            continue
        first, second = sorted((i, j))
        runs[first] = runs[i] + runs[j]
        del runs[second]
        i = first
    return runs


def _follows(one: Letter, other: Letter, widest: float) -> bool:
    """Whether one letter may stand before another in a line, at most `widest` em from it."""
    em = max(one.em, other.em)
    close = abs(one.base - other.base) < RAISED * max(one.above + one.below, other.above + other.below)
    return close and other.left >= one.left and -0.4 * em <= other.left - one.right <= widest * em


def _split_at_columns(runs: Sequence[list[Letter]]) -> list[list[Letter]]:
    """A gap of middle width is one between cells where other lines begin, behind a wide one, at the same place."""
    begins = [run[0].left for before, run in pairwise(runs) if _in_row(before[-1], run[0])]
    split: list[list[Letter]] = []
    for run in runs:
        split.append(run[:1])
        for before, letter in pairwise(run):
            em = max(before.em, letter.em)
            cell = letter.left - before.right > NARROW * em
            if cell and any(abs(begin - letter.left) < 0.1 * em for begin in begins):
                split.append([])
            split[-1].append(letter)
    return split


def _in_row(one: Letter, other: Letter) -> bool:
    return abs(one.base - other.base) < 0.1 * max(one.em, other.em) and other.left > one.right


def to_words(line: Sequence[Letter]) -> list[dict[str, Any]]:
    """A line's words, as training.shards has them; a text is "" where a letter of it is not known."""
    words: list[list[Letter]] = []
    for letter in line:
        before = words[-1][-1] if words else None
        gap = 0.0 if before is None else (letter.left - before.right) / max(before.em, letter.em)
        if before is None or gap > SPACE or (letter.spaced and gap > 0.05):
            words.append([])
        words[-1].append(letter)
    return [{"box": _box(word), "text": _text(word)} for word in words]


def _box(word: Sequence[Letter]) -> list[float]:
    return [
        min(letter.left for letter in word),
        min(letter.base - letter.above for letter in word),
        max(letter.right for letter in word),
        max(letter.base + letter.below for letter in word),
    ]


def _text(word: Sequence[Letter]) -> str:
    for one, other in pairwise(word):
        overlap = min(one.right, other.right) - max(one.left, other.left)
        if overlap > 0.5 * min(one.right - one.left, other.right - other.left):
            return ""  # an accent over its letter, a sign struck through
    return "".join(letter.text for letter in word) if all(letter.text for letter in word) else ""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, write the corpus and say how fast it went."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--pdf", type=Path, nargs="+", required=True, help="PDFs, packed by gzip or not, or folders")
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--samples", type=int, default=500, help="pages in all; a twentieth each validates and tests")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    if args.samples < 20 or args.processes < 1:
        parser.error("--samples must be at least 20, --processes at least 1")
    counts = split_counts(args.samples)
    try:
        files = split_files(find_pdfs(args.pdf))
        makers: dict[str, Maker] = {split: partial(draw_pages, files[split], counts[split]) for split in counts}
        made_of = {"pdfs": {split: digest_of_files(files[split]) for split in counts}}
        rate = write_corpus(args.out, makers, counts, args.seed, args.processes, made_of)
    except (ValueError, OSError) as error:
        sys.exit(f"training.pdf_pages: {error}")
    print(f"{args.samples} pages of {sum(map(len, files.values()))} PDFs in {args.out}: {rate:.1f} pages/s")


if __name__ == "__main__":
    main()
