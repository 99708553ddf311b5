"""Preprocessing: line picture -> tensor, the same in training, evaluation, reading and export; it travels with the weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr.image import InputError

Lines = npt.NDArray[np.float32]

COLUMN_STRIDE = 4  # columns of a tensor that one timestep stands for
MIN_WIDTH = 16  # pixels of a tensor: below this the network has no column to read from

COLUMNS, LONG_COLUMNS = 16, 64  # widths of batches are multiples of them, up to LONG and beyond it
LONG = 512


@dataclass(frozen=True)
class Preprocessing:
    """How a line picture becomes what the network reads.

    Args:
        height: rows of the tensor, pixels.
        stretch: extra horizontal scale. Condensed capitals need three timesteps a letter, more than the network's
            column spacing gives at the natural width; a wider picture buys them without a wider network.
        least_std: every line's grey values in 0..1 are brought to mean 0 and standard deviation 1, for what is faint
            to us is as hard to a network; of a line that varies less than this, which may be blank, only to that.
        max_width: columns of the tensor, pixels; a wider line is refused, never squeezed.
    """

    height: int = 32
    stretch: float = 1.5
    least_std: float = 0.03
    max_width: int = 32_768

    def __post_init__(self) -> None:
        if not 8 <= self.height <= 256:
            raise ValueError(f"height {self.height} is not in 8..256 pixels")
        if not 0.25 <= self.stretch <= 4:
            raise ValueError(f"stretch {self.stretch} is not in 0.25..4")
        if not 0.001 <= self.least_std <= 1:
            raise ValueError(f"least_std {self.least_std} is not in 0.001..1")
        if not MIN_WIDTH <= self.max_width <= 131_072:
            raise ValueError(f"max_width {self.max_width} is not in {MIN_WIDTH}..131072 pixels")

    def width(self, size: tuple[int, int]) -> int:
        """Columns of the tensor for a picture of `size` (width, height): the aspect ratio kept, then stretched."""
        return max(MIN_WIDTH, round(size[0] * self.height / size[1] * self.stretch))


def to_grey(image: Image.Image, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The picture's luminance at (height, width); reduced with antialiasing, enlarged bilinearly."""
    grey = image if image.mode == "L" else image.convert("L")
    return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))


def grey_to_tensor(grey: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> Lines:
    """Grey values (..., H, W) in 0..255 -> float32 of the same shape, each line normalised by itself."""
    scaled = grey.astype(np.float32) / np.float32(255)
    scaled -= scaled.mean(axis=(-2, -1), keepdims=True)
    std = np.sqrt(np.square(scaled).mean(axis=(-2, -1), keepdims=True))
    scaled /= np.maximum(std, np.float32(preprocessing.least_std))
    return scaled


def line_to_tensor(image: Image.Image, preprocessing: Preprocessing) -> Lines:
    """One line picture (size (width, height), any 8-bit mode without alpha) -> float32 (1, H, W).

    An array of numpy's: what computes the network is not known here.

    Raises:
        InputError: the line would be wider than `max_width`.
    """
    width = preprocessing.width(image.size)
    if width > preprocessing.max_width:
        raise InputError(
            f"a line of {image.width} x {image.height} pixels is too wide to read at once: "
            f"{int(preprocessing.max_width / preprocessing.stretch / preprocessing.height)} times its height is the limit"
        )
    return grey_to_tensor(to_grey(image, width, preprocessing.height), preprocessing)[None]


def padded(width: int) -> int:
    """Columns of a batch whose widest line has `width`."""
    step = COLUMNS if width <= LONG else LONG_COLUMNS
    return -(-width // step) * step


def stack_lines(lines: Sequence[Lines]) -> tuple[Lines, npt.NDArray[np.int64]]:
    """Line tensors (1, H, W_i) -> (images (B, 1, H, W), widths (B,)); W >= W_i, padded with 0 on the right.

    The network masks what lies beyond a line's width, so the padding changes nothing. W is one of few, see padded(),
    for a convolution is prepared anew for every shape that it meets, which costs as much as computing it.
    """
    widths = np.array([line.shape[-1] for line in lines])
    images = np.zeros((len(lines), *lines[0].shape[:-1], padded(int(widths.max()))), dtype=np.float32)
    for image, line in zip(images, lines, strict=True):
        image[..., : line.shape[-1]] = line
    return images, widths
