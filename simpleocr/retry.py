"""Retry: when a reading is doubtful, the line is looked at from other sides, all in one batch, and the likeliest text wins.

Boxes that are drawn too tight or too loose, letters that lean and polarity are what a recognizer is least sure about;
how they are best undone need not be found out if every way is tried. Pictures that are read surely pay nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from simpleocr.crnn import CRNN
from simpleocr.decoding import Decoder, aligned, greedy
from simpleocr.document import Line
from simpleocr.geometry import Transform
from simpleocr.likelihood import NEVER, likelihoods
from simpleocr.recognition import Reading, readings

DOUBT = 0.8  # a reading that is less likely right is looked at again
AGREEING = 3  # a text's probability is its mean over so many views, those in which it is likeliest
TALL = 1.5  # height over width from which a picture may hold text that was turned by a quarter
TALL_DOUBT = (
    0.97  # such a picture is looked at again even if it was read rather surely: a column of print looks like "I"
)
INK_CONTRAST = 0.35  # of the largest difference from the ground: what differs more is ink


def _stretched(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize((max(1, round(image.width * factor)), image.height), Image.Resampling.BICUBIC)


def _trimmed(sides: float, ends: float) -> Callable[[Image.Image], Image.Image]:
    """Shares of the height cut off above and below, and at both ends; below zero, room is added, in the edge's greys."""

    def trim(image: Image.Image) -> Image.Image:
        above, before = round(sides * image.height), round(ends * image.height)
        if min(above, before) < 0:
            return Image.fromarray(np.pad(np.asarray(image), ((-above, -above), (-before, -before)), mode="edge"))
        if image.height - 2 * above < 4 or image.width - 2 * before < 4:
            return image
        return image.crop((before, above, image.width - before, image.height - above))

    return trim


def _ground(image: Image.Image) -> int:
    """The grey of most of the border."""
    grey = np.asarray(image)
    return int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))


def _to_ink(image: Image.Image) -> Image.Image:
    """Without wide margins of an even ground; most pictures as they are."""
    difference = np.abs(np.asarray(image).astype(np.int16) - _ground(image))
    ink = difference > max(16, INK_CONTRAST * int(difference.max()))
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return image
    room = max(1, round(0.12 * (rows[-1] - rows[0] + 1)))
    left, top = max(0, int(columns[0]) - room), max(0, int(rows[0]) - room)
    return image.crop(
        (left, top, min(image.width, int(columns[-1]) + 1 + room), min(image.height, int(rows[-1]) + 1 + room))
    )


def _rotated(degrees: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=_ground(image))


def _sheared(slope: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(
        image.size,
        Image.Transform.AFFINE,
        (1, slope, -slope * image.height / 2, 0, 1, 0),
        Image.Resampling.BICUBIC,
        fillcolor=_ground(image),
    )


VIEWS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "narrower": _stretched(0.8),
    "wider": _stretched(1.25),
    "trimmed": _trimmed(0.06, 0.06),
    "trimmed more": _trimmed(0.12, 0.12),
    "trimmed above and below": _trimmed(0.08, 0),
    "padded": _trimmed(-0.08, -0.08),
    "cropped to its ink": _to_ink,
    "inverted": ImageOps.invert,
    "turned left": _rotated(5),
    "turned right": _rotated(-5),
    "leaning left": _sheared(0.25),
    "leaning right": _sheared(-0.25),
}
"""Grey line picture -> the same text seen a little differently; to add one is one entry."""


@dataclass(frozen=True)
class Turn:
    """A picture turned as a whole.

    Args:
        apply: the turn.
        back: (width, height) before it -> Transform from the turned picture's pixels to the picture's.
        odds: what a reading that was turned so is multiplied with before it is compared: few texts are upside down.
        quarter: whether it is tried on tall pictures alone, and must have more than one letter: "I" lying is a dash.
    """

    apply: Image.Transpose
    back: Callable[[int, int], Transform]
    odds: float
    quarter: bool


TURNS: dict[str, Turn] = {
    "upside down": Turn(
        Image.Transpose.ROTATE_180, lambda w, h: Transform(((-1, 0, w), (0, -1, h), (0, 0, 1))), 0.7, quarter=False
    ),
    "upwards": Turn(
        Image.Transpose.ROTATE_270, lambda _, h: Transform(((0, 1, 0), (-1, 0, h), (0, 0, 1))), 1.0, quarter=True
    ),
    "downwards": Turn(
        Image.Transpose.ROTATE_90, lambda w, _: Transform(((0, -1, w), (1, 0, 0), (0, 0, 1))), 1.0, quarter=True
    ),
}
"""How a line may lie in its picture: the turn that sets it right, named by where its text runs."""


@dataclass(frozen=True)
class Look:
    """What became of one picture.

    Args:
        line: what it says.
        readings: of the views that were taken; one where the first was sure enough.
    """

    line: Line
    readings: Sequence[Reading]


def recognize_carefully(
    network: CRNN, images: Sequence[Image.Image], decoder: Decoder = greedy, doubt: float = DOUBT
) -> list[Line]:
    """As recognition.recognize(), but what is read with a confidence below `doubt` is read again from every side.

    The confidence of a text that was read again is the mean of what the AGREEING views that favour it most say.

    Raises:
        InputError: a line that is too wide for the network.
    """
    return [look.line for look in looks(network, images, decoder, doubt)]


def looks(network: CRNN, images: Sequence[Image.Image], decoder: Decoder = greedy, doubt: float = DOUBT) -> list[Look]:
    """As recognize_carefully(), with the readings that led there."""
    first = readings(network, images, decoder)
    found = [Look(reading.to_line(), [reading]) for reading in first]
    doubtful = [
        i
        for i, (look, image) in enumerate(zip(found, images, strict=True))
        if look.line.confidence < (max(doubt, TALL_DOUBT) if doubt > 0 and _is_tall(image) else doubt)
    ]
    greys = [images[i].convert("L") for i in doubtful]
    turns = [[t for t in TURNS.values() if not t.quarter or _is_tall(g)] for g in greys]
    pictures = [
        picture
        for grey, own in zip(greys, turns, strict=True)
        for picture in (*(view(grey) for view in VIEWS.values()), *(grey.transpose(turn.apply) for turn in own))
    ]
    widest = network.config.preprocessing
    fits = [widest.width(picture.size) <= widest.max_width for picture in pictures]
    read = iter(readings(network, [p for p, fit in zip(pictures, fits, strict=True) if fit], decoder))
    others = iter([next(read) if fit else None for fit in fits])
    for i, grey, own in zip(doubtful, greys, turns, strict=True):
        seen = [first[i], *(other for _ in VIEWS if (other := next(others)) is not None)]
        best, confidence = _agreed(network, seen)
        found[i] = Look(best.to_line(), seen)
        for turn in own:
            other = next(others)
            if other is None or (turn.quarter and sum(c.isalnum() for c in other.decoded.text) < 2):
                continue
            if turn.odds * math.exp(other.log_confidence) > confidence:
                confidence = turn.odds * math.exp(other.log_confidence)
                found[i] = Look(other.to_line().moved(turn.back(*grey.size)), [other])
    return found


def _is_tall(image: Image.Image) -> bool:
    return image.height > TALL * image.width


def agreement(log_probs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What views (first axis) say of texts together: the mean probability in the AGREEING that favour each most."""
    return np.asarray(np.sort(np.exp(np.minimum(0.0, log_probs)), axis=0)[-AGREEING:].mean(axis=0))


def _agreed(network: CRNN, seen: Sequence[Reading]) -> tuple[Reading, float]:
    """The text that views of one line agree on, placed in the first of them, and its confidence."""
    vocabulary = network.vocabulary
    texts = list(dict.fromkeys(reading.decoded.text for reading in seen))
    space = vocabulary.space if all(reading.decoded.log_mass == 0 for reading in seen) else -1
    every = likelihoods(
        [reading.log_probs for reading in seen for _ in texts],
        [vocabulary.encode(text) for _ in seen for text in texts],
        space,
    )
    table = [every[i : i + len(texts)] for i in range(0, len(every), len(texts))]
    masses = np.array([[reading.decoded.log_mass] for reading in seen])
    logs = np.array([[one.log_prob for one in row] for row in table]) - masses
    logs[masses[:, 0] <= NEVER] = NEVER  # nothing that is allowed fits into that view
    confidences = agreement(logs)
    priors = {reading.decoded.text: reading.decoded.log_prior for reading in seen}
    text = int((np.log(np.maximum(confidences, 1e-300)) + [priors[text] for text in texts]).argmax())
    confidence = float(confidences[text])
    if confidence <= 0:
        return seen[0], 0.0
    view = int(logs[:, text].argmax())
    likelihood = table[view][text]
    ids = vocabulary.encode(texts[text])
    try:
        decoded = aligned(seen[0].log_probs, vocabulary, ids)
        place = seen[0]
    except ValueError:  # too many characters for the first view; the one that read them has its width to itself
        decoded, place = seen[view].decoded, replace(seen[0], pixels=seen[0].size[0] / len(seen[view].log_probs))
        if decoded.text != texts[text]:
            decoded = aligned(seen[view].log_probs, vocabulary, ids)
    decoded = replace(decoded, log_mass=likelihood.log_prob - math.log(confidence))
    return replace(place, decoded=decoded, likelihood=likelihood), confidence
