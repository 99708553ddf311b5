"""Labels: those of one's own that may be wrong, and the pictures without one that are worth labelling first.

    python -m training.labels FOLDER --model english --out doubtful.html
    python -m training.labels PICTURES                         # none is labelled: writes PICTURES/labels.csv

Of a labelled corpus, every line that the model reads otherwise, first those whose label it finds least likely beside its
own reading; both are exact, summed over every alignment (simpleocr.likelihood). Of pictures without labels, each with
what is read in it, the least sure first (mean log-probability of a character, Shen et al. 2017, arXiv 1707.05928): correct
the column `text`, and the folder is what training.finetune learns from. It is a labelled corpus then: to read its pictures
anew, take the file away.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from simpleocr.crnn import CRNN
from simpleocr.image import InputError, load_image
from simpleocr.inference import for_inference
from simpleocr.inputs import SUFFIXES
from simpleocr.likelihood import NEVER, likelihoods
from simpleocr.modelfile import ModelError, write_atomically
from simpleocr.options import Parser
from simpleocr.preprocessing import line_to_tensor
from simpleocr.reader import DEFAULT_MODEL
from simpleocr.recognition import Reading, readings
from simpleocr.vocabulary import normalize
from training.data import DataError, label_file, open_corpus, picture
from training.sheet import Misread, gallery, visible

TABLE = "labels.csv"
CHUNK = 256  # pictures that are held at a time
DOUBT = math.log(100)  # a label is shown if the model finds its own reading so many times likelier
THUMBNAIL = (1000, 120)  # pixels at most


@dataclass(frozen=True)
class Doubt:
    """One label that may be wrong.

    Args:
        number: of its row; names may come twice.
        name: of its picture.
        label: what it is said to say.
        read: what the model reads.
        gap: how much likelier the model finds that, in nats; -NEVER where it cannot write the label.
        confidence: of the reading.
    """

    number: int
    name: str
    label: str
    read: str
    gap: float
    confidence: float

    def __str__(self) -> str:
        times = "cannot write the label" if self.gap == -NEVER else f"e^{self.gap:.0f} times likelier"
        return visible(f"{self.name}: labelled {self.label!r}, read {self.read!r}, {times}")


def doubts(network: CRNN, names: Sequence[str], images: Sequence[Image.Image], labels: Sequence[str]) -> list[Doubt]:
    """The labels that a network finds DOUBT less likely than what it reads, the least likely first, by their places.

    Raises:
        InputError: a line that is too wide for the network.
    """
    vocabulary, reader = network.vocabulary, for_inference(network)
    found = []
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        read = zip(names[part], labels[part], readings(reader, images[part]), strict=True)
        for number, (name, label, reading) in enumerate(read, start):
            gap = -NEVER
            if not vocabulary.unknown(label):
                (said,) = likelihoods([reading.log_probs], [vocabulary.encode(label)], vocabulary.space)
                gap = min(reading.likelihood.log_prob - said.log_prob, -NEVER)
            if normalize(reading.decoded.text) != label and gap > DOUBT:
                found.append(Doubt(number, name, label, reading.decoded.text, gap, math.exp(reading.log_confidence)))
    return sorted(found, key=lambda one: one.gap, reverse=True)


def surety(reading: Reading) -> float:
    """The mean logarithm of a character's probability; that there is none counts as one."""
    return reading.log_confidence / max(1, len(reading.decoded.text))


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that are pictures by their names."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES - {".pdf"} and file.is_file())


def prelabelled(network: CRNN, files: Sequence[Path]) -> tuple[list[tuple[str, str, float]], list[str]]:
    """(file name, what is read, confidence) of every picture, the least sure first; and what cannot be read, and why."""
    rows: list[tuple[float, str, str, float]] = []
    faults, reader = [], for_inference(network)
    for start in range(0, len(files), CHUNK):
        names, images = [], []
        for file in files[start : start + CHUNK]:
            try:
                image = load_image(file)
                line_to_tensor(image, network.preprocessing)
            except InputError as error:
                faults.append(f"{file.name}: {error}")
                continue
            names.append(file.name)
            images.append(image)
        for name, reading in zip(names, readings(reader, images), strict=True):
            rows.append((surety(reading), name, reading.decoded.text, math.exp(reading.log_confidence)))
    return [row[1:] for row in sorted(rows)], faults


def name_of(row: dict[str, Any], number: int) -> str:
    """What to call a row of a corpus."""
    path = row["image"].get("path") if isinstance(row["image"], dict) else None
    return Path(path).name if path else f"row {number}"


def labelled(corpus: Any, network: CRNN) -> Iterator[tuple[int, str, Image.Image, str]]:
    """(number, name, picture, label) of every row that has both and that a network can read."""
    for number, row in enumerate(corpus):
        try:
            image = picture(row)
            line_to_tensor(image, network.preprocessing)
        except InputError:
            continue
        if isinstance(row["text"], str):
            yield number, name_of(row, number), image, normalize(row["text"])


def check_labels(network: CRNN, corpus: Any) -> tuple[list[Doubt], int]:
    """doubts() of a corpus, and how many of its rows could be read; CHUNK pictures are held at a time."""
    found: list[Doubt] = []
    count, rows = 0, labelled(corpus, network)
    while chunk := [*islice(rows, CHUNK)]:
        numbers, names, images, labels = zip(*chunk, strict=True)
        found += [replace(one, number=numbers[one.number]) for one in doubts(network, names, images, labels)]
        count += len(chunk)
    return sorted(found, key=lambda one: one.gap, reverse=True), count


def page(found: Sequence[Doubt], corpus: Any) -> str:
    """The doubtful labels of a corpus as HTML, with their pictures."""
    rows = []
    for one in found:
        small, file = picture(corpus[one.number]).convert("RGB"), BytesIO()
        small.thumbnail(THUMBNAIL)
        small.save(file, "PNG")
        rows.append(Misread(one.name, one.label, one.read, one.confidence, file.getvalue()))
    note = "Above what the label says, below what the model reads; the least likely label first."
    return gallery("Labels that may be wrong", note, rows)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Command line -> settings."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("folder", help="a labelled corpus as training.finetune takes it, or a folder of pictures")
    parser.add_argument("--split", default="train", help="of a corpus that has several")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--top", type=int, default=20, help="lines that are printed")
    parser.add_argument("--out", type=Path, help="an HTML file for the doubtful labels and their pictures")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Rank what is labelled, or read what is not.

    Raises:
        DataError, ModelError, InputError, ValueError, OSError: what was given cannot be used.
    """
    network, folder = CRNN.from_pretrained(args.model), Path(args.folder)
    files = pictures_in(folder) if folder.is_dir() and not label_file(folder) else []
    if not files:
        corpus = open_corpus(args.folder, args.split)
        found, count = check_labels(network, corpus)
        print(f"{count} labels, {len(found)} of them a hundred times less likely than what is read")
        for one in found[: args.top]:
            print(f"  {one}")
        if args.out:
            args.out.write_text(page(found, corpus), encoding="utf-8")
        return
    out = folder / TABLE
    rows, faults = prelabelled(network, files)
    if not rows:
        raise DataError(f"no picture in {folder} can be read: {'; '.join(faults[:3])}")
    text = StringIO()
    table = csv.writer(text)
    table.writerow(("file_name", "text", "confidence"))
    table.writerows((name, read, f"{sure:.4f}") for name, read, sure in rows)
    write_atomically(out, text.getvalue().encode())
    print(f"{len(rows)} pictures read into {out}, the least sure first; {len(faults)} cannot be read")
    for fault in faults[: args.top]:
        print(f"  {visible(fault)}")
    for name, read, sure in rows[: args.top]:
        print(f"  {visible(f'{name}: {read!r} {sure:.2f}')}")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, rank or read, and turn what the user can mend into one sentence."""
    args = parse(argv)
    try:
        run(args)
    except (DataError, ModelError, InputError, ValueError, OSError) as error:
        sys.exit(f"training.labels: {error}")


if __name__ == "__main__":
    main()
