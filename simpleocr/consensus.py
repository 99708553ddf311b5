"""What several views of one line say together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from simpleocr.decoding import aligned, says_nothing
from simpleocr.likelihood import NEVER, Likelihood, likelihoods
from simpleocr.recognition import Reading
from simpleocr.vocabulary import Vocabulary

AGREEING = 5  # a text's probability is its mean over so many views, those in which it is likeliest
PROPOSALS = 6  # texts of other views that are weighed, those the views were surest of
LONG = 12  # characters from which on a text is not easily given up, nor for one of half its length
CONVINCING = 0.05  # confidence that another text must reach to take the place of one of that length
CELLS = 100_000  # views times texts times states that are computed at a time: bounds memory


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
