"""Peers: the same crops read by this model and by other systems that are installed, with the same number of threads.

Tesseract comes in by `tesserocr` (and Debian's tesseract-ocr for its English), PP-OCR by `rapidocr`, which brings its
models. None of them is needed for anything else; one that is not installed is passed over.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr import metrics
from simpleocr.reader import OCR
from simpleocr.vocabulary import normalize
from training.crops import Sample
from training.data import DataError
from training.timing import threads

T = TypeVar("T")
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
        ours: whether it is this project's.
    """

    name: str
    one: ReadOne
    many: ReadMany | None
    ours: bool = False


@dataclass(frozen=True)
class Race:
    """What one system did on one set.

    Args:
        name: of the system.
        figures: exact match under each normalisation, CER and caseless CER, by name.
        median: milliseconds a crop, one at a time.
        batched: milliseconds a crop in one call with all; None where there is no such call.
        ours: whether it is this project's.
    """

    name: str
    figures: dict[str, float]
    median: float
    batched: float | None
    ours: bool = False


def own_name(model: str, runtime: str, *, retry: bool) -> str:
    """What this project's reader is called beside others."""
    return f"simpleocr {Path(model).name} {runtime}" + ("" if retry else ", one look")


def own(model: str, runtime: str, *, retry: bool) -> Peer:
    """This project's reader; its pictures are lines already, as those of the others are."""
    ocr = OCR.from_pretrained(model, detector=None, retry=retry, runtime=runtime)
    return Peer(
        own_name(model, runtime, retry=retry),
        lambda image: ocr.recognize([image])[0].text,
        lambda images: [line.text for line in ocr.recognize(list(images))],
        ours=True,
    )


def tesseract_api(psm: str) -> Any:
    """Tesseract's LSTM for English in one of its page segmentation modes; None if it is not installed."""
    data = next((path for path in TESSDATA if Path(path, "eng.traineddata").is_file()), None)
    if data is None or find_spec("tesserocr") is None:
        return None
    import tesserocr

    return tesserocr.PyTessBaseAPI(path=data, lang="eng", psm=getattr(tesserocr.PSM, psm))


def tesseract_read(api: Any, image: Image.Image) -> str:
    """What it reads in a picture; what it cannot take in it has not read."""
    try:
        api.SetImage(image)
        return str(api.GetUTF8Text())
    except RuntimeError:
        return ""


def tesseract() -> Peer | None:
    """Tesseract on one line; None if it is not installed."""
    api = tesseract_api("SINGLE_LINE")
    return None if api is None else Peer(f"tesseract {api.Version()}", partial(tesseract_read, api), None)


def rapidocr_engine(count: int) -> Any:
    """RapidOCR with its default models and so many threads; None if it is not installed."""
    if find_spec("rapidocr") is None:
        return None
    from rapidocr import RapidOCR

    settings = {"intra_op_num_threads": count, "inter_op_num_threads": 1}
    return RapidOCR(
        params={f"EngineConfig.onnxruntime.{k}": v for k, v in settings.items()} | {"Global.log_level": "error"}
    )


def bgr(image: Image.Image) -> npt.NDArray[np.uint8]:
    """A picture as RapidOCR takes it."""
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def rapidocr_name(engine: Any) -> str:
    """What it is called, with its recognizer, which this loads."""
    engine(np.full((32, 96, 3), 255, np.uint8), use_det=False, use_cls=False, use_rec=True)
    return f"rapidocr {Path(str(engine.text_rec.session.session._model_path)).stem}"


def rapidocr(count: int) -> Peer | None:
    """The recognizer that RapidOCR ships, without detection; None if it is not installed."""
    engine = rapidocr_engine(count)
    if engine is None:
        return None
    from rapidocr.ch_ppocr_rec import TextRecInput

    name = rapidocr_name(engine)

    def many(images: Sequence[Image.Image]) -> list[str]:
        return list(engine.text_rec(TextRecInput(img=[bgr(image) for image in images])).txts)

    return Peer(name, lambda image: many([image])[0], many)


def installed(makers: Sequence[Callable[[], T | None]], count: int) -> list[T]:
    """What can be made of these, each with so many threads."""
    # read by Tesseract's library when it is loaded
    os.environ["OMP_THREAD_LIMIT"] = str(count)
    with threads(count):
        return [made for maker in makers if (made := maker()) is not None]


def others(count: int) -> list[Peer]:
    """Those of other projects that are installed."""
    return installed([tesseract, partial(rapidocr, count)], count)


def peers(model: str, runtimes: Sequence[str], count: int) -> list[Peer]:
    """All that are installed, this project's first: under each runtime, with one look and as it reads by default."""
    ours = [partial(own, model, runtime, retry=retry) for runtime in runtimes for retry in (False, True)]
    return installed(ours, count) + others(count)


def race(peer: Peer, samples: Sequence[Sample], count: int) -> Race:
    """One system over one set: first each crop by itself, timed, then all together.

    Args:
        peer: the system.
        samples: those without a picture are passed over.
        count: threads.

    Raises:
        DataError: none has one.
    """
    images = [sample.image for sample in samples if sample.image is not None]
    targets = [sample.target for sample in samples if sample.image is not None]
    if not images:
        raise DataError(f"of {len(samples)} crops none can be read: there is nothing to race on")
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
    return Race(peer.name, figures, 1000 * float(np.median(times)), batched, peer.ours)


def shares(races: Sequence[Race]) -> list[dict[str, float]]:
    """Of each, its time a crop, one at a time, as a share of that of each system that is not this project's."""
    others = [other for other in races if not other.ours]
    return [{other.name: one.median / other.median for other in others} for one in races]


def table(races: Sequence[Race]) -> str:
    """What systems did on one set, side by side; on the right their time as a share of the others'."""
    others = "".join(f"  / {other.name.split()[0][:9]:>9}" for other in races if not other.ours)
    rows = [f"{'':40} alphanumeric  caseless     raw     CER  CER caseless  ms one by one  ms together{others}"]
    for one, of_others in zip(races, shares(races), strict=True):
        of = one.figures
        batched = "-" if one.batched is None else f"{one.batched:.1f}"
        rows.append(
            f"{one.name[-40:]:40} {of['exact_alphanumeric']:12.3f} {of['exact_caseless']:9.3f} {of['exact_raw']:7.3f}"
            f" {of['cer']:7.3f} {of['cer_caseless']:13.3f} {one.median:14.1f} {batched:>12}"
            + "".join(f"{share:13.2f}" for share in of_others.values())
        )
    return "\n".join(rows)
