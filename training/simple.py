"""Simple pictures: a suite that any recognizer should read, rendered the same everywhere; written, and read with a model.

    python -m training.simple --out corpora/simple --model english
    python -m training.simple --out corpora/simple --model english --peers     other systems that are installed read it, too

Its fonts are those that come with matplotlib. Every picture can be told: letters that look alike alone stand in a font
that tells them apart, and with the height of their line around them.
"""

import argparse
import csv
import os
import string
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simpleocr.image import load_image
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.reader import OCR
from simpleocr.runtimes import RUNTIMES
from simpleocr.vocabulary import normalize
from training.peers import Peer, ReadMany, others, own, own_name

SANS, SERIF, MONO = "DejaVuSans", "DejaVuSerif", "DejaVuSansMono"
FAMILIES = (SANS, SERIF, MONO)
SENTENCES = (
    "The quick brown fox jumps over the lazy dog, and nobody minds it.",
    "Invoice 2041 of 17 March 2026: three boxes at $12.50 each, paid in cash on delivery.",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
    "Please return this form by 31 May to the office at 48 Elm Street; forms that come later cannot be taken into account.",
    "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, and nothing "
    "particular to interest me on shore.",
    "There was nothing so very remarkable in that; nor did Alice think it so very much out of the way to hear the Rabbit "
    "say to itself, Oh dear! Oh dear! I shall be late! when she thought it over.",
)
WORDS = ("Hello", "world", "Street", "OPEN", "Exit", "coffee", "Total", "Receipt", "MARKET", "2026")


@dataclass(frozen=True)
class Picture:
    """One of the suite.

    Args:
        category: what is tried.
        text: what it says.
        image: of any mode that a PNG can have.
    """

    category: str
    text: str
    image: Image.Image


def line(
    text: str,
    family: str = SANS,
    size: int = 32,
    *,
    bold: bool = False,
    ink: int = 0,
    ground: int = 255,
    margins: tuple[int, int] = (4, 2),
    tight: bool = False,
) -> Image.Image:
    """Text in one line, mode "L".

    Args:
        text: what is written.
        family: of FAMILIES.
        size: em in pixels.
        bold: whether it is.
        ink: grey of the letters.
        ground: grey of the rest.
        margins: pixels left and right, above and below.
        tight: margins are around the ink instead of the line's height.
    """
    file = Path(mpl.get_data_path(), "fonts", "ttf", f"{family}{'-Bold' if bold else ''}.ttf")
    font = ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)
    ascent, descent = font.getmetrics()
    left, top, right, bottom = font.getbbox(text, anchor="ls") if tight else (0, -ascent, font.getlength(text), descent)
    across, up = margins
    image = Image.new("L", (round(right - left) + 2 * across, round(bottom - top) + 2 * up), ground)
    ImageDraw.Draw(image).text((across - left, up - top), text, ink, font=font, anchor="ls")
    return image


def alone() -> Iterator[Picture]:
    """Single characters, with the height of their line around them."""
    for family in FAMILIES:
        for c in string.digits + string.ascii_letters:
            if family == SANS and c in "Il":  # two bars of almost one height
                continue
            yield Picture("digit" if c.isdigit() else "letter", c, line(c, family))
    for family in (SANS, MONO):
        for c in "!?#$%&*+=@/-.,:;()[]{}<>\"'€£":
            yield Picture("punctuation", c, line(c, family))


def words() -> Iterator[Picture]:
    """Words as they are met: polarity, size, margins."""
    for i, word in enumerate(WORDS):
        family = FAMILIES[i % 3]
        yield Picture("plain", word, line(word, family))
        yield Picture("bold", word, line(word, family, bold=True))
        yield Picture("light on dark", word, line(word, family, ink=255, ground=0))
        yield Picture("faint", word, line(word, family, ink=205, ground=225))
        yield Picture("8 pixels", word, line(word, SANS if i % 2 else SERIF, 9, margins=(2, 0)))
        yield Picture("large", word, line(word, family, 160, margins=(20, 10)))
        yield Picture("tight", word, line(word, family, margins=(0, 0), tight=True))
        yield Picture("loose", word, line(word, family, margins=(40, 24)))
        yield Picture("very loose", word, line(word, family, margins=(60, 40)))
        yield Picture("upside down", word, line(word, family).transpose(Image.Transpose.ROTATE_180))
        if len(word) > 4:
            yield Picture("upwards", word, line(word, family).transpose(Image.Transpose.ROTATE_90))
            yield Picture("downwards", word, line(word, family).transpose(Image.Transpose.ROTATE_270))


def repeats() -> Iterator[Picture]:
    """Runs of one character, which CTC can merge."""
    for text in (
        "1111",
        "www",
        "0000",
        "lll",
        "mmm",
        "oo",
        "....",
        "-----",
        "AAA",
        "777",
        "eee",
        "111111",
        "1100",
        "ooo",
    ):
        yield Picture("repeats", text, line(text, MONO if text == "lll" else SANS))
        yield Picture("repeats", text, line(text, MONO))


def look_alikes() -> Iterator[Picture]:
    """I, l, 1, | and O, 0 where their neighbours or their shape tell them apart."""
    for text in (
        "Illinois",
        "bill",
        "100",
        "1st",
        "All",
        "Oil",
        "Old",
        "2010",
        "London",
        "Hello",
        "INN",
        "10:01",
        "lot",
    ):
        for family in FAMILIES:
            yield Picture("look-alikes", text, line(text, family))
    for text in ("I1l|", "O0o", "A|B", "l1I", "0O1l"):
        yield Picture("look-alikes", text, line(text, MONO))


def lines() -> Iterator[Picture]:
    """Whole lines, and spaces that are wide: one is read."""
    for text in SENTENCES:
        for family in FAMILIES:
            yield Picture("line", text, line(text, family, 24))
    for family in FAMILIES:
        for text in ("two  spaces", "three   spaces", "in  each  gap"):
            yield Picture("double spaces", " ".join(text.split()), line(text, family))


def modes() -> Iterator[Picture]:
    """The same in other kinds of PNG."""
    for i, word in enumerate(WORDS):
        grey = line(word, FAMILIES[i % 3])
        transparent = Image.new("RGBA", grey.size, (0, 0, 0, 0))
        transparent.putalpha(Image.eval(grey, lambda v: 255 - v))
        yield Picture("transparent", word, transparent)
        deep = np.asarray(grey).astype(np.uint16)
        yield Picture("16 bits", word, Image.fromarray(20_000 + deep * 100))
        yield Picture("two colours", word, grey.point(lambda v: 255 * (v > 127)).convert("1"))


def empty() -> Iterator[Picture]:
    """No text: paper, darkness, a ramp, noise, a stripe."""
    rng = np.random.default_rng(0)
    for size in ((120, 32), (400, 32), (40, 40)):
        for grey in (255, 0, 128):
            yield Picture("empty", "", Image.new("L", size, grey))
        ramp = np.tile(np.linspace(60, 220, size[0]), (size[1], 1))
        yield Picture("empty", "", Image.fromarray(ramp.astype(np.uint8)))
        for strength in (3, 20):
            grain = 200 + strength * rng.standard_normal((size[1], size[0]))
            yield Picture("empty", "", Image.fromarray(grain.clip(0, 255).astype(np.uint8)))


def suite() -> Iterator[Picture]:
    """All pictures, in an order that does not change."""
    for part in (alone, words, repeats, look_alikes, lines, modes, empty):
        yield from part()


def write_suite(out: Path) -> int:
    """Write pictures and metadata.csv (file_name, text, category); returns how many."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, picture in enumerate(suite()):
        name = f"{number:04d}.png"
        picture.image.save(out / name)
        rows.append((name, picture.text, picture.category))
    with (out / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "text", "category"), *rows])
    return len(rows)


def read_suite(out: Path, read: ReadMany) -> dict[str, list[tuple[str, str]]]:
    """(text, what was read) of each category.

    Args:
        out: where write_suite() wrote it.
        read: pictures as load_image gives them -> what they say.
    """
    with (out / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = read([load_image(out / row["file_name"]) for row in rows])
    found = defaultdict(list)
    for row, text in zip(rows, texts, strict=True):
        found[row["category"]].append((row["text"], normalize(text)))
    return dict(found)


def as_pages(model: str, runtime: str) -> Peer:
    """This project's reader, called with each picture as with a page, of which it has to find the lines."""
    ocr = OCR.from_pretrained(model, runtime=runtime)
    return Peer(f"{own_name(model, runtime, retry=True)}, as pages", lambda image: ocr(image).text, None, ours=True)


def one_by_one(peer: Peer) -> ReadMany:
    """The reading of several for a system, whether or not it has a call for that."""
    return peer.many or (lambda images: [peer.one(image) for image in images])


def wrong(found: dict[str, list[tuple[str, str]]]) -> list[str]:
    """A line for each category: how many were read right, and some that were not."""
    rows = []
    for category, pairs in found.items():
        misread = [f"{text!r} as {read!r}" for text, read in pairs if text != read]
        rows.append(f"{category:15} {len(pairs) - len(misread):4} of {len(pairs):4}  {'; '.join(misread[:6])}")
    return rows


def side_by_side(found: dict[str, dict[str, list[tuple[str, str]]]]) -> str:
    """What systems read right, by category and in all.

    Args:
        found: by system, what read_suite() gave.
    """
    systems = list(found)
    rows = [f"{'':15} pictures" + "".join(f"  {name[:26]:>26}" for name in systems)]
    for category in [*found[systems[0]], "all"]:
        pairs = [found[name].get(category) or list(chain(*found[name].values())) for name in systems]
        shares = (sum(text == read for text, read in of) / len(of) for of in pairs)
        rows.append(f"{category:15} {len(pairs[0]):8}" + "".join(f"  {share:26.3f}" for share in shares))
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, write the suite and, with a model, read it."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--model", help="a folder, a file, a shipped model or a Hub repository to read them with")
    parser.add_argument("--runtime", choices=[*RUNTIMES], default="torch")
    parser.add_argument("--peers", action="store_true", help="read them with the other systems that are installed, too")
    args = parser.parse_args(argv)
    if args.peers and args.model is None:
        parser.error("--peers needs --model")
    try:
        count = write_suite(args.out)
        print(f"{count} pictures in {args.out}")
        if args.model is None:
            return
        ours = [own(args.model, args.runtime, retry=True), as_pages(args.model, args.runtime)]
        systems = [*ours, *(others(os.cpu_count() or 1) if args.peers else [])]
        found = {system.name: read_suite(args.out, one_by_one(system)) for system in systems}
    except (ModelError, OSError) as error:
        sys.exit(f"training.simple: {error}")
    for name, of in found.items():
        print("\n".join([name, *wrong(of)]))
    if args.peers:
        print(side_by_side(found))
    for system in ours:
        right = sum(text == read for pairs in found[system.name].values() for text, read in pairs)
        print(f"{system.name}: {right} of {count} exact: {right / count:.4f}")


if __name__ == "__main__":
    main()
