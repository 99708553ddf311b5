"""Runtimes: what may compute the networks; torch, or ONNX Runtime, which reads without it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simpleocr.detection import Detector
from simpleocr.models import locate
from simpleocr.recognition import Recognizer

Name = str | os.PathLike[str]


@dataclass(frozen=True)
class Runtime:
    """How a name becomes something that reads, and something that finds lines.

    Args:
        recognizer: of a CRNN's name; keywords are for the Hub, as for models.locate().
        detector: of a LineNet's name.
    """

    recognizer: Callable[..., Recognizer]
    detector: Callable[[Name], Detector]


def _torch_recognizer(name: Name, **hub: Any) -> Recognizer:
    from simpleocr.crnn import CRNN

    return CRNN.from_pretrained(name, **hub)


def _torch_detector(name: Name) -> Detector:
    from simpleocr.linenet import LineNet

    return LineNet.from_pretrained(name)


def _onnx(*, quantized: bool) -> Runtime:
    def recognizer(name: Name, **hub: Any) -> Recognizer:
        from simpleocr.onnx_runtime import OnnxCRNN

        return OnnxCRNN.load(locate(name, **hub), quantized=quantized)

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
