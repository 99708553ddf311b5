"""Views: lines of a batch, each seen from another side than the last time; on the device that trains.

Shapes: B lines, H rows, W columns.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from simpleocr.preprocessing import Preprocessing

LEVEL = 0.4  # of the lines stay where they are
TURN = 0.02  # radians, standard deviation
STEEPEST = 0.05  # of the height that a turned line rises or falls towards its ends, at most
SHEAR = 0.08  # standard deviation
NARROWEST = 0.88  # of its width that a line keeps; beside it its edge goes on
ROOM = 0.05  # of the height that is cut off at most, or three times that added
INVERTED, NOISY, SOFT, LIT, EXPOSED = 0.05, 0.2, 0.15, 0.2, 0.15  # shares of the lines
FAR, SMEARED = 0.08, 0.05  # likewise
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of a camera that moves, as shares of its reach
FARTHEST = 0.08  # of the height, its reach at most


def seen_again(
    images: Tensor, preprocessing: Preprocessing, generator: torch.Generator, rng: np.random.Generator
) -> Tensor:
    """Grey values (B, 1, H, W) uint8 -> what the network reads (B, 1, H, W) float32, as grey_to_tensor() makes it.

    Most lines are moved, turned, sheared and scaled a little; some are blurred, coarse, noisy, lit from a side, inverted or of
    another exposure.
    """
    count, _, height, width = images.shape

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=images.device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=images.device)

    moved = (draw(count) > LEVEL).float()
    # from the new line's coordinates, -1..1 both ways, to the old one's
    wide = 1 + moved * draw(count) * (1 / NARROWEST - 1)
    high = 1 + moved * ROOM * (4 * draw(count) - 1)
    aspect = width / height
    theta = torch.zeros(count, 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 1, 1] = wide, high
    theta[:, 0, 1] = moved * normal(count) * SHEAR / aspect
    theta[:, 1, 0] = (moved * normal(count) * TURN * aspect).clamp(-2 * STEEPEST, 2 * STEEPEST)
    theta[:, 0, 2] = (2 * draw(count) - 1) * (wide - 1)
    theta[:, 1, 2] = (2 * draw(count) - 1) * (high - 1).abs()
    grey = images.float()
    grid = F.affine_grid(theta, [count, 1, height, width], align_corners=False)
    grey = F.grid_sample(grey, grid, mode="bilinear", padding_mode="border", align_corners=False)
    grey = _smeared(_from_afar(grey, rng), rng)
    soft = F.avg_pool2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), 3, 1)
    grey = torch.where((draw(count) < SOFT)[:, None, None, None], soft, grey)
    noise = torch.where(draw(count) < NOISY, 12 * draw(count), torch.zeros_like(wide))[:, None, None, None]
    grey = (grey + noise * normal(*grey.shape)).clamp(0, 255)
    grey = _lit(grey, draw(count, 2), draw(count) < LIT)
    grey = torch.where((draw(count) < INVERTED)[:, None, None, None], 255 - grey, grey) / 255
    grey = grey.clamp(min=0)  # rounding leaves light a hair over 255: inverted it has no power, and one NaN ends a run
    gamma = torch.where(draw(count) < EXPOSED, (1.4 * draw(count) - 0.7).exp(), torch.ones_like(wide))
    grey = grey ** gamma[:, None, None, None]
    grey = grey - grey.mean(dim=(2, 3), keepdim=True)  # as grey_to_tensor(), where the lines are
    std = grey.square().mean(dim=(2, 3), keepdim=True).sqrt()
    return grey / std.clamp(min=preprocessing.least_std)


def _some(share: float, rng: np.random.Generator) -> slice:
    """Such a share of a batch's lines, evenly spread over it: a slice, for which a GPU has not to be waited for."""
    step = round(1 / share)
    return slice(int(rng.integers(0, step)), None, step)


def _from_afar(grey: Tensor, rng: np.random.Generator) -> Tensor:
    """Some of the lines reduced, in a batch all as far, and enlarged again."""
    height, width = grey.shape[2:]
    factor = rng.uniform(0.35, 0.8)
    lines = _some(FAR, rng)
    if len(grey[lines]):
        small = F.interpolate(grey[lines], (round(height * factor), max(1, round(width * factor))), mode="area")
        grey[lines] = F.interpolate(small, (height, width), mode="bilinear")
    return grey


def _smeared(grey: Tensor, rng: np.random.Generator) -> Tensor:
    """Some of the lines taken by a camera that moved, in a batch all the same way: along, across or between."""
    height, width = grey.shape[2:]
    reach, angle = rng.uniform(0, FARTHEST * height), rng.uniform(0, np.pi)
    room = math.ceil(FARTHEST * height)
    lines = _some(SMEARED, rng)
    if len(grey[lines]):
        dimmed = F.pad(grey[lines], (room, room, room, room), mode="replicate") / len(STEPS)
        at = [
            (room + round(step * reach * np.sin(angle)), room + round(step * reach * np.cos(angle))) for step in STEPS
        ]
        grey[lines] = torch.stack([dimmed[..., y : y + height, x : x + width] for y, x in at]).sum(dim=0)
    return grey


def _lit(grey: Tensor, amounts: Tensor, chosen: Tensor) -> Tensor:
    """Some of the lines lit from a side; `amounts` (B, 2) in 0..1 say from where and how much. Nothing becomes brighter."""
    height, width = grey.shape[2:]
    x = torch.linspace(-1, 1, width, device=grey.device)
    y = torch.linspace(-1, 1, height, device=grey.device)
    slopes = 0.8 * (amounts - 0.5) * chosen[:, None]
    light = 1 + slopes[:, :1, None, None] * x + slopes[:, 1:, None, None] * y[:, None]
    return grey * light / light.amax(dim=(2, 3), keepdim=True)
