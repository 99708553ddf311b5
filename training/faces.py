"""Faces: clean lines of running text in every font family that training never saw, and how well each family is read.

    python -m training.faces --fonts fonts --text books --model english --out reports
    python -m training.faces --fonts fonts --text books --peers         # Tesseract and PP-OCR read the same lines
    python -m training.faces --fonts fonts --text books --plain 40      # as the faces have them, 40 pixels, black on white

Clean lines have no degradations, but what the renderer always does: they are squeezed and spread, 13 to 52 pixels high,
light on dark and faint. Plain ones are drawn by Pillow alone.

Every family counts the same, whatever the number of its files, so that the figure does not hang on which fonts a draw
holds. A file categories.tsv in a folder of fonts (file stem up to "-latin", tab, category; training/runs/fonts.sh writes
it) tells print from handwriting; families it does not name are "other".
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from simpleocr import metrics
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.reader import OCR
from simpleocr.vocabulary import VOCABULARIES, normalize
from training.backgrounds import load_photos
from training.contact import cell, contact_sheet
from training.corpus import Corpus, load_corpus
from training.fonts import HANDWRITING, Face, categories, family, find_fonts, held_out
from training.peers import others
from training.render import EM, Source, render_line

SHEET_ROWS = 30
THREADS = 2  # of the other systems


@dataclass(frozen=True)
class Line:
    """One line that was rendered.

    Args:
        family: of its font.
        text: what it says.
        image: grey.
    """

    family: str
    text: str
    image: Image.Image


@dataclass(frozen=True)
class Figures:
    """What was read of some lines.

    Args:
        families, lines: how many.
        cer: edits over characters.
        exact: share of lines read to the letter.
    """

    families: int
    lines: int
    cer: float
    exact: float


def running_text(corpus: Corpus, face: Face, rng: Random) -> str:
    """Neighbouring words of the running text that the face can draw; "" where there are none."""
    for _ in range(50):
        text = normalize(corpus.span(rng, rng.randint(3, 9)))
        text = text.upper() if face.capitals_only else text
        if text and not VOCABULARIES["english"].unknown(text) and all(face.draws(c) for c in set(text)):
            return text
    return ""


def plain_line(text: str, file: Path, pixels: int) -> Image.Image:
    """A text as its face has it, joined and kerned, black on white with a little room around it.

    Args:
        text: what is drawn.
        file: a font.
        pixels: to the em.
    """
    font = ImageFont.truetype(str(file), pixels)
    left, top, right, bottom = (round(v) for v in font.getbbox(text))
    room = round(0.2 * pixels)
    image = Image.new("L", (right - left + 2 * room, bottom - top + 2 * room), 255)
    ImageDraw.Draw(image).text((room - left, room - top), text, 0, font=font)
    return image


def clean_lines(source: Source, count: int, seed: int, plain: int = 0) -> Iterator[Line]:
    """`count` lines in each family of the source's fonts, its files in turn; plain ones of so many pixels, if any."""
    files = defaultdict(list)
    for file in source.fonts:
        files[family(file)].append(file)
    for name, members in sorted(files.items()):
        rng = Random(f"{seed}/{name}")
        for i in range(count):
            try:
                face = Face(members[i % len(members)], EM)
                text = running_text(source.corpus, face, rng)
            except OSError:  # a broken file
                continue
            if text:
                drawn = plain_line(text, face.file, plain) if plain else None
                yield Line(name, text, drawn or Image.fromarray(render_line(text, face, source, rng)))


def figures(lines: Sequence[Line], read: Sequence[str]) -> Figures:
    """Of lines and what was read of them."""
    targets = [line.text for line in lines]
    return Figures(
        len({line.family for line in lines}),
        len(lines),
        metrics.cer(predictions=read, targets=targets),
        metrics.exact_match(predictions=read, targets=targets, normalisation="raw"),
    )


def by_group(lines: Sequence[Line], read: Sequence[str], known: Mapping[str, str]) -> dict[str, Figures]:
    """Figures of all lines, of print and handwriting, of each category and of each family.

    Args:
        lines: what was rendered.
        read: what was read of each.
        known: category of each family; those it lacks are "other".
    """
    groups: dict[str, list[tuple[Line, str]]] = defaultdict(list)
    for pair in zip(lines, read, strict=True):
        kind = known.get(pair[0].family, "other")
        for group in ("all", "handwriting" if kind == HANDWRITING else "print", f"  {kind}", f"    {pair[0].family}"):
            groups[group].append(pair)
    return {name: figures([line for line, _ in pairs], [text for _, text in pairs]) for name, pairs in groups.items()}


def table(found: Mapping[str, Figures]) -> str:
    """Groups of lines below each other, the worst families first."""
    rows = [f"{'':36} families  lines     CER   exact"]
    for name, one in sorted(found.items(), key=lambda item: (item[0].startswith("    "), -item[1].cer)):
        rows.append(f"{name:36} {one.families:8} {one.lines:6} {one.cer:7.4f} {one.exact:7.3f}")
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, render, read, print by category and by family, write a sheet of the worst."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="english")
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders of fonts, beside the system's")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="text files with running text")
    parser.add_argument("--lines", type=int, default=12, help="of each family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", type=int, default=0, metavar="PIXELS", help="drawn by Pillow alone, so large an em")
    parser.add_argument("--peers", action="store_true", help="have the other systems that are installed read them, too")
    parser.add_argument("--out", type=Path, help="folder for faces.json and faces.png, the lines read worst")
    args = parser.parse_args(argv)
    if args.lines < 1:
        parser.error("--lines must be at least 1")
    if args.plain < 0 or 0 < args.plain < 8:
        parser.error("--plain must be at least 8 pixels, or 0 for rendered lines")
    try:
        ocr = OCR.from_pretrained(args.model)
        fonts = [file for file in find_fonts(args.fonts) if held_out(file)]
        corpus = load_corpus(args.text)
        source = Source(corpus, fonts, load_photos([]), VOCABULARIES["english"], strength=0.0)
        lines = list(clean_lines(source, args.lines, args.seed, args.plain))
        known = categories(args.fonts)
    except (ModelError, ValueError, OSError) as error:
        sys.exit(f"training.faces: {error}")
    if not lines:
        sys.exit("training.faces: no family that training never saw has letters")
    read = [line.text for line in ocr.recognize([line.image for line in lines])]
    found = by_group(lines, read, known)
    print(table(found))
    beside = {}
    for peer in others(THREADS) if args.peers else ():
        texts = [normalize(peer.one(line.image)) for line in lines]
        beside[peer.name] = {k: v for k, v in by_group(lines, texts, known).items() if not k.startswith("    ")}
        print(f"\n{peer.name}\n{table(beside[peer.name])}")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        report = {
            "model": args.model,
            "seed": args.seed,
            "plain": args.plain,
            "figures": {n.strip(): asdict(f) for n, f in found.items()},
            "peers": {name: {n.strip(): asdict(f) for n, f in one.items()} for name, one in beside.items()},
        }
        (args.out / "faces.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        worst = sorted(
            zip(lines, read, strict=True), key=lambda p: -metrics.cer(predictions=[p[1]], targets=[p[0].text])
        )
        cells = [cell(line.image, f"{line.family}: {text}") for line, text in worst[: 4 * SHEET_ROWS]]
        columns = [cells[i : i + SHEET_ROWS] for i in range(0, len(cells), SHEET_ROWS)]
        contact_sheet(columns, ["read worst", *[""] * (len(columns) - 1)]).save(args.out / "faces.png")


if __name__ == "__main__":
    main()
