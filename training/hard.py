"""Keep of a corpus what a model does not read surely, and a part of the rest: to train where there is something to learn.

    python -m training.hard --model english --dataset CORPUS --out DIR --rest 0.2

A step on a line that is read surely costs as much as any other and moves next to nothing (selective backpropagation, Jiang
et al. 2019, arXiv 1910.00762). Here lines are chosen once, by the model in whole numbers, at a quarter of what training on
them costs. Lines in which the model sees nothing of their text are left out, too: nobody could read them, or they say
something else.
"""

import argparse
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from simpleocr.decoding import greedy
from simpleocr.image import InputError
from simpleocr.likelihood import log_likelihood
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.preprocessing import line_to_tensor
from simpleocr.recognition import Recognizer, line_log_probs
from simpleocr.runtimes import RUNTIMES
from simpleocr.vocabulary import normalize
from training.data import DataError, open_corpus, picture
from training.shards import write_lines

AT_ONCE = 256  # lines that are read together
SURE = -0.7  # of a line that is read right: log probability of the best path, which is a part of the text's
UNSEEN = -4.0  # log probability a character of what a line should say, below which the model sees nothing of it


def judge(network: Recognizer, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the model makes of each line: "sure", "unsure", "wrong", "unseen", or "unusable" where it cannot be read."""
    usable: list[int] = []
    tensors = []
    verdicts = ["unusable"] * len(rows)
    for i, row in enumerate(rows):
        try:
            if not network.vocabulary.unknown(normalize(row["text"])):
                tensors.append(line_to_tensor(picture(row), network.preprocessing))
                usable.append(i)
        except (InputError, TypeError):  # no picture, or no text
            continue
    for i, log_probs in zip(usable, line_log_probs(network, tensors), strict=True):
        text = normalize(rows[i]["text"])
        if greedy(log_probs, network.vocabulary).text == text:
            verdicts[i] = "sure" if float(log_probs.max(axis=1).sum()) >= SURE else "unsure"
        else:
            likely = log_likelihood(log_probs, network.vocabulary.encode(text), network.vocabulary.space)
            verdicts[i] = "wrong" if likely >= UNSEEN * max(1, len(text)) else "unseen"
    return verdicts


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, read the corpus and write what is kept of it."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="english")
    parser.add_argument("--dataset", required=True, help="labelled lines; its train split is read")
    parser.add_argument("--limit", type=int, default=None, help="of its lines, the first so many")
    parser.add_argument("--rest", type=float, default=0.2, help="share of the lines read surely that is kept")
    parser.add_argument("--out", type=Path, required=True, help="a new folder for the corpus")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if not 0 <= args.rest <= 1:
        parser.error("--rest is a share, 0..1")
    if args.limit is not None and args.limit < 1:
        parser.error("--limit must be at least 1")
    if args.workers < 1:
        parser.error("--workers must be at least 1")
    try:
        corpus = open_corpus(args.dataset, "train")
        RUNTIMES["onnx-int8"].recognizer(args.model)  # if it cannot be loaded, here and not in every worker again
        (args.out / "data").mkdir(parents=True)
        count = min(len(corpus), args.limit or len(corpus))
        tally: Counter[str] = Counter()
        tasks = [range(start, min(count, start + AT_ONCE)) for start in range(0, count, AT_ONCE)]
        with multiprocessing.get_context("spawn").Pool(args.workers, _open, (args.model, args.dataset)) as pool:
            kept = _kept(corpus, pool.imap(_judge, tasks), tally, args.rest, Random(f"hard/{args.seed}"))
            written = write_lines(kept, args.out, "train")
        print(", ".join(f"{number} {verdict}" for verdict, number in tally.most_common()) + f"; {written} kept")
    except (DataError, ModelError, OSError) as error:
        sys.exit(f"training.hard: {error}")


def _kept(
    corpus: Any, judged: Iterator[tuple[int, list[str]]], tally: Counter[str], rest: float, rng: Random
) -> Iterator[dict[str, Any]]:
    """The rows that stay, in order."""
    for start, verdicts in judged:
        tally.update(verdicts)
        for i, verdict in enumerate(verdicts, start):
            if verdict in ("unsure", "wrong") or (verdict == "sure" and rng.random() < rest):
                row = corpus[i]
                image, cell = picture(row), row["image"]
                data = cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()
                yield {
                    "image": {"bytes": data, "path": None},
                    "text": row["text"],
                    "width": image.width,
                    "height": image.height,
                }


_network: Recognizer
_corpus: Any


def _open(model: str, dataset: str) -> None:
    """Start a worker: one thread each."""
    global _network, _corpus  # of a process that does nothing else
    os.environ["OMP_NUM_THREADS"] = "1"
    _network = RUNTIMES["onnx-int8"].recognizer(model)
    _corpus = open_corpus(dataset, "train")


def _judge(numbers: range) -> tuple[int, list[str]]:
    return numbers.start, judge(_network, [_corpus[i] for i in numbers])


if __name__ == "__main__":
    main()
