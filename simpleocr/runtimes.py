"""Runtimes: what may compute the networks; torch, or ONNX Runtime, which reads without it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from simpleocr.detection import Detector
from simpleocr.modelfile import read_header
from simpleocr.models import locate
from simpleocr.recognition import Recognizer

Name = str | os.PathLike[str]


@dataclass(frozen=True)
class Runtime:
    """How a name becomes something that reads, and something that finds lines.

    Args:
        recognizer: of a CRNN's name.
        detector: of a LineNet's name.
    """

    recognizer: Callable[[Name], Recognizer]
    detector: Callable[[Name], Detector]


def _torch_recognizer(name: Name) -> Recognizer:
    from simpleocr.crnn import CRNN

    return CRNN.from_pretrained(name)


def _torch_detector(name: Name) -> Detector:
    from simpleocr.linenet import LineNet

    return LineNet.from_pretrained(name)


def _onnx(*, quantized: bool) -> Runtime:
    def recognizer(name: Name) -> Recognizer:
        from simpleocr.onnx_runtime import OnnxCRNN

        return OnnxCRNN.load(locate(name), quantized=quantized)

    def detector(name: Name) -> Detector:
        from simpleocr.onnx_runtime import OnnxLineNet

        return OnnxLineNet.load(locate(name), quantized=quantized)

    return Runtime(recognizer, detector)


RUNTIMES: dict[str, Runtime] = {
    "torch": Runtime(_torch_recognizer, _torch_detector),
    "onnx": _onnx(quantized=False),
    "onnx-int8": _onnx(quantized=True),
}
"""To add one is one entry."""


def fastest(*files: Path) -> str:
    """The name of the runtime that reads with these model files soonest, import and all, of those that can here.

    In whole numbers where ONNX Runtime is installed and every file says how far its activations go; else torch, which is
    as fast as ONNX Runtime in floats where many lines are read.

    Raises:
        ModelError: a file that is none.
    """
    if find_spec("onnxruntime") and find_spec("onnx") and all(_has_ranges(file) for file in files):
        return "onnx-int8"
    return "torch"


def _has_ranges(file: Path) -> bool:
    calibration = read_header(file).get("calibration")
    return isinstance(calibration, dict) and bool(calibration.get("ranges"))
