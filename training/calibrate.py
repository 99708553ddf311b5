"""Fit a model's temperature, so that its confidences are probabilities, and rather too low than too high.

    python -m training.calibrate --model runs/mine/final --dataset corpora/hard --out runs/mine/calibrated

On pictures that it was not trained on, and that are not those it will be measured on: the validation split of a
rendered corpus, in fonts that training never saw.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from simpleocr import metrics
from simpleocr.crnn import CRNN
from simpleocr.inference import for_inference
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.retry import looks
from training.calibration import careful_temperature, confidences
from training.crops import open_samples
from training.data import DataError


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, fit and write the model."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder, a file, a shipped model or a Hub repository")
    parser.add_argument("--dataset", nargs="+", required=True, help="held-out labelled lines")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--limit", type=int, default=1500, help="lines of each set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model that is written")
    args = parser.parse_args(argv)
    if args.limit < 1:
        parser.error("--limit must be at least 1")
    try:
        network = CRNN.from_pretrained(args.model)
        network.config = replace(network.config, temperature=1.0)
        preprocessing = network.config.preprocessing
        samples = [
            (sample.image, sample.target)
            for name in args.dataset
            for sample in open_samples(name, split=args.split, limit=args.limit).stream
            if sample.image is not None and preprocessing.width(sample.image.size) <= preprocessing.max_width
        ]
        if not samples:
            sys.exit("training.calibrate: no line that can be read")
        found = looks(for_inference(network), [image for image, _ in samples])
        targets = [target for _, target in samples]
        temperature, surprise = careful_temperature(found, targets, network.vocabulary)
        network.config = replace(network.config, temperature=temperature)
        network.save_pretrained(args.out)
    except (ModelError, DataError, OSError) as error:
        sys.exit(f"training.calibrate: {error}")
    right = [look.line.text == target for look, target in zip(found, targets, strict=True)]
    for t in (1.0, temperature):
        given = confidences(found, network.vocabulary, temperature=t)
        off = metrics.calibration_error(confidences=given, right=right)
        print(
            f"temperature {t}: calibration error {off:.4f} on {len(right)} lines, {sum(right) / len(right):.4f} right"
        )
    print(f"log loss {surprise:.4f}; written to {args.out}")


if __name__ == "__main__":
    main()
