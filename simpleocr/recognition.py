"""Recognition: line pictures -> Lines; batch by width, forward, decode, timesteps back to pixels."""

from collections.abc import Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor

from simpleocr.crnn import COLUMN_STRIDE, CRNN
from simpleocr.decoding import Decoded, Decoder, LogProbs, greedy
from simpleocr.document import Char, Line
from simpleocr.geometry import box_to_polygon
from simpleocr.preprocessing import line_to_tensor, stack_lines

BATCH_COLUMNS = 16_384  # columns of a batch, padding included: bounds memory whatever the widths


def recognize(network: CRNN, images: Sequence[Image.Image], decoder: Decoder = greedy) -> list[Line]:
    """Read pictures of one line each.

    Args:
        network: in eval mode.
        images: 8-bit pictures without alpha, as load_image gives them.
        decoder: one of DECODERS.

    Returns:
        A Line for each image, in its pixels.

    Raises:
        InputError: a line that is too wide for the network.
    """
    assert not network.training, "a network in train mode reads every batch differently: call eval()"
    tensors = [line_to_tensor(image, network.config.preprocessing) for image in images]
    lines: list[Line | None] = [None] * len(images)
    for batch in _batches([tensor.shape[-1] for tensor in tensors]):
        for i, log_probs in zip(batch, log_probabilities(network, [tensors[i] for i in batch]), strict=True):
            decoded = decoder(log_probs, network.vocabulary)
            lines[i] = _line(decoded, images[i].size, COLUMN_STRIDE * images[i].width / tensors[i].shape[-1])
    return [line for line in lines if line is not None]


def log_probabilities(network: CRNN, tensors: list[Tensor]) -> list[LogProbs]:
    """Line tensors (1, H, W_i) -> calibrated log_probs (T_i, C) of each, as if it had been read alone."""
    images, widths = stack_lines(tensors)
    with torch.inference_mode():
        logits = network(images.to(network.classifier.weight.device), widths)
        log_probs = (logits.float() / network.config.temperature).log_softmax(dim=-1).cpu().numpy()
    return [rows[:count] for rows, count in zip(log_probs, network.timesteps(widths).tolist(), strict=True)]


def _batches(widths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of lines of similar width, few enough at a time to fit BATCH_COLUMNS."""
    batch: list[int] = []
    for i in sorted(range(len(widths)), key=lambda i: widths[i]):
        if batch and (len(batch) + 1) * widths[i] > BATCH_COLUMNS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _line(decoded: Decoded, size: tuple[int, int], pixels: float) -> Line:
    """Spans in timesteps of `pixels` each -> characters in a picture of `size` (width, height)."""
    width, height = size

    def column(timestep: int) -> float:
        # a timestep looks at the column it starts with, so it stands for half a step to either side of that
        return min(max(0.0, (timestep - 0.5) * pixels), float(width))

    chars = tuple(
        Char(
            text=span.char,
            score=span.score,
            runner_up=span.runner_up,
            runner_up_score=span.runner_up_score,
            polygon=box_to_polygon((column(span.start), 0, column(span.end), height)),
        )
        for span in decoded.spans
    )
    return Line(chars, box_to_polygon((0, 0, width, height)))
