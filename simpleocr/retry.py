"""Retry: when a reading is doubtful, the line is looked at from other sides, all in one batch, and the likeliest text wins.

Boxes that are drawn too tight or too loose, letters that lean and polarity are what a recognizer is least sure about;
how they are best undone need not be found out if every way is tried. Pictures that are read surely pay nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from PIL import Image

from simpleocr.consensus import agreed, weigh
from simpleocr.decoding import Decoder, greedy
from simpleocr.deskew import UPSIDE_DOWN
from simpleocr.document import Line
from simpleocr.geometry import Transform
from simpleocr.recognition import Reading, Recognizer, readings
from simpleocr.sides import ALL_AROUND, Effort, Turned, every_side, is_squarish, is_tall, strength_of_colours
from simpleocr.upended import reads_both_ways
from simpleocr.vocabulary import Vocabulary

DOUBT = 0.8  # a line with a word that is less likely right is looked at again
ASKEW_DOUBT = 0.97  # the same where text may lie: a column of print is a sure "I", a crossing word mostly nothing
BOTH_WAYS = 0.02  # odds of text on its head where what stands upright says the same letters turned: "wxw" and "MXM"
GIBBERISH = 0.02  # odds of a level text that are so low that one which was cut out may say less
LEGIBLE = 0.6  # confidence that a turned picture's characters must have, on average
LINES_AT_ONCE = 16  # doubtful lines whose views are read together: bounds memory


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
    effort: Effort = ALL_AROUND,
) -> list[Line]:
    """As recognition.recognize(), but lines with a word that is less likely right than `doubt` are read again.

    The confidence of a text that was read again is the mean of what the consensus.AGREEING views that favour it most say.

    Raises:
        InputError: a line that is too wide for the network.
    """
    return [look.line for look in looks(network, images, decoder, doubt, effort)]


def looks(
    network: Recognizer,
    images: Sequence[Image.Image],
    decoder: Decoder = greedy,
    doubt: float = DOUBT,
    effort: Effort = ALL_AROUND,
) -> list[Look]:
    """As recognize_carefully(), with the readings that led there."""
    return look_again(network, images, readings(network, images, decoder), decoder, doubt, effort)


def look_again(
    network: Recognizer,
    images: Sequence[Image.Image],
    first: Sequence[Reading],
    decoder: Decoder = greedy,
    doubt: float = DOUBT,
    effort: Effort = ALL_AROUND,
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
        turns = bool(effort.turns) and doubt > 0
        askew = turns and (is_tall(image) or (not line.text and is_squarish(image)))
        # nothing at all is surely in a picture whose letters are as light as their ground
        hidden = turns and not line.text and strength_of_colours(image) is not None
        if sure < (max(doubt, ASKEW_DOUBT) if askew else doubt) or hidden:
            doubtful.append(i)
    level: dict[int, Turned] = {}
    for start in range(0, len(doubtful), LINES_AT_ONCE):
        part = doubtful[start : start + LINES_AT_ONCE]
        frames = [found[i].readings[0].place.rows for i in part]
        sides = [
            every_side(images[i].crop((0, top, images[i].width, bottom)), effort, network.preprocessing)
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


def _decided(
    vocabulary: Vocabulary, top: int, seen: Sequence[Reading], turned: Sequence[tuple[Turned, Reading]]
) -> tuple[Look, Turned | None]:
    """What the views agree on, or what a turned picture says more surely, and which that is; `top` pixels were cut off."""
    best = agreed(vocabulary, seen)
    look, surest = Look(best.line, seen), _odds(_upright(vocabulary, seen, best.decoded.text))
    lies: Turned | None = None
    may_say_less = not best.decoded.text or surest <= GIBBERISH
    for one, other in turned:
        text = other.decoded.text
        if sum(c.isalnum() for c in text) < 2:  # "I" lying is a dash, a "W" on its head an "M"
            continue
        if other.log_confidence < len(text) * math.log(LEGIBLE):  # as little text as what it would take the place of
            continue
        if one.turn.cuts and not may_say_less and not _says_more(text, best.decoded.text):
            continue
        if not look.line.text:
            # that nothing stands level in a picture does not speak against text that lies in it, but for it: what does is
            # how little is there when it is turned
            surest = _odds(weigh(vocabulary, [other], [[]])[0].confidence)
        if one.turn.turn is UPSIDE_DOWN and reads_both_ways(best.decoded.text, text):
            one = replace(one, turn=replace(one.turn, odds=BOTH_WAYS))
        if (odds := one.turn.odds * _odds(math.exp(other.log_confidence))) > surest:
            surest, back = odds, one.back.then(Transform.translate(0, top))
            look, lies = Look(other.line.moved(back), [other], back), one
    return look, lies


def _says_more(text: str, level: str) -> bool:
    """Whether what was read after something was cut off is no part of what stands there: full stops go first."""
    seen, there = _folded(text), _folded(level)
    return seen != there and len(seen) >= len(there)


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
    alike = dict.fromkeys([text, *(r.decoded.text for r in seen if _folded(r.decoded.text) == _folded(text))])
    return min(1.0, sum(one.confidence for one in weigh(vocabulary, seen, [vocabulary.encode(one) for one in alike])))


def _folded(text: str) -> str:
    return "".join(text.split()).casefold()
