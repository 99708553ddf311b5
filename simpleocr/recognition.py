"""Recognition: line pictures -> Lines; batch by width, forward, decode, timesteps back to pixels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Protocol

import numpy as np
from PIL import Image

from simpleocr.beam import NextCharacter
from simpleocr.decoding import Decoded, Decoder, greedy
from simpleocr.document import Char, Line
from simpleocr.extents import Ink, extents, ink_of
from simpleocr.framing import closer, seen_columns
from simpleocr.geometry import box_to_polygon
from simpleocr.likelihood import NEVER, Likelihood, LogProbs, likelihoods
from simpleocr.preprocessing import COLUMN_STRIDE, Lines, Preprocessing, line_to_tensor, padded
from simpleocr.vocabulary import BLANK, Vocabulary
from simpleocr.windows import stitched, windows

IMPOSSIBLE = -100.0  # logarithm of the probability of any character where there is none
BATCH_COLUMNS = 16_384  # columns of a batch, padding included: bounds memory whatever the widths


class Recognizer(Protocol):
    """What reads lines: a CRNN, whatever computes it."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters it can write."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How line pictures become its input."""

    @property
    def language(self) -> NextCharacter | None:
        """What a decoder may ask, if the model has one."""

    def log_probs(self, lines: Sequence[Lines]) -> list[LogProbs]:
        """Line tensors (1, H, W_i) -> calibrated log_probs (T_i, C) of each, as if it had been read alone."""


@dataclass(frozen=True)
class Place:
    """Where in a picture the columns lie that a network was shown.

    Args:
        size: (width, height) of the picture in pixels.
        rows: (top, bottom) of what was shown, in pixels.
        edges: where each column begins, and where the last ends, in pixels; what lies between two was not shown.
    """

    size: tuple[int, int]
    rows: tuple[int, int]
    edges: Sequence[float]

    def seen_as(self, other: "Place") -> "Place":
        """With the columns of another picture of the same, which may be wider or narrower."""
        factor = self.size[0] / other.size[0]
        return Place(self.size, self.rows, [factor * edge for edge in other.edges])


@dataclass(frozen=True)
class Reading:
    """What became of one picture.

    Args:
        decoded: its text.
        likelihood: how likely it says that.
        log_probs: (T, C) what it was decoded from.
        ink: of the columns that it was read from.
        place: where that is in the picture.
    """

    decoded: Decoded
    likelihood: Likelihood
    log_probs: LogProbs
    ink: Ink
    place: Place

    @property
    def log_confidence(self) -> float:
        """The logarithm of the probability that the text is right, among those that might have been written."""
        log_mass = self.decoded.log_mass
        if log_mass > NEVER:
            return min(0.0, self.likelihood.log_prob - log_mass)
        # nothing that is allowed fits: as surely as it says nothing; what was written instead is not likely, but wrong
        return NEVER if self.decoded.text else min(0.0, self.likelihood.log_prob)

    @cached_property
    def line(self) -> Line:
        """Spans in timesteps -> characters in the picture."""
        (width, height), (top, bottom), x = self.place.size, self.place.rows, self.place.edges
        spans = self.decoded.spans
        places = extents([span.char for span in spans], [(span.start, span.end) for span in spans], self.ink)
        # under a constraint, a letter is doubtful only as far as another would be allowed in its place
        parts = self.decoded.allowed or self.likelihood
        # where several views were asked, the text is likelier or less likely than here; each character has its part in that
        share = self.log_confidence / parts.log_prob if parts.log_prob < 0 else 1.0
        log_chars = list(parts.log_chars)
        if log_chars:  # that nothing follows is the last one's part
            log_chars[-1] += min(0.0, parts.log_prob - sum(log_chars))
        chars = tuple(
            Char(
                text=span.char,
                confidence=math.exp(share * log_char),
                runner_up=span.runner_up,
                runner_up_score=span.runner_up_score,
                polygon=box_to_polygon((x[left], top, x[right], bottom)),
            )
            for span, log_char, (left, right) in zip(spans, log_chars, places, strict=True)
        )
        return Line(chars, box_to_polygon((0, 0, width, height)), math.exp(self.log_confidence))


def recognize(network: Recognizer, images: Sequence[Image.Image], decoder: Decoder = greedy) -> list[Line]:
    """Read pictures of one line each.

    Args:
        network: a CRNN in eval mode, faster through for_inference(), or an OnnxCRNN.
        images: 8-bit pictures without alpha, as load_image gives them.
        decoder: one of DECODERS.

    Returns:
        A Line for each image, in its pixels.

    Raises:
        InputError: a line that is too wide for the network.
    """
    return [reading.line for reading in readings(network, images, decoder)]


def readings(network: Recognizer, images: Sequence[Image.Image], decoder: Decoder = greedy) -> list[Reading]:
    """As recognize(), with all that a Line is made of."""
    views = [_view(image, network.preprocessing) for image in images]
    found: list[Reading | None] = [None] * len(images)
    every = line_log_probs(network, [view.tensor for view in views])
    for batch in _batches([view.tensor.shape[-1] for view in views]):
        rows = [every[i] for i in batch]
        decoded = [decoder(log_probs, network.vocabulary) for log_probs in rows]
        likely = likelihoods_of(network.vocabulary, decoded, rows)
        for i, text, likelihood, log_probs in zip(batch, decoded, likely, rows, strict=True):
            found[i] = Reading(text, likelihood, log_probs, ink_of(views[i].tensor), views[i].place)
    return [one for one in found if one is not None]


@dataclass(frozen=True)
class _View:
    tensor: Lines
    place: Place


def _view(image: Image.Image, preprocessing: Preprocessing) -> _View:
    """What the network is shown of a picture."""
    top, bottom = closer(image)
    near = image if bottom - top == image.height else image.crop((0, top, image.width, bottom))
    whole = line_to_tensor(near, preprocessing)
    columns = seen_columns(whole)
    edges = tuple((image.width * np.append(columns, columns[-1] + 1) / whole.shape[-1]).tolist())
    tensor = whole if len(columns) == whole.shape[-1] else np.ascontiguousarray(whole[..., columns])
    return _View(tensor, Place(image.size, (top, bottom), edges))


def likelihoods_of(vocabulary: Vocabulary, decoded: Sequence[Decoded], rows: Sequence[LogProbs]) -> list[Likelihood]:
    """How likely each line says what was decoded."""
    texts = [vocabulary.encode(one.text) for one in decoded]
    # what a constraint allows is meant to the letter; else spaces at the ends of a line are none
    free = [one.log_mass == 0 for one in decoded]
    if all(free) or not any(free):
        return likelihoods(rows, texts, vocabulary.space if all(free) else -1)
    return [
        likelihoods([row], [text], vocabulary.space if of_all else -1)[0]
        for row, text, of_all in zip(rows, texts, free, strict=True)
    ]


def line_log_probs(network: Recognizer, tensors: Sequence[Lines]) -> list[LogProbs]:
    """As Recognizer.log_probs(), of any number of lines of any width, in batches; wide lines in windows."""
    cuts = [windows(tensor.shape[-1], network.preprocessing) for tensor in tensors]
    pieces = [tensor[..., start:end] for tensor, cut in zip(tensors, cuts, strict=True) for start, end in cut]
    read: dict[int, LogProbs] = {}
    for batch in _batches([piece.shape[-1] for piece in pieces]):
        for i, log_probs in zip(batch, network.log_probs([pieces[i] for i in batch]), strict=True):
            read[i] = _nothing(log_probs) if (pieces[i] == pieces[i].flat[0]).all() else log_probs
    parts = (read[i] for i in range(len(pieces)))
    return [stitched(list(islice(parts, len(cut))), [start // COLUMN_STRIDE for start, _ in cut]) for cut in cuts]


def _nothing(log_probs: LogProbs) -> LogProbs:
    """What a picture of one grey says, of which a network may have its doubts: surely nothing."""
    sure = np.full_like(log_probs, IMPOSSIBLE)
    sure[:, BLANK] = 0.0
    return sure


def _batches(widths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of lines of similar width, few enough at a time to fit BATCH_COLUMNS."""
    batch: list[int] = []
    for i in sorted(range(len(widths)), key=lambda i: widths[i]):
        if batch and (len(batch) + 1) * padded(widths[i]) > BATCH_COLUMNS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
