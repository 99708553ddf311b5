"""SimpleOCR: text from pictures, with a model small enough to own."""

__version__ = "0.1.0"
