"""Measure speed on this machine: rendering, training, reading, loading, and other systems on the same crops.

    python -m training.benchmark --fonts fonts --text words.txt --backgrounds photos --out speed.json
    python -m training.benchmark --dataset SET... --limit 300             the same crops, read by every system
    python -m training.benchmark --parts page-peers --dataset PAGES... --limit 20
    python -m training.benchmark --parts decode --dataset SET...         what is computed once the network has read

Compare figures of one run only, taken with nothing else running. Networks have random weights: speed depends on their
sizes, not on what they learned; but where --dataset is read, by what they have learned.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from simpleocr.config import BACKBONES, CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.inference import for_inference, has_bf16
from simpleocr.options import Parser
from simpleocr.recognition import recognize
from simpleocr.runtimes import RUNTIMES
from simpleocr.vocabulary import VOCABULARIES
from training import synth
from training.batches import Batch
from training.crops import open_samples
from training.data import DataError
from training.decode_times import decode_times
from training.page_peers import page_peers
from training.page_peers import race as page_race
from training.page_peers import table as page_table
from training.page_sets import pages_of
from training.peers import peers, race, shares, table
from training.render import Source
from training.timing import durations, machine, repeated, threads
from training.trainee import Trainee, ctc_loss, memory_format

Figure = tuple[str, float, str]
"""(what, how much, unit)."""

WORD = "Benchmark"
LINE = "The quick brown fox jumps over the lazy dog, and 60 are here"  # 60 characters
TRAIN_LINES, TRAIN_COLUMNS, TRAIN_CHARACTERS = 32, 256, 11  # a batch as the rendered corpora have them: the median line
BATCH = 256  # words that are read in one call for the throughput


def render(args: argparse.Namespace) -> list[Figure]:
    """Samples a second with all effects, file encoding included: one process, then one a core."""
    source = synth.sources(args.fonts, args.text, args.backgrounds, VOCABULARIES["english"], 1.0)["train"]
    figures = []
    for processes in dict.fromkeys((1, os.cpu_count() or 1)):
        jobs = [(source, seed, args.seconds) for seed in range(processes)]
        with get_context("spawn").Pool(processes) as pool:  # even a single one, so that all are timed alike
            rate = sum(pool.starmap(render_rate, jobs, chunksize=1))
        figures.append((f"{processes} process{'es' * (processes > 1)}", rate, "samples/s"))
    return figures


def render_rate(source: Source, seed: int, seconds: float) -> float:
    """Samples a second of this process; one thread, as when a corpus is written."""
    cv2.setNumThreads(1)
    started, count, block = time.perf_counter(), 0, 0
    while (elapsed := time.perf_counter() - started) < seconds or not count:
        count += sum(1 for _ in synth.render_block(source, seed, block, synth.FONT_BLOCK))
        block += 1
    return count / elapsed


def train(args: argparse.Namespace) -> list[Figure]:
    """Lines a second: forward, both losses, backward and step; without reading and augmenting pictures."""
    kind = "bf16" if has_bf16() else "float32"
    return [(f"{name}, {kind}", train_rate(name, args.seconds), "lines/s") for name in args.backbones]


def train_rate(backbone: str, seconds: float) -> float:
    """Lines a second of one network, as training.train makes its steps, with the threads that are set."""
    network = random_network(backbone)
    layout = memory_format(network)
    trainee = Trainee(network).train().to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(trainee.parameters(), lr=1e-4)
    shape = (TRAIN_LINES, 1, network.config.preprocessing.height, TRAIN_COLUMNS)
    batch = Batch(
        images=torch.randn(shape).to(memory_format=layout),
        targets=torch.randint(1, network.vocabulary.num_classes, (TRAIN_LINES * TRAIN_CHARACTERS,)),
        target_lengths=torch.full((TRAIN_LINES,), TRAIN_CHARACTERS),
        names=[],
    )

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16()):
            logits, auxiliary, _ = trainee(batch.images)
        (ctc_loss(logits, batch) + 0.3 * ctc_loss(auxiliary, batch)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trainee.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()

    return TRAIN_LINES / statistics.fmean(durations(step, seconds))


def read(args: argparse.Namespace) -> list[Figure]:
    """From picture to Line: one at a time with one and two threads, then many at once with all."""
    word, line = picture(WORD), picture(LINE)
    figures = []
    for name in args.backbones:
        network = for_inference(random_network(name))
        for count in (1, 2):
            with threads(count):
                for what, image in (("word", word), (f"line of {len(LINE)}", line)):
                    times = durations(partial(recognize, network, [image]), args.seconds)
                    title = f"{name}, {what}, {count} thread{'s' * (count > 1)}"
                    figures.append((f"{title}, median", 1000 * statistics.median(times), "ms"))
                    figures.append((f"{title}, p95", 1000 * float(np.percentile(times, 95)), "ms"))
        times = durations(partial(recognize, network, [word] * BATCH), args.seconds)
        figures.append((f"{name}, {BATCH} words at once", BATCH / statistics.fmean(times), "words/s"))
    return figures


def load(args: argparse.Namespace) -> list[Figure]:
    """Of fresh processes: seconds for the import, seconds for the model, most memory after reading a line."""
    with tempfile.TemporaryDirectory() as folder:
        picture(LINE).save(Path(folder, "line.png"))
        for name in args.backbones:
            random_network(name).save_pretrained(Path(folder, name), dtype=torch.float16)
        runs = list(repeated(partial(fresh_process, folder, args.backbones), args.seconds))
    return [
        (name, statistics.median(run[name] for run in runs), "MiB" if "memory" in name else "s") for name in runs[0]
    ]


def fresh_process(folder: str, backbones: Sequence[str]) -> dict[str, float]:
    """Figures of one run of PROBE for each backbone; memory is measured in a process that does nothing else."""
    figures: dict[str, float] = {}
    for name in backbones:
        probe = [sys.executable, "-c", PROBE, str(Path(folder, name)), str(Path(folder, "line.png"))]
        done = subprocess.run(probe, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
        imported, loaded, peak, before = map(float, done.stdout.split())
        figures |= {"import simpleocr": imported, "memory after the import": before}
        figures |= {f"{name}, load": loaded, f"{name}, memory at most, one line read": peak}
    return figures


def compare(args: argparse.Namespace) -> list[Figure]:
    """Accuracy and milliseconds a crop of this model and of the other systems that are installed, side by side."""
    figures: list[Figure] = []
    systems = peers(args.model, args.runtimes, args.threads)
    for name in args.dataset:
        samples = list(open_samples(name, limit=args.limit).stream)
        races = [race(peer, samples, args.threads) for peer in systems]
        print(f"{Path(name).name}, {len(samples)} crops, {args.threads} threads\n{table(races)}", flush=True)
        for result, of_others in zip(races, shares(races), strict=True):
            what = f"{Path(name).name}, {result.name}"
            figures += [(f"{what}, {figure}", value, "") for figure, value in result.figures.items()]
            figures.append((f"{what}, one at a time, median", result.median, "ms"))
            if result.batched is not None:
                figures.append((f"{what}, all together", result.batched, "ms"))
            figures += [(f"{what}, time of {other}'s", share, "") for other, share in of_others.items()]
    return figures


PROBE = """
import sys, time
start = time.perf_counter()
from simpleocr import CRNN, load_image
imported = time.perf_counter()
import resource
from pathlib import Path
def peak():
    try:  # the kernel's own figure; ru_maxrss is inherited from the process that started this one
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
before = peak()
begun = time.perf_counter()
network = CRNN.from_pretrained(sys.argv[1])
loaded = time.perf_counter()
from simpleocr.inference import for_inference
from simpleocr.recognition import recognize
recognize(for_inference(network), [load_image(sys.argv[2])])
print(imported - start, loaded - begun, peak(), before)
"""
"""Run by a fresh interpreter; prints seconds, seconds, MiB, MiB."""


def compare_pages(args: argparse.Namespace) -> list[Figure]:
    """Words and boxes right, and seconds a page, of this project and of the other systems that are installed."""
    figures: list[Figure] = []
    systems = page_peers(args.model, args.detector, args.runtimes, args.threads)
    for name in args.dataset:
        pages = list(pages_of(name, args.split, args.limit))
        if not pages:
            raise DataError(f"{name!r} has no pages")
        races = [page_race(peer, pages, args.threads) for peer in systems]
        print(f"{Path(name).name}, {len(pages)} pages, {args.threads} threads\n{page_table(races)}", flush=True)
        for result in races:
            what = f"{Path(name).name}, {result.name}"
            figures += [(f"{what}, {figure}", value, "") for figure, value in result.figures.items()]
            figures.append((f"{what}, a page, median", result.median, "s"))
    return figures


def decode(args: argparse.Namespace) -> list[Figure]:
    """Milliseconds a crop of each decoder, one thread, without the network's."""
    figures: list[Figure] = []
    network = CRNN.from_pretrained(args.model)
    for name in args.dataset:
        crops = [(s.image, s.target) for s in open_samples(name, limit=args.limit).stream if s.image is not None]
        if not crops:
            raise DataError(f"of {name!r} no crop can be read: there is nothing to decode")
        images, words = zip(*crops, strict=True)
        for decoder, times in decode_times(network, images, words).items():
            what = f"{Path(name).name}, {len(crops)} crops, {decoder}"
            figures.append((f"{what}, median", 1000 * float(np.median(times)), "ms"))
            figures.append((f"{what}, p95", 1000 * float(np.percentile(times, 95)), "ms"))
    return figures


Part = Callable[[argparse.Namespace], list[Figure]]
PARTS: dict[str, Part] = {
    "render": render,
    "train": train,
    "read": read,
    "load": load,
    "peers": compare,
    "page-peers": compare_pages,
    "decode": decode,
}

OF_PICTURES = {"peers", "page-peers", "decode"}


def random_network(backbone: str) -> CRNN:
    """A network with random weights, in eval mode."""
    return CRNN(CRNNConfig(VOCABULARIES["english"], backbone)).eval()


def picture(text: str) -> Image.Image:
    """Black on white, cropped as a line is."""
    font = ImageFont.load_default(30)
    image = Image.new("RGB", (round(font.getlength(text)) + 12, 40), "white")
    ImageDraw.Draw(image).text((6, 1), text, "black", font=font)
    return image


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, measure part by part, print a table and write the JSON."""
    parser = Parser(description="Measure speed.", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    own = [name for name in PARTS if name not in OF_PICTURES]
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=list(PARTS),
        help="default: peers with --dataset, else all that need none",
    )
    parser.add_argument("--backbones", nargs="+", choices=sorted(BACKBONES), default=["small", "base"])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    for name in ("fonts", "text", "backgrounds"):
        parser.add_argument(f"--{name}", type=Path, nargs="*", default=[], help="as of training.synth")
    parser.add_argument("--model", default="english", help="that reads --dataset")
    parser.add_argument("--detector", default="lines", help="the same, of pages")
    parser.add_argument("--runtimes", nargs="+", choices=[*RUNTIMES], default=["torch", "onnx-int8"], help="that race")
    parser.add_argument("--dataset", nargs="+", default=[], help="labelled crops, or pages, that all of them read")
    parser.add_argument("--split", default="test", help="of corpora of pages")
    parser.add_argument("--limit", type=int, default=300, help="crops or pages of each set, evenly spread over it")
    parser.add_argument("--threads", type=int, default=2, help="of every peer")
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args(argv)
    args.parts = args.parts or (["peers"] if args.dataset else own)
    if (needy := OF_PICTURES & set(args.parts)) and not args.dataset:
        parser.error(f"--parts {' '.join(sorted(needy))} need --dataset")
    report: dict[str, Any] = {"machine": machine(), "settings": vars(args), "figures": {}}
    print("\n".join(f"{name}: {value}" for name, value in report["machine"].items()))
    try:
        for part in args.parts:
            figures = PARTS[part](args)
            report["figures"][part] = [{"name": name, "value": value, "unit": unit} for name, value, unit in figures]
            print("\n".join(f"{part:7} {name:60} {value:10.3f} {unit}" for name, value, unit in figures), flush=True)
        if args.out:
            args.out.write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:  # DataError, InputError and ModelError are ValueErrors
        sys.exit(f"training.benchmark: {error}")


if __name__ == "__main__":
    main()
