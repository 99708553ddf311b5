"""Retry: when a reading is doubtful, the line is looked at from other sides, all in one batch, and the likeliest text wins.

Boxes that are drawn too tight or too loose, letters that lean and polarity are what a recognizer is least sure about;
how they are best undone need not be found out if every way is tried. Pictures that are read surely pay nothing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from simpleocr.decoding import Decoder, aligned, greedy, says_nothing
from simpleocr.deskew import DOWNWARDS, UPSIDE_DOWN, UPWARDS, Incline
from simpleocr.document import Line
from simpleocr.geometry import Transform
from simpleocr.image import box_of, ground, ink
from simpleocr.likelihood import NEVER, Likelihood, likelihoods
from simpleocr.preprocessing import Preprocessing
from simpleocr.recognition import Reading, Recognizer, readings
from simpleocr.vocabulary import Vocabulary

DOUBT = 0.8  # a line with a word that is less likely right is looked at again
AGREEING = 3  # a text's probability is its mean over so many views, those in which it is likeliest
TALL = 1.5  # height over width from which a picture may hold text that was turned by a quarter
TALL_DOUBT = 0.97  # the same for such a picture: a column of print looks like a sure "I"
SLOPES = (
    0.1,
    0.2,
    0.3,
    0.45,
)  # of lines that climb in their pictures, as they do in boxes that are drawn upright around them
STEEPEST = 0.6  # of a picture's height that a line may climb from its beginning to its end
COLOURFUL = 64  # of 255 that the strength of colours must differ by for letters to be looked for in it
LONG = 12  # characters from which on a text is not easily given up, nor for one of half its length
CONVINCING = 0.05  # confidence that another text must reach to take the place of one of that length
LEGIBLE = 0.6  # confidence that a turned picture's characters must have, on average
PROPOSALS = 6  # texts of other views that are weighed, those the views were surest of
NARROWEST = 0.05  # width over height of a picture that is looked at from other sides: a narrower one is no line
LINES_AT_ONCE = 16  # doubtful lines whose views are read together: bounds memory
CELLS = 100_000  # views times texts times states that are computed at a time: bounds memory


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


def _to_ink(image: Image.Image) -> Image.Image:
    """Without wide margins of an even ground; most pictures as they are."""
    box = box_of(ink(image))
    if box is None:
        return image
    left, top, right, bottom = box
    room = max(1, round(0.12 * (bottom - top)))
    return image.crop(
        (max(0, left - room), max(0, top - room), min(image.width, right + room), min(image.height, bottom + room))
    )


def _rotated(degrees: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=ground(image))


def _sheared(slope: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(
        image.size,
        Image.Transform.AFFINE,
        (1, slope, -slope * image.height / 2, 0, 1, 0),
        Image.Resampling.BICUBIC,
        fillcolor=ground(image),
    )


@dataclass(frozen=True)
class View:
    """The same text seen a little differently.

    Args:
        apply: grey line picture -> another.
        longest: width over height up to which it is taken: a long line that is turned is mostly what lies around it.
    """

    apply: Callable[[Image.Image], Image.Image]
    longest: float = math.inf


VIEWS: dict[str, View] = {
    "narrower": View(_stretched(0.8)),
    "wider": View(_stretched(1.25), 10),
    "trimmed": View(_trimmed(0.06, 0.06)),
    "trimmed more": View(_trimmed(0.12, 0.12), 10),
    "trimmed above and below": View(_trimmed(0.08, 0), 10),
    "padded": View(_trimmed(-0.08, -0.08)),
    "cropped to its ink": View(_to_ink, 10),
    "inverted": View(ImageOps.invert, 10),
    "turned left": View(_rotated(5), 6),
    "turned right": View(_rotated(-5), 6),
    "leaning left": View(_sheared(0.25), 10),
    "leaning right": View(_sheared(-0.25), 10),
}
"""To add one is one entry."""


@dataclass(frozen=True)
class Turn:
    """A picture turned as a whole.

    Args:
        turn: what sets it right, and gives the transform back.
        odds: what the odds of a reading that was turned so are multiplied with before they are compared with those of
            what stands upright: few texts are upside down.
        aspects: width over height of the pictures on which it is tried, more than the first and up to the second.
        in_colours: whether it is seen by how strong its colours are, and not by how light it is, if it has any: letters may
            be as light as what they stand on.
    """

    turn: Callable[[Image.Image], tuple[Image.Image, Transform]]
    odds: float
    aspects: tuple[float, float] = (0.0, math.inf)
    in_colours: bool = False


def _climbing(slope: float) -> Turn:
    return Turn(Incline(slope), 0.5, (NARROWEST, STEEPEST / abs(slope)))


TURNS: dict[str, Turn] = {
    "upside down": Turn(UPSIDE_DOWN, 0.15),
    "upwards": Turn(UPWARDS, 1.0, (0.0, 1 / TALL)),
    "downwards": Turn(DOWNWARDS, 1.0, (0.0, 1 / TALL)),
    "level, in its colours": Turn(
        lambda image: (image, Transform.identity()), 0.5, (NARROWEST, math.inf), in_colours=True
    ),
    **{f"rising by {slope}": _climbing(slope) for slope in SLOPES},
    **{f"falling by {slope}": _climbing(-slope) for slope in SLOPES},
}
"""How a line may lie in its picture: what sets it right, named by where its text runs."""


@dataclass(frozen=True)
class Effort:
    """From how many sides a doubtful line is looked at.

    Args:
        views: of VIEWS.
        turns: of TURNS.
    """

    views: Mapping[str, View] = field(default_factory=lambda: VIEWS)
    turns: Mapping[str, Turn] = field(default_factory=lambda: TURNS)


ON_A_PAGE = Effort({name: VIEWS[name] for name in ("narrower", "trimmed", "padded")}, {})
"""Pages have many lines, which lie as most of them do."""


@dataclass(frozen=True)
class Look:
    """What became of one picture.

    Args:
        line: what it says.
        readings: of the views that were taken; one where the first was sure enough.
        back: from their pixels to the picture's, where the text was found to be turned.
        odds: what those of the line were multiplied with, beside what the readings say.
    """

    line: Line
    readings: Sequence[Reading]
    back: Transform = field(default_factory=Transform.identity)
    odds: float = 1.0


def recognize_carefully(
    network: Recognizer,
    images: Sequence[Image.Image],
    decoder: Decoder = greedy,
    doubt: float = DOUBT,
    effort: Effort = Effort(),
) -> list[Line]:
    """As recognition.recognize(), but lines with a word that is less likely right than `doubt` are read again.

    The confidence of a text that was read again is the mean of what the AGREEING views that favour it most say.

    Raises:
        InputError: a line that is too wide for the network.
    """
    return [look.line for look in looks(network, images, decoder, doubt, effort)]


def looks(
    network: Recognizer,
    images: Sequence[Image.Image],
    decoder: Decoder = greedy,
    doubt: float = DOUBT,
    effort: Effort = Effort(),
) -> list[Look]:
    """As recognize_carefully(), with the readings that led there."""
    return look_again(network, images, readings(network, images, decoder), decoder, doubt, effort)


def look_again(
    network: Recognizer,
    images: Sequence[Image.Image],
    first: Sequence[Reading],
    decoder: Decoder = greedy,
    doubt: float = DOUBT,
    effort: Effort = Effort(),
    told: Sequence[Line] | None = None,
) -> list[Look]:
    """As looks(), of pictures of which the first readings are there.

    With `told`, the line that is passed on of each of them, doubts of what is left out there are none.
    """
    found = [Look(reading.line, [reading]) for reading in first]
    doubtful = []
    for i, (line, image) in enumerate(zip(told or [look.line for look in found], images, strict=True)):
        # a long line is seldom right as a whole, however surely each of its words is read
        sure = min((word.confidence for word in line.words), default=line.confidence)
        tall = bool(effort.turns) and doubt > 0 and _is_tall(image)
        # nothing at all is surely in a picture whose letters are as light as their ground
        hidden = bool(effort.turns) and doubt > 0 and not line.text and _colours(image) is not None
        if sure < (max(doubt, TALL_DOUBT) if tall else doubt) or hidden:
            doubtful.append(i)
    level: dict[int, _Turned] = {}
    for start in range(0, len(doubtful), LINES_AT_ONCE):
        part = doubtful[start : start + LINES_AT_ONCE]
        frames = [found[i].readings[0].place.rows for i in part]
        sides = [
            _sides(images[i].crop((0, top, images[i].width, bottom)), effort, network.preprocessing)
            for i, (top, bottom) in zip(part, frames, strict=True)
        ]
        pictures = [picture for views, turned in sides for picture in (*views, *(one.picture for one in turned))]
        read = iter(readings(network, pictures, decoder))
        for i, (top, _), (views, turned) in zip(part, frames, sides, strict=True):
            seen = [found[i].readings[0], *islice(read, len(views))]
            lying = list(zip(turned, islice(read, len(turned)), strict=True))
            found[i], lies = _decided(network.vocabulary, top, seen, lying)
            if lies is not None:
                level[i] = lies
    # what was turned has been read once: where that is doubtful, it is looked at from the sides that others were seen from
    firsts = [found[i].readings[0] for i in level]
    pictures = [one.picture for one in level.values()]
    closer = look_again(network, pictures, firsts, decoder, doubt, Effort(effort.views, {})) if level else []
    for (i, one), look in zip(level.items(), closer, strict=True):
        if look.line.text:
            found[i] = Look(look.line.moved(found[i].back), look.readings, found[i].back)
        # it was one of several ways to see it, and the surest of them
        found[i] = replace(found[i], line=_weighted(found[i].line, one.turn.odds), odds=one.turn.odds)
    return found


@dataclass(frozen=True)
class _Turned:
    turn: Turn
    picture: Image.Image
    back: Transform


def _sides(image: Image.Image, effort: Effort, preprocessing: Preprocessing) -> tuple[list[Image.Image], list[_Turned]]:
    """One picture from every side that is tried: its views, and it turned as a whole."""
    grey, colours = image.convert("L"), _colours(image) if effort.turns else None
    aspect = grey.width / grey.height
    views = effort.views.values() if aspect >= NARROWEST else ()
    pictures = [view.apply(grey) for view in views if aspect <= view.longest]
    fitting = (turn for turn in effort.turns.values() if turn.aspects[0] < aspect <= turn.aspects[1])
    lights = ((turn, colours if turn.in_colours else grey) for turn in fitting)
    turned = [_Turned(turn, *turn.turn(light)) for turn, light in lights if light is not None]
    return [p for p in pictures if _fits(p, preprocessing)], [t for t in turned if _fits(t.picture, preprocessing)]


def _colours(image: Image.Image) -> Image.Image | None:
    """How strong the colours of a picture are, 0..255; None where that hardly differs."""
    if image.mode != "RGB":
        return None
    saturation = image.convert("HSV").getchannel("S")
    return saturation if np.ptp(np.asarray(saturation)) >= COLOURFUL else None


def _fits(picture: Image.Image, preprocessing: Preprocessing) -> bool:
    return preprocessing.width(picture.size) <= preprocessing.max_width


def _decided(
    vocabulary: Vocabulary, top: int, seen: Sequence[Reading], turned: Sequence[tuple[_Turned, Reading]]
) -> tuple[Look, _Turned | None]:
    """What the views agree on, or what a turned picture says more surely, and which that is; `top` pixels were cut off."""
    best = agreed(vocabulary, seen)
    look, surest = Look(best.line, seen), _odds(_upright(vocabulary, seen, best.decoded.text))
    lies: _Turned | None = None
    for one, other in turned:
        text = other.decoded.text
        if sum(c.isalnum() for c in text) < 2:  # "I" lying is a dash, a "W" on its head an "M"
            continue
        if other.log_confidence < len(text) * math.log(LEGIBLE):  # as little text as what it would take the place of
            continue
        if not look.line.text:
            # that nothing stands level in a picture does not speak against text that lies in it, but for it: what does is
            # how little is there when it is turned
            surest = _odds(weigh(vocabulary, [other], [[]])[0].confidence)
        if (odds := one.turn.odds * _odds(math.exp(other.log_confidence))) > surest:
            surest, back = odds, one.back.then(Transform.translate(0, top))
            look, lies = Look(other.line.moved(back), [other], back), one
    return look, lies


def weighted(probability: float, odds: float) -> float:
    """A probability of which the odds are so many times what they were."""
    return odds * probability / (1 - probability + odds * probability) if probability < 1 else probability


def _weighted(line: Line, odds: float) -> Line:
    """A line of which the odds are so many times what they were."""
    return as_likely(line, weighted(line.confidence, odds)) if odds != 1 else line


def as_likely(line: Line, confidence: float) -> Line:
    """A line of that confidence instead of its own; each character has its part in the difference."""
    if not (0 < line.confidence < 1 and confidence > 0):
        return line
    share = math.log(confidence) / math.log(line.confidence)
    return replace(
        line, chars=tuple(replace(c, confidence=c.confidence**share) for c in line.chars), confidence=confidence
    )


def _odds(probability: float) -> float:
    return probability / max(1e-9, 1 - probability)


def _upright(vocabulary: Vocabulary, seen: Sequence[Reading], text: str) -> float:
    """How surely a picture stands upright: it says `text`, or that in other cases and spaces.

    "w 31" and "W31" share what is right of them; upside down nothing is like "XLEOM", so that this would win over each.
    """

    def folded(text: str) -> str:
        return "".join(text.split()).casefold()

    alike = dict.fromkeys([text, *(r.decoded.text for r in seen if folded(r.decoded.text) == folded(text))])
    return min(1.0, sum(one.confidence for one in weigh(vocabulary, seen, [vocabulary.encode(one) for one in alike])))


def _is_tall(image: Image.Image) -> bool:
    return image.height > TALL * image.width


def agreement(log_probs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What views (first axis) say of texts together: the mean probability in the AGREEING that favour each most."""
    return np.asarray(np.sort(np.exp(np.minimum(0.0, log_probs)), axis=0)[-AGREEING:].mean(axis=0))


@dataclass(frozen=True)
class Weighed:
    """How likely views of one line say a text.

    Args:
        confidence: what they say together.
        view: which of them favours it most.
        likelihood: there.
    """

    confidence: float
    view: int
    likelihood: Likelihood


def weigh(vocabulary: Vocabulary, seen: Sequence[Reading], texts: Sequence[Sequence[int]]) -> list[Weighed]:
    """What views of one line say of texts, given as class ids."""
    free = all(reading.decoded.log_mass == 0 for reading in seen)
    masses = np.array([[reading.decoded.log_mass] for reading in seen])
    longest = max((len(ids) for ids in texts), default=0)
    at_once = max(1, CELLS // (len(seen) * (2 * longest + 1)))
    weighed: list[Weighed] = []
    for start in range(0, len(texts), at_once):
        part = texts[start : start + at_once]
        rows = [reading.log_probs for reading in seen for _ in part]
        every = likelihoods(rows, [ids for _ in seen for ids in part], vocabulary.space if free else -1)
        table = np.array([one.log_prob for one in every]).reshape(len(seen), len(part))
        logs = np.where(masses > NEVER, table - masses, NEVER)  # or nothing that is allowed fits into that view
        views = logs.argmax(axis=0).tolist()
        confidences = agreement(logs).tolist()
        weighed += [
            Weighed(confidence, view, every[view * len(part) + i])
            for i, (confidence, view) in enumerate(zip(confidences, views, strict=True))
        ]
    return weighed


def favouring(vocabulary: Vocabulary, seen: Sequence[Reading], text: str) -> list[int]:
    """The AGREEING views that favour a text most: what they say of all texts together adds up to 1 at most."""
    ids = vocabulary.encode(text)
    confidences = [weigh(vocabulary, [reading], [ids])[0].confidence for reading in seen]
    return sorted(range(len(seen)), key=lambda i: -confidences[i])[:AGREEING]


def placed(vocabulary: Vocabulary, seen: Sequence[Reading], ids: Sequence[int], weighed: Weighed) -> Reading:
    """A text as a reading of the first view, whatever that said.

    Raises:
        ValueError: no view has room for it.
    """
    place = seen[0]
    try:
        decoded = aligned(place.log_probs, vocabulary, ids)
    except ValueError:  # too many characters for the first view; the one that read them has the width to itself
        other = seen[weighed.view]
        decoded = aligned(other.log_probs, vocabulary, ids)
        place = replace(place, ink=other.ink, place=place.place.seen_as(other.place))
    confidence = max(weighed.confidence, 1e-300)
    # under a constraint, doubt falls on letters as in a view that read this text; of one that was not read, as without
    text = decoded.text
    allowed = next((r.decoded.allowed for r in (seen[weighed.view], *seen) if r.decoded.text == text), None)
    decoded = replace(decoded, log_mass=weighed.likelihood.log_prob - math.log(confidence), allowed=allowed)
    return replace(place, decoded=decoded, likelihood=weighed.likelihood)


def agreed(vocabulary: Vocabulary, seen: Sequence[Reading], others: Sequence[str] = ()) -> Reading:
    """The text that views of one line agree on, placed in the first of them, with the confidence that they have together.

    Args:
        vocabulary: of the readings.
        seen: readings of one text, the first of which says where its letters are.
        others: texts to be weighed too, which none of them is.
    """
    # under a constraint a view may have nothing to say that is allowed
    said = [reading for reading in seen if reading.decoded.log_mass > NEVER]
    nothing = sum(says_nothing(reading.log_probs) for reading in seen if reading.decoded.log_mass <= NEVER)
    if not said or 2 * nothing > len(seen):
        return next(reading for reading in seen if reading.decoded.log_mass <= NEVER)
    first = said[0].decoded.text
    # a view in which hardly anything is left to see may be sure of that little
    enough = len(first) / 2 if len(first) >= LONG else 0
    proposed = sorted(said, key=lambda reading: -reading.log_confidence)
    texts = dict.fromkeys([first, *(r.decoded.text for r in proposed if len(r.decoded.text) >= enough)])
    chosen = list(dict.fromkeys([*list(texts)[: PROPOSALS + 1], *others]))
    found = weigh(vocabulary, seen, [vocabulary.encode(text) for text in chosen])
    priors = {reading.decoded.text: reading.decoded.log_prior for reading in seen}
    logs = [
        math.log(max(one.confidence, 1e-300)) + priors.get(text, 0.0) for text, one in zip(chosen, found, strict=True)
    ]
    best = max(range(len(chosen)), key=logs.__getitem__)
    if found[best].confidence <= 0:
        return seen[0]
    if len(first) >= LONG and found[best].confidence < CONVINCING:
        best = 0  # of a long text that no view is sure of, the likeliest as a whole is not the one with fewest errors
    return placed(vocabulary, seen, vocabulary.encode(chosen[best]), found[best])
