"""Measure a model on labelled pictures.

    python -m training.evaluate --model runs/mine/best --dataset FOLDER user/lines --out reports

Prints each set's figures with 95 % bootstrap intervals; writes OUT/<set>.json, which has them all, and OUT/<set>.html,
in which the worst errors can be looked at. Every sample counts: what cannot be read is an error. Of a corpus without a
test or validation split all is read, with a warning: a model that was trained on it reads it better than anything else.
"""

import argparse
import hashlib
import heapq
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from simpleocr import hub, metrics
from simpleocr.decoding import DECODERS, Decoder, greedy
from simpleocr.inference import for_inference
from simpleocr.models import MODEL_FILE, SHIPPED
from simpleocr.options import Parser
from simpleocr.reader import OCR
from simpleocr.recognition import Recognizer
from simpleocr.retry import DOUBT, looks
from simpleocr.runtimes import RUNTIMES
from training.calibration import account, confidences
from training.crops import LEVELS, Sample, Samples, open_samples
from training.report import examples, summary, table, write
from training.scores import COUNTS, DRAWS, SEED, bootstrap, sample_counts
from training.sheet import Misread

CHUNK_SAMPLES = 512  # read at a time, and fewer if
CHUNK_BYTES = 128 * 2**20  # their pictures and tensors would be larger
WORST, CONFUSIONS = 100, 50  # that are kept; the terminal shows a few of them
THUMBNAIL = (1000, 120)  # pixels at most


@dataclass(frozen=True)
class Reading:
    """What became of a sample; `prediction` is "" and all confidence 0 where there is a fault.

    `sure` is how likely the prediction is right under each of metrics.NORMALISATIONS.
    """

    name: str
    target: str
    prediction: str
    sure: dict[str, float]
    fault: str


def chunks(samples: Iterable[Sample], network: Recognizer) -> Iterator[list[Sample]]:
    """As many samples at a time as memory should hold; too wide ones turned into faults."""
    preprocessing = network.preprocessing
    chunk: list[Sample] = []
    size = 0
    for sample in samples:
        image, own = sample.image, 0
        if image is not None:
            columns = preprocessing.width(image.size)
            if columns > preprocessing.max_width:
                sample = Sample(sample.name, None, sample.target, "too wide")
            else:  # the picture with 3 bytes a pixel, its tensor with 4
                own = 3 * image.width * image.height + 4 * columns * preprocessing.height
        if chunk and (len(chunk) == CHUNK_SAMPLES or size + own > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(sample)
        size += own
    if chunk:
        yield chunk


def read_chunk(network: Recognizer, chunk: list[Sample], decoder: Decoder, *, retry: bool) -> list[Reading]:
    """What a reader makes of samples, one line each; of those with a fault, nothing."""
    readable = [sample.image for sample in chunk if sample.image is not None]
    found = looks(network, readable, decoder, DOUBT if retry else 0.0)
    sure = {name: confidences(found, network.vocabulary, name) for name in metrics.NORMALISATIONS}
    texts = iter([(look.line.text, {name: sure[name][i] for name in sure}) for i, look in enumerate(found)])
    nothing = ("", dict.fromkeys(metrics.NORMALISATIONS, 0.0))
    return [
        Reading(sample.name, sample.target, *(next(texts) if sample.image is not None else nothing), sample.fault)
        for sample in chunk
    ]


class WorstErrors:
    """The WORST misread samples with their pictures, those without a fault.

    One is worse than another if a larger share of its target is wrong, case aside; or as large a share, case included
    (in sets labelled in capitals, case is no error to look at); or as large a share, and the network was surer of it.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, float, float, int, Misread]] = []
        self._seen = 0

    def add(self, reading: Reading, image: Image.Image, counts: tuple[int, ...]) -> None:
        """Keep a sample's picture, made small, if it is among the worst so far."""
        self._seen += 1  # also keeps the heap from comparing what cannot be compared
        of = dict(zip(COUNTS, counts, strict=True))
        caseless, raw = (min(1.0, of[kind] / max(1, of["characters"])) for kind in ("caseless_edits", "edits"))
        key = (caseless, raw, reading.sure["raw"], -self._seen)
        if not of["edits"] or (len(self._heap) == WORST and key < self._heap[0][:4]):
            return
        small, file = image.copy(), BytesIO()
        small.thumbnail(THUMBNAIL)
        small.save(file, "PNG")
        push = heapq.heappush if len(self._heap) < WORST else heapq.heapreplace
        push(
            self._heap,
            (*key, Misread(reading.name, reading.target, reading.prediction, reading.sure["raw"], file.getvalue())),
        )

    def rows(self) -> list[Misread]:
        """Worst first."""
        return [entry[4] for entry in sorted(self._heap, key=lambda entry: entry[:4], reverse=True)]


def evaluate(
    network: Recognizer, samples: Samples, decoder: Decoder = greedy, *, retry: bool = True
) -> tuple[dict[str, Any], list[Misread]]:
    """Read a set and compare.

    Returns:
        (report, worst errors): the report holds JSON values only.
    """
    readings: list[Reading] = []
    counts: list[tuple[int, ...]] = []
    worst = WorstErrors()
    seconds = 0.0
    with tqdm(total=samples.count, unit="sample", desc=Path(samples.name).name, disable=None) as bar:
        for chunk in chunks(samples.stream, network):
            started = time.perf_counter()
            read = read_chunk(network, chunk, decoder, retry=retry)
            seconds += time.perf_counter() - started
            for sample, reading in zip(chunk, read, strict=True):
                counts.append(
                    sample_counts(prediction=reading.prediction, target=reading.target, fault=bool(reading.fault))
                )
                if sample.image is not None:
                    worst.add(reading, sample.image, counts[-1])
            readings += read
            bar.update(len(chunk))
    unknown = [network.vocabulary.unknown(reading.target) for reading in readings]
    readable = [reading for reading in readings if not reading.fault]
    pairs = metrics.confusions(predictions=[r.prediction for r in readable], targets=[r.target for r in readable])
    report = {
        "dataset": samples.name,
        "split": samples.split,
        "samples": len(readings),
        "rows_without_text_left_out": samples.left_out,
        "faults": examples((reading.fault, reading.name) for reading in readings if reading.fault),
        "targets_with_unknown_characters": sum(map(bool, unknown)),
        "unknown_characters": dict(Counter(c for found in unknown for c in found).most_common()),
        "samples_per_second": len(readable) / max(1e-9, seconds),  # files decoded before, calibration included
        "figures": {
            name: dict(zip(("value", "low", "high"), of, strict=True))
            for name, of in bootstrap(np.array(counts)).items()
        },
        "bootstrap": {"draws": DRAWS, "seed": SEED, "interval": 0.95},
        "calibration": {
            name: account(
                [reading.sure[name] for reading in readings],
                [not r.fault and fold(r.prediction) == fold(r.target) for r in readings],
            )
            for name, fold in metrics.NORMALISATIONS.items()
        },
        "confusions": [{"target": a, "prediction": b, "count": n} for (a, b), n in pairs.most_common(CONFUSIONS)],
        "worst": [
            {"name": w.name, "target": w.target, "prediction": w.prediction, "confidence": round(w.confidence, 4)}
            for w in worst.rows()
        ],
    }
    return report, worst.rows()


def file_sha256(model: str) -> str:
    """The checksum of the model's file as `sha256sum` gives it; of a Hub model, of the file just fetched."""
    candidates = (SHIPPED / model / MODEL_FILE, Path(model).expanduser() / MODEL_FILE, Path(model).expanduser())
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        path = hub.fetch(
            model, MODEL_FILE, revision=None, token=None, cache_dir=None, force_download=False, local_files_only=True
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Command line -> settings."""
    parser = Parser(description="Measure a model on labelled pictures.")
    parser.add_argument("--model", required=True, help="a folder, a file, a shipped model or a Hub repository")
    parser.add_argument(
        "--dataset", nargs="+", required=True, help="corpora as training takes them, or folders with pages.jsonl"
    )
    parser.add_argument("--split", help="of corpora; default test, else validation, else train, with a warning")
    parser.add_argument("--limit", type=int, help="samples of each set, evenly spread over it; default all")
    parser.add_argument("--level", choices=sorted(LEVELS), help="what is cut out of pages; default what they have")
    parser.add_argument("--decoder", choices=sorted(DECODERS), default="greedy")
    parser.add_argument("--language_weight", type=float, default=0.0, help="how much the model's language has to say")
    parser.add_argument("--runtime", choices=[*RUNTIMES], default="torch", help="what computes the model")
    parser.add_argument("--no_retry", action="store_true", help="do not look at doubtful lines again")
    parser.add_argument("--out", type=Path, help="folder for <set>.json and <set>.html")
    args = parser.parse_args(argv)
    if args.limit is not None and args.limit < 1:
        parser.error(f"--limit is {args.limit}, at least 1 is needed")
    return args


def run(args: argparse.Namespace, command: str) -> list[dict[str, Any]]:
    """Measure on every set; returns the reports.

    Raises:
        ValueError: a setting that the model cannot follow.
        DataError, ModelError: a set or the model cannot be opened; said before anything is read.
        OSError: the reports cannot be written.
    """
    network: Any = RUNTIMES[args.runtime].recognizer(args.model)
    decoder = OCR(network, decoder=args.decoder, language_weight=args.language_weight, detector=None).decoder
    model = {
        "name": args.model,
        "sha256": file_sha256(args.model),
        "backbone": network.config.backbone,
        "runtime": args.runtime,
        "decoder": args.decoder,
        "language_weight": args.language_weight,
        "retry": not args.no_retry,
    }
    sets = [open_samples(name, split=args.split, level=args.level, limit=args.limit) for name in args.dataset]
    for samples in sets:
        if not args.split and samples.split == "train":
            print(
                f"warning: {samples.name} has no test or validation split: the model may have been trained on these lines",
                file=sys.stderr,
            )
    if args.runtime == "torch":
        network = for_inference(network)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    reports: list[dict[str, Any]] = []
    taken: set[str] = set()
    for samples in sets:
        report, worst = evaluate(network, samples, decoder, retry=not args.no_retry)
        reports.append({"command": command, "model": model, **report})
        print(table(reports[-1]))
        if args.out:
            write(args.out, reports[-1], worst, taken)
    if len(reports) > 1:
        print(summary(reports))
    return reports


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, measure, and turn what the user can mend into one sentence."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a label still shows the rest
    args = parse(argv)
    given = sys.argv[1:] if argv is None else argv
    try:
        run(args, shlex.join(["python", "-m", "training.evaluate", *given]))
    except (ValueError, OSError) as error:  # DataError and ModelError are ValueErrors
        sys.exit(f"training.evaluate: {error}")


if __name__ == "__main__":
    main()
