"""Views: lines of a batch, each seen from another side than the last time; on the device that trains.

Shapes: B lines, H rows, W columns.
"""

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
INVERTED, NOISY, SOFT = 0.05, 0.2, 0.15  # shares of the lines


def seen_again(images: Tensor, preprocessing: Preprocessing, generator: torch.Generator) -> Tensor:
    """Grey values (B, 1, H, W) uint8 -> what the network reads (B, 1, H, W) float32, as grey_to_tensor() makes it.

    Most lines are moved, turned, sheared and scaled a little, some are blurred, noisy or inverted.
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
    soft = F.avg_pool2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), 3, 1)
    grey = torch.where((draw(count) < SOFT)[:, None, None, None], soft, grey)
    noise = torch.where(draw(count) < NOISY, 12 * draw(count), torch.zeros_like(wide))[:, None, None, None]
    grey = (grey + noise * normal(*grey.shape)).clamp(0, 255)
    grey = torch.where((draw(count) < INVERTED)[:, None, None, None], 255 - grey, grey) / 255
    grey = grey - grey.mean(dim=(2, 3), keepdim=True)  # as grey_to_tensor(), where the lines are
    std = grey.square().mean(dim=(2, 3), keepdim=True).sqrt()
    return grey / std.clamp(min=preprocessing.least_std)
