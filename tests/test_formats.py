import json

import pytest

from simpleocr.document import Char, Line, Page
from simpleocr.formats import FORMATS
from simpleocr.geometry import box_to_polygon


def line(text: str, top: float) -> Line:
    chars = tuple(
        Char(c, 0.9, "x", 0.05, box_to_polygon((10.0 * i, top, 10.0 * i + 10, top + 20))) for i, c in enumerate(text)
    )
    return Line(chars, box_to_polygon((0, top, 10.0 * len(text), top + 20)), 0.9 ** len(text))


PAGE = Page((line('a "b" <c>', 0), line("é — €\\", 30)), (200, 100))


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_page_can_be_written(name: str) -> None:
    assert isinstance(FORMATS[name](Page((), (1, 1))), str)


def test_text_is_its_lines() -> None:
    assert FORMATS["text"](PAGE) == 'a "b" <c>\né — €\\\n'


def test_json_says_it_all_on_one_line() -> None:
    written = FORMATS["json"](PAGE)
    assert written.count("\n") == 1
    read = json.loads(written)
    assert read["text"] == PAGE.text
    assert read["size"] == [200, 100]
    assert [line["text"] for line in read["lines"]] == [line.text for line in PAGE.lines]
    for line_read, line_given in zip(read["lines"], PAGE.lines, strict=True):
        assert [word["text"] for word in line_read["words"]] == [word.text for word in line_given.words]
        assert line_read["polygon"] == [list(point) for point in line_given.polygon]
    assert read["lines"][0]["words"][0]["chars"][0] == {
        "text": "a",
        "confidence": 0.9,
        "runner_up": "x",
        "runner_up_score": 0.05,
        "polygon": [[0.0, 0.0], [10.0, 0.0], [10.0, 20.0], [0.0, 20.0]],
    }
