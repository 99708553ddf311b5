"""Bring convolutions of a recognizer to a low rank: it reads nearly as before, and they cost a part of it.

    python -m training.low_rank --model M --dataset CORPUS --ranks stages.3.0.first=160 stages.3.0.second=96 --out DIR

Their outputs on lines are projected onto the dimensions in which they vary most (Zhang et al. 2015, arXiv 1505.06798). The
file is as large as before, and tells nothing of it: simpleocr.low_rank finds it in the weights, for torch and ONNX alike.
Training keeps the dimensions (KeptRanks); training.calibrate and training.ranges come after it.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from simpleocr.crnn import CRNN
from simpleocr.low_rank import STEP, factors, most_dimensions
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.preprocessing import Lines, line_to_tensor
from training.crops import open_samples
from training.data import DataError


class Moments:
    """Mean and second moments of what a module gives, summed up while it runs.

    Args:
        module: whose outputs are (B, D, H, W).
    """

    def __init__(self, module: nn.Module) -> None:
        self.count = 0
        self.sum: Tensor | float = 0.0
        self.products: Tensor | float = 0.0
        self._handle = module.register_forward_hook(self._see)

    def _see(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        rows = output.detach().movedim(1, -1).flatten(0, -2).double()  # (N, D)
        self.count += len(rows)
        self.sum = self.sum + rows.sum(dim=0)
        self.products = self.products + rows.T @ rows

    def close(self) -> tuple[Tensor, Tensor]:
        """Mean (D,) and covariance (D, D); nothing is summed up any more.

        Raises:
            DataError: the module never ran.
        """
        self._handle.remove()
        if not isinstance(self.sum, Tensor) or not isinstance(self.products, Tensor):
            raise DataError("there is no line to measure on")
        mean = self.sum / self.count
        return mean, self.products / self.count - torch.outer(mean, mean)


@torch.no_grad()
def to_low_rank(network: CRNN, name: str, rank: int, lines: Iterable[Lines]) -> float:
    """Bring one convolution to a rank, with the least error of what comes out behind its BatchNorm; ranges are dropped.

    Args:
        network: in eval mode; is changed.
        name: of a convolution that has a norm beside it, such as "stages.3.0.second".
        rank: dimensions that are kept, a multiple of STEP.
        lines: (1, H, W_i) tensors on which it is measured.

    Returns:
        The share of the outputs' variance that is kept.

    Raises:
        ValueError: no such convolution, or no such rank.
        DataError: no lines.
    """
    modules = dict(network.named_modules())
    convolution, norm = modules.get(name), modules.get(f"{name}_norm")
    if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise ValueError(f"no convolution with a norm is called {name!r}")
    most = most_dimensions(convolution.weight.shape)
    if rank % STEP or not 0 < rank <= most:
        raise ValueError(f"the rank of {name} may be a multiple of {STEP} up to {most}: others would make it no faster")
    moments = Moments(norm)
    for line in lines:
        network(torch.from_numpy(line[None]))
    mean, covariance = moments.close()
    variances, directions = torch.linalg.eigh(covariance)  # ascending
    kept = directions[:, -rank:]
    # behind the norm, outputs are gain * (weight * x) + shift
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - gain * norm.running_mean.double()
    rows = gain[:, None] * convolution.weight.double().flatten(1)
    gain = torch.where(gain == 0, 1.0, gain)
    convolution.weight.copy_((kept @ (kept.T @ rows) / gain[:, None]).view_as(convolution.weight))
    norm.bias.add_(mean - kept @ (kept.T @ (mean - shift)) - shift)
    network.config = replace(network.config, ranges=())  # those of other weights
    return float(variances[-rank:].sum() / variances.sum().clamp(min=1e-30))


class KeptRanks:
    """The convolutions of a network that are of low rank, which stay so while they learn.

    What a step adds outside of the dimensions of their outputs is taken out again (projected gradient descent); an average
    of such weights lies in the same dimensions.

    Args:
        network: as it is before it learns.
    """

    def __init__(self, network: nn.Module) -> None:
        self._bases: list[tuple[nn.Conv2d, Tensor]] = []
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and (found := factors(module.weight.detach().cpu().numpy())) is not None:
                wide = torch.from_numpy(found[1]).flatten(1)  # (D, R), orthonormal columns
                self._bases.append((module, wide.to(module.weight.device)))

    def __len__(self) -> int:
        return len(self._bases)

    @torch.no_grad()
    def restore(self) -> None:
        """Bring them back to their ranks."""
        for convolution, basis in self._bases:
            rows = convolution.weight.flatten(1)
            convolution.weight.copy_((basis @ (basis.T @ rows)).view_as(convolution.weight))


def rank_of(text: str) -> tuple[str, int]:
    """NAME=RANK of the command line."""
    name, _, rank = text.partition("=")
    if not rank.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=RANK")
    return name, int(rank)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, bring the convolutions to their ranks and write the model."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder, a file, a shipped model or a Hub repository")
    parser.add_argument("--dataset", nargs="+", required=True, help="lines on which the outputs are measured")
    parser.add_argument("--split", default="train")
    parser.add_argument("--limit", type=int, default=400, help="lines of each set")
    parser.add_argument("--ranks", nargs="+", type=rank_of, required=True, metavar="NAME=RANK")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model that is written")
    args = parser.parse_args(argv)
    if args.limit < 1:
        parser.error("--limit must be at least 1")
    try:
        network = CRNN.from_pretrained(args.model).eval()
        samples = [s for name in args.dataset for s in open_samples(name, split=args.split, limit=args.limit).stream]
        lines = [line_to_tensor(s.image, network.preprocessing) for s in samples if s.image is not None]
        for name, rank in args.ranks:
            kept = to_low_rank(network, name, rank, lines)
            print(f"{name}: {kept:.1%} of the variance in {rank} dimensions")
        network.save_pretrained(args.out, dtype=torch.float16)
    except (ModelError, DataError, ValueError, OSError) as error:
        sys.exit(f"training.low_rank: {error}")


if __name__ == "__main__":
    main()
