"""Formats: Page -> text or JSON; pure functions of the result."""

import json
from collections.abc import Callable
from typing import Any

from simpleocr.document import Char, Line, Page, Word
from simpleocr.geometry import Polygon


def to_text(page: Page) -> str:
    """The lines, one under the other, with a line break at the end of each."""
    return "".join(f"{line.text}\n" for line in page.lines)


def to_json(page: Page) -> str:
    """Everything in the result, on one line: text, confidences, polygons in pixels of the upright picture."""
    return json.dumps(page_to_dict(page), ensure_ascii=False, allow_nan=False) + "\n"


def page_to_dict(page: Page) -> dict[str, Any]:
    """A page as JSON values."""
    return {"text": page.text, "size": list(page.size), "lines": [_line(line) for line in page.lines]}


def _line(line: Line) -> dict[str, Any]:
    words = [_word(word) for word in line.words]
    return {
        "text": line.text,
        "confidence": round(line.confidence, 4),
        "polygon": _polygon(line.polygon),
        "words": words,
    }


def _word(word: Word) -> dict[str, Any]:
    chars = [_char(char) for char in word.chars]
    return {
        "text": word.text,
        "confidence": round(word.confidence, 4),
        "polygon": _polygon(word.polygon),
        "chars": chars,
    }


def _char(char: Char) -> dict[str, Any]:
    return {
        "text": char.text,
        "confidence": round(char.confidence, 4),
        "runner_up": char.runner_up,
        "runner_up_score": round(char.runner_up_score, 4),
        "polygon": _polygon(char.polygon),
    }


def _polygon(polygon: Polygon) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in polygon]


FORMATS: dict[str, Callable[[Page], str]] = {"text": to_text, "json": to_json}
"""The named formats; to add one is one function and one entry."""
