"""Supply: the lines that a run trains on and those it validates on, as its settings say; what is told of bad ones."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from simpleocr.crnn import CRNN
from simpleocr.image import InputError
from simpleocr.vocabulary import normalize
from training import synth
from training.batches import HELD_OUT, Lines
from training.checking import Checker
from training.data import DataError, NoSplitError, label_file, open_corpus, picture
from training.fresh import FreshLines, Recipe
from training.outcome import Samples
from training.render import Source
from training.settings import SettingError
from training.streaming import StreamedLines

DEFAULT_CORPUS = Path("corpora/default")


def ensure_corpus(args: argparse.Namespace, accelerator: Accelerator) -> None:
    """Without --dataset, render a corpus from what is on this machine, once; one that was cut off is gone on with.

    Raises:
        SettingError: nobody can tell what corpus is there.
    """
    if args.dataset is None and not args.render:
        args.dataset = [str(DEFAULT_CORPUS)]
        if accelerator.is_main_process:
            try:
                whole = synth.is_whole(DEFAULT_CORPUS)
            except ValueError as error:
                raise SettingError(str(error)) from error
            # one that is whole is not asked for again: fonts that are new on this machine would make it another
            if whole:
                print(f"no --dataset: training on {DEFAULT_CORPUS}, rendered before")
            else:
                print(f"no --dataset: rendering a corpus into {DEFAULT_CORPUS}")
                synth.main(["--out", str(DEFAULT_CORPUS)])
        accelerator.wait_for_everyone()


def sources(args: argparse.Namespace, network: CRNN) -> dict[str, Source]:
    """What --render draws lines from.

    Raises:
        SettingError: fonts, texts or photographs that are not there.
    """
    try:
        return synth.sources(
            args.fonts, args.text, args.backgrounds, network.vocabulary, args.strength, handwriting=args.handwriting
        )
    except ValueError as error:
        raise SettingError(str(error)) from error


def rendered_lines(
    args: argparse.Namespace, network: CRNN, checker: Checker, own: Lines | None, accelerator: Accelerator
) -> FreshLines:
    """The lines of --render, with `own` of --dataset among them, each corpus as often as its weight says.

    Raises:
        DataError: a corpus of which no row can be trained on.
    """
    usable = [own.origins[own.trained_on(i), 1].tolist() for i in range(len(own.corpora))] if own else []
    if not all(usable):
        raise DataError(f"{args.dataset[usable.index([])]} has no row that can be trained on")
    recipe = Recipe(
        sources(args, network)["train"],
        checker,
        args.batch_size,
        own.corpora if own else [],
        usable,
        [(1 - args.render) * weight / sum(args.weights) for weight in args.weights[: len(usable)]],
        args.seed,
        args.clear,
    )
    cores = (os.cpu_count() or 1) // accelerator.num_processes
    return FreshLines(recipe, args.renderers or max(1, cores - 1), accelerator.device)


def place(name: str) -> Path:
    """Where the rows of a corpus lie that are trained on: the same however its path is spelled; of a Hub id, anything."""
    path = Path(name)
    return (label_file(path / "train") or label_file(path) or path).resolve()


def validation_corpus(args: argparse.Namespace) -> Any:
    """Rows to validate on that are not trained on; None where --dataset has no others, or there are none.

    Those of a split "validation" of --validation or of the first corpus. A --validation without one is all used, but
    for one that is trained on.
    """
    if not (args.validation or args.dataset):
        return None
    name = args.validation or args.dataset[0]
    try:
        corpus = open_corpus(name, "validation", streaming=args.streaming)
    except NoSplitError:
        if place(name) in map(place, args.dataset or []):
            return None
        corpus = open_corpus(name, "train", streaming=args.streaming)
    return corpus


def hold_out(args: argparse.Namespace, lines: Lines | None, accelerator: Accelerator) -> list[int]:
    """Spare lines of --validation, or of the first corpus, from training, and say so; returns which.

    Raises:
        SettingError: a stream, of which nobody knows how many rows there are.
        DataError: there are too few.
    """
    name = args.validation or args.dataset[0]
    if lines is None:
        raise SettingError(
            f"{name} has no validation split, and of a stream no rows are held out: "
            + ("--validation must be a corpus that is not trained on" if args.validation else "give --validation")
        )
    # a corpus that is given twice must not bring back the lines it spares
    numbers = [number for number, other in enumerate(args.dataset) if place(other) == place(name)]
    of_each = [lines.hold_out(number, args.eval_samples) for number in numbers]
    held: list[int] = of_each[0].tolist()
    if accelerator.is_main_process:
        count = len(held) + len(lines.trained_on(numbers[0]))
        doubt = "; the CER of so few says little" * (len(held) < HELD_OUT)
        tqdm.write(
            f"{name} has no validation split: {len(held)} of its {count} usable lines, evenly spread, are held out:"
            f" to validate on, not to train on{doubt}"
        )
    return held


def held_out_samples(lines: Lines, held: Sequence[int]) -> Samples:
    """Pictures and targets of lines that are not trained on; those that cannot be opened are counted in the report.

    Raises:
        DataError: these are too many.
    """
    samples: Samples = []
    for index in held:
        row = lines.row(index)
        try:
            samples.append((picture(row), normalize(row["text"])))
        except InputError as error:
            lines.leave_out(index, str(error))
    return samples


def refuse_stream(lines: Lines | StreamedLines | FreshLines, max_bad: float) -> None:
    """Before what was learned of a stream is called final: a run may end before enough of it was seen to judge it.

    Raises:
        DataError: too many rows are bad.
    """
    if isinstance(lines, StreamedLines) and lines.report.seen > 0:
        lines.report.refuse_over(max_bad)


def tell_at_the_end(lines: Lines | StreamedLines | FreshLines, accelerator: Accelerator) -> None:
    """Print what became known of the lines while the run went on.

    Raises:
        DataError: too many rows are bad.
    """
    news = True
    if isinstance(lines, Lines):
        for index, why in gather_object([*lines.broken.items()]):  # each process has opened its share
            lines.leave_out(index, why)
        news = bool(lines.broken)  # the rest was printed before the first step
    elif isinstance(lines, StreamedLines):
        news = lines.report.seen > 0
    if news and accelerator.is_main_process:
        tqdm.write(str(lines.report))
