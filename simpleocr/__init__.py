"""SimpleOCR: text from pictures, with a model small enough to own."""

from simpleocr.constraints import ConstraintError
from simpleocr.crnn import CRNN, CRNNConfig
from simpleocr.document import Char, Line, Page, Word
from simpleocr.image import InputError, load_image
from simpleocr.modelfile import ModelError
from simpleocr.reader import OCR
from simpleocr.vocabulary import VOCABULARIES, Vocabulary, normalize

__version__ = "0.1.0"

__all__ = [
    "CRNN",
    "OCR",
    "VOCABULARIES",
    "CRNNConfig",
    "Char",
    "ConstraintError",
    "InputError",
    "Line",
    "ModelError",
    "Page",
    "Vocabulary",
    "Word",
    "load_image",
    "normalize",
]
