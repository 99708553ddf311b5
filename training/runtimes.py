"""Compare the runtimes that can compute a model: the same file and pictures, each in a process of its own.

    python -m training.runtimes --dataset SET... --pages FOLDER --limit 300 --threads 2 --out runtimes.json

Of each: seconds from the start of Python to the first text, milliseconds a line one at a time, seconds a page, the most
memory, and what it reads right. Compare figures of one run only, taken with nothing else running; CPU seconds, those of all
threads together, are worth something beside other work, too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simpleocr import metrics
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.reader import DEFAULT_DETECTOR, DEFAULT_MODEL, OCR
from simpleocr.runtimes import RUNTIMES
from simpleocr.vocabulary import normalize
from training.memory import peak_memory

WARM_UP = 5  # pictures that are read before the clock starts
START = """
import sys, time
from simpleocr import OCR
OCR.from_pretrained(sys.argv[1], detector=sys.argv[2], runtime=sys.argv[3]).recognize([sys.argv[4]])
"""
"""Run by a fresh interpreter; its whole life is measured."""


def figures(args: argparse.Namespace) -> dict[str, float]:
    """Of this process's runtime.

    Raises:
        ModelError, DataError: the model or a set cannot be opened, or a set has too few pages.
        InputError: a page cannot be read.
    """
    # not at the top: these bring `datasets` and pyarrow, whose memory is not the reader's
    from training.crops import MAX_PAGE_PIXELS, open_samples
    from training.data import DataError
    from training.page_scores import compare
    from training.page_sets import pages_of
    from training.timing import threads

    found: dict[str, float] = {}
    with threads(args.threads):
        ocr = OCR.from_pretrained(args.model, detector=args.detector, runtime=args.runtime, max_pixels=MAX_PAGE_PIXELS)
        times: list[float] = []
        busy = 0.0
        for name in args.dataset:
            stream = open_samples(name, limit=args.limit).stream
            samples = [(sample.image, sample.target) for sample in stream if sample.image is not None]
            for image, _ in samples[:WARM_UP]:
                ocr.recognize([image])
            predictions = []
            began = time.process_time()
            for image, _ in samples:
                started = time.perf_counter()
                (line,) = ocr.recognize([image])
                times.append(time.perf_counter() - started)
                predictions.append(line.text)
            busy += time.process_time() - began
            pair: dict[str, Any] = {"predictions": predictions, "targets": [normalize(target) for _, target in samples]}
            found[f"{Path(name).name}, alphanumeric"] = metrics.exact_match(**pair, normalisation="alphanumeric")
            found[f"{Path(name).name}, CER"] = metrics.cer(**pair)
        if times:
            found["ms a line, median"] = 1000 * statistics.median(times)
            found["CPU ms a line, mean"] = 1000 * busy / len(times)
        for name in args.pages:
            seconds, both, read, true = [], 0, 0, 0
            for number, page in enumerate(pages_of(name, "test", 1 + args.page_limit)):
                started = time.perf_counter()
                answer = ocr(page.image)
                if number:  # the first warms up
                    seconds.append(time.perf_counter() - started)
                right, of_read, of_true, *_ = compare(answer, page).counts
                both, read, true = both + right, read + of_read, true + of_true
            if not seconds:
                raise DataError(f"{name!r} has fewer than two pages: the first warms up, the others are timed")
            found[f"{Path(name).name} pages, F1"] = 2 * both / max(1, read + true)
            found[f"{Path(name).name}, s a page, median"] = statistics.median(seconds)
    return found | {"memory at most, MiB": peak_memory()}


def start_time(args: argparse.Namespace, runtime: str, picture: Path) -> dict[str, float]:
    """Seconds from nothing to the first line of text, the best of three."""
    command = [sys.executable, "-c", START, args.model, args.detector, runtime, str(picture)]
    times, busy = [], []
    for _ in range(3):
        began, started = sum(os.times()[2:4]), time.perf_counter()  # of children that have ended
        subprocess.run(command, check=True)  # noqa: S603 - our own words
        times.append(time.perf_counter() - started)
        busy.append(sum(os.times()[2:4]) - began)
    return {"s to the first text": min(times), "CPU s to the first text": min(busy)}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Command line -> settings."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    parser.add_argument("--dataset", nargs="+", default=[], help="labelled lines")
    parser.add_argument("--limit", type=int, default=300, help="lines of each set")
    parser.add_argument("--pages", nargs="+", default=[], help="labelled pages")
    parser.add_argument("--page_limit", type=int, default=10, help="pages of each set")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runtimes", nargs="+", choices=[*RUNTIMES], default=[*RUNTIMES])
    parser.add_argument("--runtime", choices=[*RUNTIMES], help=argparse.SUPPRESS)  # of a process of its own
    parser.add_argument("--out", type=Path, help="JSON file")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, measure each runtime in a process of its own, print them side by side."""
    args = parse(argv)
    if args.runtime:
        try:
            print(json.dumps(figures(args)))
        except (ModelError, ValueError, OSError) as error:
            sys.exit(f"training.runtimes: {error}")
        return
    import simpleocr

    picture = Path(simpleocr.__file__).parent / "examples" / "sign.jpg"
    given = sys.argv[1:] if argv is None else list(argv)
    table: dict[str, dict[str, float]] = {}
    for runtime in args.runtimes:
        command = [sys.executable, "-m", "training.runtimes", *given, "--runtime", runtime]
        environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)  # noqa: S603
        if done.returncode:
            sys.exit(done.returncode)
        table[runtime] = {**start_time(args, runtime, picture), **json.loads(done.stdout)}
    print(f"{'':34}" + "".join(f"{runtime:>12}" for runtime in table))
    for name in next(iter(table.values())):
        print(f"{name:34}" + "".join(f"{values[name]:12.4f}" for values in table.values()))
    if args.out:
        args.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
