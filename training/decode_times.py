"""Decode times: what each decoder costs a crop once the network has read it, one thread."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr.codes import WithCodes
from simpleocr.constraints import charset, lexicon
from simpleocr.crnn import CRNN
from simpleocr.decoding import Decoder, beam, constrained, greedy
from simpleocr.inference import for_inference
from simpleocr.patterns import pattern
from simpleocr.recognition import readings
from training.timing import threads

LANGUAGE_WEIGHT = 0.3  # as README recommends it
FOR_EACH = 3  # measurements of each crop, of which the shortest counts: the others waited for something else


def decoders(network: CRNN, words: Sequence[str]) -> dict[str, Decoder]:
    """Decoders by what they are held to: {"greedy": ..., "beam of 10": ..., "a date": ...}.

    Args:
        network: of their vocabulary, and of the n-grams if it has some.
        words: of the lexicon; those with characters that the network lacks are left out.

    Raises:
        ConstraintError: the vocabulary lacks what is needed.
    """
    vocabulary = network.vocabulary
    found: dict[str, Decoder] = {"greedy": greedy, "beam of 10": beam}
    if network.language is not None:
        language = WithCodes(network.language, vocabulary)
        found["beam of 10, n-grams"] = constrained(language=language, weight=LANGUAGE_WEIGHT)
    found["a date"] = constrained(pattern(r"\d\d/\d\d/\d{4}", vocabulary))
    found["a serial number"] = constrained(pattern("[A-Z0-9]{10}", vocabulary))
    found["a charset of 20"] = constrained(charset("abcdefghijklmnoprstu", vocabulary))
    if allowed := sorted({word for word in words if word and not vocabulary.unknown(word)}):
        found[f"a lexicon of {len(allowed)}"] = constrained(lexicon(allowed, vocabulary))
    return found


def decode_times(
    network: CRNN, images: Sequence[Image.Image], words: Sequence[str]
) -> Mapping[str, npt.NDArray[np.float64]]:
    """Seconds that each decoder takes for each picture, without the network's; by the name of the decoder.

    Args:
        network: in eval mode.
        images: as load_image gives them.
        words: of a lexicon to hold them to: what they say, mostly.

    Raises:
        ConstraintError: the vocabulary lacks what a constraint needs.
        InputError: a picture that is too wide for the network.
    """
    fast = for_inference(network)
    with threads(1):
        rows = [readings(fast, [image])[0].log_probs for image in images]
        times = {}
        for name, decoder in decoders(network, words).items():
            decoder(rows[0], network.vocabulary)  # what is made once, as the followers of a lexicon, is not counted
            times[name] = np.array([min(_seconds(decoder, network, row) for _ in range(FOR_EACH)) for row in rows])
    return times


def _seconds(decoder: Decoder, network: CRNN, row: npt.NDArray[np.float32]) -> float:
    started = time.perf_counter()
    decoder(row, network.vocabulary)
    return time.perf_counter() - started
