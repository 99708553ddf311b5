"""Grow a recognizer: the same readings from a deeper network, to train on from there.

    python -m training.grow --model english --backbone medium --out runs/grown

Net2Net (Chen et al. 2015, arXiv 1511.05641): what is new in a stage are residual blocks at its end whose branch is
multiplied by 0, so that they change nothing until they have learned something.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from simpleocr.config import BACKBONES
from simpleocr.crnn import CRNN
from simpleocr.modelfile import ModelError
from simpleocr.residual import ResidualBlock


def grow(network: CRNN, backbone: str) -> CRNN:
    """A network of the sizes of `backbone` that reads as `network` does; its ranges are to be measured anew.

    Raises:
        ValueError: the backbone differs in more than having more blocks.
    """
    small, large = BACKBONES[network.config.backbone], BACKBONES[backbone]
    more = all(few <= many for few, many in zip(small.blocks, large.blocks, strict=True))
    if replace(small, blocks=large.blocks) != large or not more:
        raise ValueError(f"{backbone} is not {network.config.backbone} with more blocks")
    grown = CRNN(replace(network.config, backbone=backbone, ranges=()), dict(network.training_summary))
    grown.load_state_dict(network.state_dict(), strict=False)
    for old, stage in zip(small.blocks, grown.stages, strict=True):
        for block in list(stage)[old:]:  # type: ignore[call-overload]  # a ModuleList of blocks
            assert isinstance(block, ResidualBlock)
            nn.init.zeros_(block.second_norm.weight)
    return grown.eval()


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, grow and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder, file, shipped model or Hub repository")
    parser.add_argument("--backbone", choices=sorted(BACKBONES), default="medium")
    parser.add_argument("--out", type=Path, required=True, help="folder for the grown model")
    args = parser.parse_args(argv)
    try:
        grow(CRNN.from_pretrained(args.model), args.backbone).save_pretrained(args.out, dtype=torch.float16)
    except (ModelError, ValueError, OSError) as error:
        sys.exit(f"training.grow: {error}")


if __name__ == "__main__":
    main()
