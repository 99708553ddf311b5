"""Average the weights of recognizers that grew from one another: they keep what either of them reads.

    python -m training.average --models runs/before runs/after --out runs/both

Model soups (Wortsman et al. 2022, arXiv 2203.05482). The vocabulary and sizes must be the same; the language and the
temperature are those of the last model, and ranges are measured anew.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from simpleocr.crnn import CRNN
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser


def average(networks: Sequence[CRNN]) -> CRNN:
    """The mean of the networks' weights and BatchNorm statistics, in the last of them, which is changed.

    Raises:
        ValueError: networks of different sizes, vocabularies or preprocessing.
    """
    last = networks[-1]
    for network in networks:
        for name in ("vocabulary", "backbone", "preprocessing"):
            if getattr(network.config, name) != getattr(last.config, name):
                raise ValueError(f"the models differ in their {name}")
    states = [network.state_dict() for network in networks]
    with torch.no_grad():
        for name, tensor in last.state_dict().items():
            if tensor.dtype.is_floating_point and not name.startswith("language."):
                tensor.copy_(torch.stack([state[name] for state in states]).mean(dim=0))
    last.config = replace(last.config, ranges=())  # its activations go elsewhere
    last.training_summary = {**last.training_summary, "averaged": len(networks)}
    return last


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, average and save."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True, help="folders, files, shipped models or Hub repositories")
    parser.add_argument("--out", type=Path, required=True, help="folder for the average")
    args = parser.parse_args(argv)
    try:
        average([CRNN.from_pretrained(name) for name in args.models]).save_pretrained(args.out, dtype=torch.float16)
    except (ModelError, ValueError, OSError) as error:
        sys.exit(f"training.average: {error}")


if __name__ == "__main__":
    main()
