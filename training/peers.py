"""Peers: the same crops read by this model and by other systems that are installed, with the same number of threads.

Tesseract comes in by `tesserocr` (and Debian's tesseract-ocr for its English), PP-OCR by `rapidocr`, which brings its
models. None of them is needed for anything else; one that is not installed is passed over.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simpleocr import metrics
from simpleocr.reader import OCR
from simpleocr.vocabulary import normalize
from training.crops import Sample
from training.timing import threads

ReadOne = Callable[[Image.Image], str]
ReadMany = Callable[[Sequence[Image.Image]], list[str]]
WARM_UP = 5  # crops that are read before the clock starts
TESSDATA = ("/usr/share/tesseract-ocr/5/tessdata", "/usr/share/tessdata", "/usr/local/share/tessdata")


@dataclass(frozen=True)
class Peer:
    """A system that reads crops.

    Args:
        name: what it is called.
        one: reads one crop.
        many: reads several in one go; None where the system has no such call.
    """

    name: str
    one: ReadOne
    many: ReadMany | None


@dataclass(frozen=True)
class Race:
    """What one system did on one set.

    Args:
        name: of the system.
        figures: exact match under each normalisation, CER and caseless CER, by name.
        median: milliseconds a crop, one at a time.
        batched: milliseconds a crop in one call with all; None where there is no such call.
    """

    name: str
    figures: dict[str, float]
    median: float
    batched: float | None


def own(model: str, *, retry: bool) -> Peer:
    """This project's reader; its pictures are lines already, as those of the others are."""
    ocr = OCR.from_pretrained(model, retry=retry)
    return Peer(
        f"simpleocr {model}" + ("" if retry else ", one look"),
        lambda image: ocr.recognize([image])[0].text,
        lambda images: [line.text for line in ocr.recognize(list(images))],
    )


def tesseract() -> Peer | None:
    """Tesseract's LSTM on one line, English; None if it is not installed."""
    data = next((path for path in TESSDATA if Path(path, "eng.traineddata").is_file()), None)
    if data is None or find_spec("tesserocr") is None:
        return None
    import tesserocr

    api = tesserocr.PyTessBaseAPI(path=data, lang="eng", psm=tesserocr.PSM.SINGLE_LINE)

    def read(image: Image.Image) -> str:
        api.SetImage(image)
        return str(api.GetUTF8Text())

    return Peer(f"tesseract {tesserocr.tesseract_version().split()[1]}", read, None)


def rapidocr(count: int) -> Peer | None:
    """The recognizer that RapidOCR ships, without detection; None if it is not installed."""
    if find_spec("rapidocr") is None:
        return None
    from rapidocr import RapidOCR
    from rapidocr.ch_ppocr_rec import TextRecInput

    settings = {"intra_op_num_threads": count, "inter_op_num_threads": 1}
    engine = RapidOCR(
        params={f"EngineConfig.onnxruntime.{k}": v for k, v in settings.items()} | {"Global.log_level": "error"}
    )

    def many(images: Sequence[Image.Image]) -> list[str]:
        arrays = [np.asarray(image.convert("RGB"))[:, :, ::-1] for image in images]
        return list(engine.text_rec(TextRecInput(img=arrays)).txts)

    engine(np.full((32, 96, 3), 255, np.uint8), use_det=False, use_cls=False, use_rec=True)  # loads the recognizer
    model = Path(str(engine.text_rec.session.session._model_path)).stem
    return Peer(f"rapidocr {model}", lambda image: many([image])[0], many)


def peers(model: str, count: int) -> Iterator[Peer]:
    """All that are installed, this project's first."""
    yield own(model, retry=False)
    yield own(model, retry=True)
    # read by Tesseract's library when it is loaded
    os.environ["OMP_THREAD_LIMIT"] = str(count)
    for other in (tesseract(), rapidocr(count)):
        if other is not None:
            yield other


def race(peer: Peer, samples: Sequence[Sample], count: int) -> Race:
    """One system over one set: first each crop by itself, timed, then all together.

    Args:
        peer: the system.
        samples: with pictures.
        count: threads.
    """
    images = [sample.image for sample in samples if sample.image is not None]
    targets = [sample.target for sample in samples if sample.image is not None]
    with threads(count):
        for image in images[:WARM_UP]:
            peer.one(image)
        times, predictions = [], []
        for image in images:
            started = time.perf_counter()
            text = peer.one(image)
            times.append(time.perf_counter() - started)
            predictions.append(normalize(text))
        batched = None
        if peer.many is not None:
            peer.many(images[:WARM_UP])
            started = time.perf_counter()
            peer.many(images)
            batched = 1000 * (time.perf_counter() - started) / len(images)
    pair: dict[str, Any] = {"predictions": predictions, "targets": targets}
    fold = metrics.NORMALISATIONS["caseless"]
    figures = {f"exact_{name}": metrics.exact_match(**pair, normalisation=name) for name in metrics.NORMALISATIONS}
    figures["cer"] = metrics.cer(**pair)
    figures["cer_caseless"] = metrics.cer(
        predictions=[fold(text) for text in predictions], targets=[fold(text) for text in targets]
    )
    return Race(peer.name, figures, 1000 * float(np.median(times)), batched)


def table(races: Sequence[Race]) -> str:
    """What systems did on one set, side by side."""
    rows = [f"{'':34} alphanumeric  caseless     raw     CER  CER caseless  ms one by one  ms together"]
    for one in races:
        of = one.figures
        batched = "-" if one.batched is None else f"{one.batched:.1f}"
        rows.append(
            f"{one.name[-34:]:34} {of['exact_alphanumeric']:12.3f} {of['exact_caseless']:9.3f} {of['exact_raw']:7.3f}"
            f" {of['cer']:7.3f} {of['cer_caseless']:13.3f} {one.median:14.1f} {batched:>12}"
        )
    return "\n".join(rows)
