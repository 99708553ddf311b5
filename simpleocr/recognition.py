"""Recognition: line pictures -> Lines; batch by width, forward, decode, timesteps back to pixels."""

import math
from collections.abc import Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor

from simpleocr.crnn import COLUMN_STRIDE, CRNN
from simpleocr.decoding import Decoded, Decoder, greedy
from simpleocr.document import Char, Line
from simpleocr.geometry import box_to_polygon
from simpleocr.likelihood import NEVER, Likelihood, LogProbs, likelihoods
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
    return [line for line, _ in recognize_with_log_probs(network, images, decoder)]


def recognize_with_log_probs(
    network: CRNN, images: Sequence[Image.Image], decoder: Decoder = greedy
) -> list[tuple[Line, LogProbs]]:
    """As recognize(), with the log_probs (T_i, C) that each line was decoded from."""
    assert not network.training, "a network in train mode reads every batch differently: call eval()"
    tensors = [line_to_tensor(image, network.config.preprocessing) for image in images]
    found: list[tuple[Line, LogProbs] | None] = [None] * len(images)
    for batch in _batches([tensor.shape[-1] for tensor in tensors]):
        rows = log_probabilities(network, [tensors[i] for i in batch])
        decoded = [decoder(log_probs, network.vocabulary) for log_probs in rows]
        for i, log_probs, one, likely in zip(batch, rows, decoded, likelihoods_of(network, rows, decoded), strict=True):
            pixels = COLUMN_STRIDE * images[i].width / tensors[i].shape[-1]
            found[i] = (to_line(one, likely, images[i].size, pixels), log_probs)
    return [one for one in found if one is not None]


def likelihoods_of(network: CRNN, rows: Sequence[LogProbs], decoded: Sequence[Decoded]) -> list[Likelihood]:
    """How likely each line says what was decoded."""
    vocabulary = network.vocabulary
    texts = [vocabulary.encode(one.text) for one in decoded]
    # what a constraint allows is meant to the letter; else spaces at the ends of a line are none
    plain = [one.log_mass == 0 for one in decoded]
    if all(plain) or not any(plain):
        return likelihoods(rows, texts, vocabulary.space if all(plain) else -1)
    return [
        likelihoods([row], [text], vocabulary.space if of_all else -1)[0]
        for row, text, of_all in zip(rows, texts, plain, strict=True)
    ]


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


def to_line(decoded: Decoded, likelihood: Likelihood, size: tuple[int, int], pixels: float) -> Line:
    """Spans in timesteps of `pixels` each -> characters in a picture of `size` (width, height)."""
    width, height = size

    def column(timestep: int) -> float:
        # a timestep looks at the column it starts with, so it stands for half a step to either side of that
        return min(max(0.0, (timestep - 0.5) * pixels), float(width))

    # where nothing that is allowed fits, what was written instead is not likely, but wrong
    log_confidence = min(0.0, likelihood.log_prob - decoded.log_mass) if decoded.log_mass > NEVER else NEVER
    # under a constraint the text is likelier than without; each character gets its part of that
    share = log_confidence / likelihood.log_prob if likelihood.log_prob < 0 else 1.0
    chars = tuple(
        Char(
            text=span.char,
            confidence=math.exp(share * log_char),
            runner_up=span.runner_up,
            runner_up_score=span.runner_up_score,
            polygon=box_to_polygon((column(span.start), 0, column(span.end), height)),
        )
        for span, log_char in zip(decoded.spans, likelihood.log_chars, strict=True)
    )
    return Line(chars, box_to_polygon((0, 0, width, height)), math.exp(log_confidence))
