"""SimpleOCR: text from pictures, with a model small enough to own."""

from typing import TYPE_CHECKING, Any

from simpleocr.config import CRNNConfig, LineNetConfig
from simpleocr.constraints import ConstraintError
from simpleocr.document import Char, Line, Page, Word
from simpleocr.documents import load_pages
from simpleocr.formats import FORMATS
from simpleocr.image import InputError, load_image
from simpleocr.modelfile import ModelError
from simpleocr.pdf import PdfWriter
from simpleocr.reader import OCR
from simpleocr.vocabulary import VOCABULARIES, Vocabulary, normalize

if TYPE_CHECKING:
    from simpleocr.crnn import CRNN
    from simpleocr.linenet import LineNet

__version__ = "0.1.0"

__all__ = [
    "CRNN",
    "FORMATS",
    "OCR",
    "VOCABULARIES",
    "CRNNConfig",
    "Char",
    "ConstraintError",
    "InputError",
    "Line",
    "LineNet",
    "LineNetConfig",
    "ModelError",
    "Page",
    "PdfWriter",
    "Vocabulary",
    "Word",
    "load_image",
    "load_pages",
    "normalize",
]


def __getattr__(name: str) -> Any:
    """The networks, imported when they are asked for: they need torch, which reading with ONNX Runtime does not."""
    if name == "CRNN":
        from simpleocr.crnn import CRNN

        return CRNN
    if name == "LineNet":
        from simpleocr.linenet import LineNet

        return LineNet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
