"""SimpleOCR: text from pictures, with a model small enough to own."""

from simpleocr.constraints import ConstraintError
from simpleocr.crnn import CRNN, CRNNConfig
from simpleocr.document import Char, Line, Page, Word
from simpleocr.documents import load_pages
from simpleocr.formats import FORMATS
from simpleocr.image import InputError, load_image
from simpleocr.linenet import LineNet, LineNetConfig
from simpleocr.modelfile import ModelError
from simpleocr.pdf import PdfWriter
from simpleocr.reader import OCR
from simpleocr.vocabulary import VOCABULARIES, Vocabulary, normalize

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
