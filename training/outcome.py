"""Outcome: what a fine-tuning brought, in figures and as a table."""

from dataclasses import dataclass
from typing import Any

from simpleocr import metrics
from simpleocr.crnn import CRNN
from simpleocr.image import InputError
from simpleocr.inference import for_inference
from simpleocr.preprocessing import line_to_tensor
from simpleocr.recognition import recognize
from simpleocr.vocabulary import normalize
from training.crops import spread
from training.data import picture
from training.labels import Doubt

SHOWN = 10  # doubtful labels in the table

Samples = list[tuple[Any, str]]
"""Pictures and what they say."""


@dataclass(frozen=True)
class Figures:
    """How well a model reads a set.

    Args:
        samples: lines of the set.
        cer: character error rate.
        accuracy: share of lines that are exactly right.
    """

    samples: int
    cer: float
    accuracy: float


@dataclass(frozen=True)
class Outcome:
    """What a fine-tuning brought.

    Args:
        own_before, own_after: on one's own lines that were held out.
        general_before, general_after: on rendered lines in fonts never seen.
        own_held_out: whether the own lines were; of fewer than HELD_OUT, none can be spared.
        trained_on: own lines that were trained on.
        characters: that the model could not write before.
        share: of the new weights in the model; the rest are the old ones.
        accepted: whether the model was written: better on one's own lines, and hardly worse on others.
        doubtful: one's own labels that may be wrong, the least likely first.
    """

    own_before: Figures
    own_after: Figures
    general_before: Figures
    general_after: Figures
    own_held_out: bool
    trained_on: int
    characters: str
    share: float
    accepted: bool
    doubtful: tuple[Doubt, ...] = ()

    def table(self) -> str:
        """The figures side by side, and the verdict."""
        rows = [f"{'':28} {'lines':>6} {'CER before':>11} {'after':>7} {'exact before':>13} {'after':>7}"]
        own = "own lines, held out" if self.own_held_out else "own lines, trained on too"
        for name, before, after in (
            (own, self.own_before, self.own_after),
            ("general set", self.general_before, self.general_after),
        ):
            rows.append(
                f"{name:28} {before.samples:6} {before.cer:11.4f} {after.cer:7.4f} {before.accuracy:13.4f} {after.accuracy:7.4f}"
            )
        rows.append(
            f"accepted, with {self.share:.0%} of what was learned"
            if self.accepted
            else "refused: it did not read your lines better without reading others worse; the old model stays"
        )
        if self.doubtful:
            rows.append(f"{len(self.doubtful)} of your labels may be wrong:")
            rows += [f"  {one}" for one in self.doubtful[:SHOWN]]
        return "\n".join(rows)


def read_samples(corpus: Any, network: CRNN, limit: int) -> Samples:
    """Pictures and targets of `limit` rows, evenly spread, that can be read; of a stream, of the first ones that can be.

    Args:
        corpus: rows as open_corpus() has them.
        network: that must be able to read them.
        limit: rows at most.
    """
    samples: Samples = []
    # a corpus may be sorted, by who wrote it or by what it says
    for row in corpus.select(spread(range(len(corpus)), limit)) if hasattr(corpus, "__len__") else corpus:
        if len(samples) == limit:
            break
        if not isinstance(row["text"], str):
            continue
        try:
            image = picture(row)
            line_to_tensor(image, network.preprocessing)
        except InputError:
            continue
        samples.append((image, normalize(row["text"])))
    return samples


def measured(network: CRNN, samples: Samples) -> Figures:
    """Read once, as line pictures are."""
    predictions = [line.text for line in recognize(for_inference(network), [image for image, _ in samples])]
    targets = [target for _, target in samples]
    return Figures(
        len(samples),
        metrics.cer(predictions=predictions, targets=targets),
        metrics.exact_match(predictions=predictions, targets=targets, normalisation="raw"),
    )
