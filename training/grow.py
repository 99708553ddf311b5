"""Grow a recognizer into a deeper one that reads as it does: what was learned is not learned again.

    python -m training.grow --model english --backbone base --out runs/base_start

Residual blocks are put behind those of each stage (Net2Net, Chen et al. 2016, arXiv 1511.05641). The last norm of a new
block has weight 0 (Goyal et al. 2017, arXiv 1706.02677): what comes into it goes out, until training finds it something
to add. Language and temperature stay; ranges are measured anew.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from simpleocr.config import BACKBONES
from simpleocr.crnn import CRNN
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser


def grown(network: CRNN, backbone: str) -> CRNN:
    """A network of this backbone that has the logits of `network`, in eval mode.

    Raises:
        ValueError: a backbone that differs in more than blocks, or has not more of them.
    """
    before, after = BACKBONES[network.config.backbone], BACKBONES[backbone]
    if replace(after, blocks=before.blocks) != before:
        raise ValueError(f"{network.config.backbone!r} grows blocks alone, and {backbone!r} differs in more than these")
    fewer = any(count < had for count, had in zip(after.blocks, before.blocks, strict=True))
    if fewer or after.blocks == before.blocks:
        raise ValueError(f"{backbone!r} has not more blocks than {network.config.backbone!r}")
    config = replace(network.config, backbone=backbone, ranges=())
    larger = CRNN(config, {**network.training_summary, "grown": network.config.backbone})
    for stage, had in zip(larger.stages, before.blocks, strict=True):
        for block in list(stage)[had:]:  # type: ignore[call-overload]  # a stage is a list of blocks
            torch.nn.init.zeros_(block.second_norm.weight)
    larger.load_state_dict(larger.state_dict() | network.state_dict())
    return larger.eval()


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, grow and save."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder, a file, a shipped model or a Hub repository")
    parser.add_argument("--backbone", choices=sorted(BACKBONES), default="base")
    parser.add_argument("--seed", type=int, default=0, help="of the weights that are drawn")
    parser.add_argument("--out", type=Path, required=True, help="folder for the larger model")
    args = parser.parse_args(argv)
    torch.manual_seed(args.seed)
    try:
        network = grown(CRNN.from_pretrained(args.model), args.backbone)
        network.save_pretrained(args.out, dtype=torch.float16)
    except (ModelError, ValueError, OSError) as error:
        sys.exit(f"training.grow: {error}")


if __name__ == "__main__":
    main()
