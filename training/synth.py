"""Render a corpus: word and line crops with their texts, written as a `datasets` corpus.

    python -m training.synth --out DIR --samples N --fonts DIR... --text FILE... --backgrounds DIR...

Sample i of a seed is the same picture whatever the number of processes: every draw comes from (seed, i). Given
the same fonts and the same Pillow, that is: one without libraqm kerns pairs by fewer of a font's tables.
"""

import argparse
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import cv2
from tqdm import tqdm

from simpleocr.options import Parser
from simpleocr.vocabulary import VOCABULARIES, Vocabulary
from training.backgrounds import load_photos
from training.claim import claim, claimed, digest, digest_of_files
from training.corpus import load_corpus
from training.fonts import HANDWRITING, Face, categories, family, find_fonts, held_out
from training.render import EFFECTS, EM, Source, encode, render_empty, render_line
from training.shards import line_features, write_shard
from training.texts import KINDS, can_be_written, sample_text

FONT_BLOCK = 32  # successive samples share a font, so that its glyphs are rasterised once
FONT_BLOCK_HELD_OUT = 4  # of validation and test: a few hundred samples must show many fonts, not a dozen
SLANTED = re.compile("ital|obli|slant", re.IGNORECASE)
SHARD = 4096  # samples a file
EMPTY_SHARE = 0.02  # pictures without text: the model learns to say nothing


def render_block(source: Source, seed: int, block: int, count: int) -> Iterator[tuple[bytes, str, int, int]]:
    """The samples of one font block: (file bytes, text, width, height) each."""
    rng = Random(f"{seed}/{block}")
    face = _face(source.fonts, rng)
    for i in range(count):
        rng = Random(f"{seed}/{block}/{i}")
        if rng.random() < EMPTY_SHARE:
            text, image = "", render_empty(source, rng)
        else:
            text = _text_for(face, source, rng)
            image = render_line(text, face, source, rng)
        yield encode(image, rng), text, image.shape[1], image.shape[0]


def _face(fonts: Sequence[Path], rng: Random) -> Face:
    """A font that opens and draws most letters; a broken file is passed over, and so is every other italic one.

    Families have as many slanted files as upright ones, but signs and pages do not.
    """
    for _ in range(1000):
        file = rng.choice(fonts)
        if SLANTED.search(file.stem) and rng.random() < 0.5:
            continue
        try:
            face = Face(file, EM)
            if sum(face.draws(c) for c in "AEKRSaegknrst0123") >= 15:
                return face
        except OSError:
            continue
    raise ValueError(f"none of {len(fonts)} fonts draws Latin letters")


def _text_for(face: Face, source: Source, rng: Random) -> str:
    """A text that the font can draw and whose label can be told from the picture."""
    for _ in range(50):
        text = sample_text(source.corpus, source.vocabulary, rng, source.kinds)
        if face.capitals_only:
            text = text.upper()
        if not source.vocabulary.unknown(text) and all(face.draws(c) for c in set(text)):
            return text
    drawn = [c for c in source.vocabulary.characters if c != " " and face.draws(c)]
    if face.capitals_only:
        drawn = [c for c in drawn if c == c.upper()]
    return "".join(rng.choices(drawn, k=4)) if drawn else ""


# One source a process: handed over once, not with every shard.
_worker: dict[str, Source] = {}


def _start_worker(source: dict[str, Source]) -> None:
    import datasets

    datasets.disable_progress_bars()
    cv2.setNumThreads(1)
    _worker.update(source)


def _write_shard(job: tuple[str, int, int, int, str]) -> int:
    """Render samples first..first+count of one split into a parquet file; returns count."""
    from datasets import Dataset

    split, seed, first, count, path = job
    images, texts, widths, heights = [], [], [], []
    size = FONT_BLOCK if split == "train" else FONT_BLOCK_HELD_OUT
    for start in range(first, first + count, size):
        block = render_block(_worker[split], seed, start // size, min(size, first + count - start))
        for data, text, width, height in block:
            images.append({"bytes": data, "path": None})
            texts.append(text)
            widths.append(width)
            heights.append(height)
    columns = {"image": images, "text": texts, "width": widths, "height": heights}
    write_shard(Dataset.from_dict(columns, features=line_features()), Path(path))
    return count


def shards(out: Path, counts: Mapping[str, int]) -> Iterator[tuple[str, int, Path]]:
    """(split, number of its first sample, file) of every shard of a corpus of `counts` samples."""
    for split, count in counts.items():
        files = max(1, -(-count // SHARD))
        for shard in range(files):
            yield split, shard * SHARD, out / "data" / f"{split}-{shard:05d}-of-{files:05d}.parquet"


def write_corpus(
    out: Path, sources: dict[str, Source], counts: dict[str, int], seed: int, processes: int, progress: bool = True
) -> float:
    """Write `counts` samples of each split below `out`; returns samples a second, 0 where all were there.

    The result is what `datasets.load_dataset(str(out))` reads: columns image, text, width, height. Shards that are
    already there are kept, so that an interrupted run goes on.

    Raises:
        ValueError: the folder holds another corpus, or no font draws Latin letters.
        OSError: the folder cannot be written.
    """
    (out / "data").mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "seed": seed,
        "counts": counts,
        "strengths": {split: sources[split].strength for split in counts},
    }
    without = {split: sorted(source.without) for split, source in sources.items() if source.without}
    if without:
        settings["without"] = without
    if kinds := {split: sorted(sources[split].kinds) for split in counts if sources[split].kinds}:
        settings["kinds"] = kinds
    of_each = {split: made_of(sources[split]) for split in counts}
    for name in ("text", "fonts", "backgrounds", "vocabulary"):
        settings[name] = {split: of[name] for split, of in of_each.items()}
    claim(out, settings)
    jobs = [
        (split, seed * 10 + [*counts].index(split), first, min(SHARD, counts[split] - first), str(path))
        for split, first, path in shards(out, counts)
        if not path.exists()
    ]
    if not jobs:
        return 0.0  # processes that find nothing to do take seconds to begin
    started, done = time.perf_counter(), 0
    with (
        tqdm(total=sum(job[3] for job in jobs), unit="sample", disable=not progress) as bar,
        multiprocessing.get_context("spawn").Pool(processes, _start_worker, (sources,)) as pool,
    ):
        for count in pool.imap_unordered(_write_shard, jobs):
            done += count
            bar.update(count)
        pool.close()  # let the workers end by themselves: leaving the block kills them
        pool.join()
    return done / max(1e-9, time.perf_counter() - started)


def is_whole(out: Path) -> bool:
    """Whether a folder holds all shards of the corpus that write_corpus() began there.

    Raises:
        ValueError: what says which corpus that is cannot be read.
    """
    counts: dict[str, int] = claimed(out).get("counts", {})
    return bool(counts) and all(path.exists() for _, _, path in shards(out, counts))


def made_of(source: Source) -> dict[str, str]:
    """What tells one source from another, by name: digests."""
    return {
        "text": digest([*source.corpus.words, "", *source.corpus.running]),
        "fonts": digest_of_files(source.fonts),
        "backgrounds": digest(part for photo in source.photos for part in (str(photo.shape), photo.tobytes())),
        "vocabulary": digest([source.vocabulary.characters]),
    }


def sources(
    fonts: Sequence[Path],
    text: Sequence[Path],
    backgrounds: Sequence[Path],
    vocabulary: Vocabulary,
    strength: float,
    without: Collection[str] = (),
    handwriting: int = 1,
    kinds: Sequence[str] = (),
) -> dict[str, Source]:
    """The sources of the three splits: validation and test have fonts that training never sees.

    Args:
        fonts: folders of them, beside the system's.
        text: files of running text or frequency lists.
        backgrounds: folders of photographs.
        vocabulary: characters that texts may have.
        strength: of the hardest samples, 0..1.
        without: those of EFFECTS that what is trained on lacks.
        handwriting: how many times as often as another a font of handwriting is trained on.
        kinds: those of KINDS that texts are of; none: all.

    Raises:
        ValueError: a folder or file that is missing, or holds nothing of use.
    """
    corpus, photos, files = load_corpus(text), load_photos(backgrounds), find_fonts(fonts)
    if nothing := [kind for kind in kinds if not can_be_written(kind, corpus, vocabulary)]:
        raise ValueError(f"the vocabulary has no character for texts of the kind {', '.join(nothing)}")
    kept = [f for f in files if held_out(f)] or files
    seen = [f for f in files if not held_out(f)] or files
    if handwriting > 1:
        known = categories(fonts)
        seen = [f for f in seen for _ in range(handwriting if known.get(family(f)) == HANDWRITING else 1)]
    train = Source(corpus, seen, photos, vocabulary, strength, frozenset(without), kinds)
    unseen = Source(corpus, kept, photos, vocabulary, strength, kinds=kinds)
    return {"train": train, "validation": unseen, "test": unseen}


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, write the corpus and say how fast it went."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    parser.add_argument(
        "--samples", type=int, default=20_000, help="samples in all; a fiftieth each validates and tests"
    )
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders of fonts, beside the system's")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="text files: running text or frequency lists")
    parser.add_argument("--backgrounds", type=Path, nargs="*", default=[], help="folders of photographs")
    parser.add_argument(
        "--vocabulary", choices=sorted(VOCABULARIES), default="english", help="characters that texts may have"
    )
    parser.add_argument(
        "--kinds", nargs="*", default=[], choices=list(KINDS), metavar="KIND", help=f"of texts: {', '.join(KINDS)}"
    )
    parser.add_argument("--strength", type=float, default=1.0, help="0 clean print .. 1 every effect")
    parser.add_argument(
        "--without",
        nargs="*",
        default=[],
        choices=list(EFFECTS),
        metavar="EFFECT",
        help="left out of what is trained on; " + "; ".join(f"{name}: {what}" for name, what in EFFECTS.items()),
    )
    parser.add_argument(
        "--handwriting",
        type=int,
        default=1,
        metavar="TIMES",
        help="how often a font of handwriting is trained on beside another; a categories.tsv in a folder of fonts tells",
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same corpus, bit for bit")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    if args.samples < 50:
        parser.error("--samples must be at least 50: a fiftieth each validates and tests")
    if args.handwriting < 1:
        parser.error("--handwriting must be at least 1")
    if args.processes < 1:
        parser.error("--processes must be at least 1")
    if not 0 <= args.strength <= 1:
        parser.error("--strength must be in 0..1")
    rest = args.samples // 50
    counts = {"train": args.samples - 2 * rest, "validation": rest, "test": rest}
    try:
        of_splits = sources(
            args.fonts,
            args.text,
            args.backgrounds,
            VOCABULARIES[args.vocabulary],
            args.strength,
            args.without,
            args.handwriting,
            args.kinds,
        )
        rate = write_corpus(args.out, of_splits, counts, args.seed, args.processes)
    except (ValueError, OSError) as error:
        sys.exit(f"training.synth: {error}")
    how_fast = f"{rate:.0f} samples/s" if rate else "all were there"
    print(f"{args.samples} samples in {args.out} from {len(of_splits['train'].fonts)} fonts: {how_fast}")


if __name__ == "__main__":
    main()
