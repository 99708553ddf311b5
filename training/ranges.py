"""Measure how far a model's activations go, so that ONNX Runtime may compute it in whole numbers.

    python -m training.ranges --model english --dataset corpora/hard --limit 300 --out runs/english_whole
    python -m training.ranges --model lines --dataset corpora/pages --limit 30 --out runs/lines_whole

Reads pictures that the model was not trained on, as it would read them, and keeps the least and the greatest value of
each activation in the model file. The weights stay as they are, and so does what torch reads with them.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from simpleocr.crnn import CRNN
from simpleocr.detection import detect_lines
from simpleocr.image import InputError
from simpleocr.linenet import LineNet
from simpleocr.modelfile import ModelError, architecture_of, read_header
from simpleocr.models import locate
from simpleocr.onnx_graph import crnn_graph, linenet_graph
from simpleocr.onnx_runtime import measured_ranges, read_linenet
from simpleocr.options import Parser
from simpleocr.preprocessing import Lines, line_to_tensor
from training.crops import open_samples
from training.data import DataError, open_pages, picture


class Watched:
    """A Detector that keeps what it was given."""

    def __init__(self, network: LineNet) -> None:
        self.network = network
        self.threshold = network.threshold
        self.pages: list[Lines] = []

    def cell_probs(self, pixels: Lines) -> Lines:
        """As LineNet.cell_probs()."""
        self.pages.append(pixels)
        return self.network.cell_probs(pixels)


def with_ranges(network: CRNN, images: Iterable[Image.Image]) -> CRNN:
    """The network, with the ranges of its activations on these lines in its config."""
    tensors = {name: tensor.detach().float().cpu().numpy() for name, tensor in network.state_dict().items()}
    lines = (line_to_tensor(image, network.preprocessing)[None] for image in images)
    network.config = replace(network.config, ranges=measured_ranges(crnn_graph(network.config, tensors), lines))
    return network


def of_lines(path: Path, datasets: Sequence[str], split: str, limit: int) -> CRNN:
    """A CRNN with the ranges of its activations on lines."""
    samples = (s for name in datasets for s in open_samples(name, split=split, limit=limit).stream)
    return with_ranges(CRNN.from_pretrained(path), (s.image for s in samples if s.image is not None))


def of_pages(path: Path, datasets: Sequence[str], split: str, limit: int) -> LineNet:
    """A LineNet with the ranges of its activations on pages, in every size in which it looks at them."""
    config, tensors = read_linenet(path)
    network = LineNet.from_pretrained(path)
    watched = Watched(network)
    for name in datasets:
        corpus = open_pages(name, split)
        for i in np.linspace(0, len(corpus) - 1, min(limit, len(corpus))).astype(int).tolist():
            try:
                detect_lines(watched, picture(corpus[i]))
            except InputError as error:
                raise DataError(f"{name}, row {i}: {error}") from error
    images = (page[None, None] for page in watched.pages)
    network.config = replace(network.config, ranges=measured_ranges(linenet_graph(config, tensors), images))
    return network


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, measure and write the model."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder, a file, a shipped model or a Hub repository")
    parser.add_argument("--dataset", nargs="+", required=True, help="held-out lines, or pages for a LineNet")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--limit", type=int, default=200, help="lines or pages of each set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model that is written")
    args = parser.parse_args(argv)
    if args.limit < 1:
        parser.error("--limit must be at least 1")
    try:
        path = locate(args.model)
        pages = architecture_of(read_header(path)) == LineNet.architecture
        network = (of_pages if pages else of_lines)(path, args.dataset, args.split, args.limit)
        network.save_pretrained(args.out)
    except (ModelError, DataError, InputError, ValueError, OSError) as error:
        sys.exit(f"training.ranges: {error}")
    print(f"{len(network.config.ranges)} ranges; written to {args.out}")


if __name__ == "__main__":
    main()
