import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from simpleocr.document import Char, Line, Page
from simpleocr.evidence import (
    SHOWN_SIDE,
    TABLE_ROWS,
    percent,
    script,
    style,
    to_document,
    to_fragment,
    to_html,
    to_table,
)
from simpleocr.geometry import Transform, box_to_polygon

HOSTILE = "<img src=x onerror=alert(1)> \"'&amp; ${alert(1)} {{value}} </script>"
VOID = {"meta", "img", "br", "link", "image", "rect", "polygon", "path"}
Attributes = dict[str, str | None]


def line(text: str, top: float, confidence: float = 0.99) -> Line:
    chars = tuple(
        Char(c, confidence, "<", 0.25, box_to_polygon((10.0 * i, top, 10.0 * i + 10, top + 20)))
        for i, c in enumerate(text)
    )
    return Line(chars, box_to_polygon((0, top, 10.0 * len(text), top + 20)), confidence ** len(text))


class Elements(HTMLParser):
    """Every element with its attributes, as the standard library's parser sees them; and the text outside of tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, Attributes]] = []
        self.open: list[str] = []
        self.said = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data

    def of(self, kind: str) -> list[Attributes]:
        return [attrs for _, attrs in self.found if kind in (attrs.get("class") or "").split()]


PAGE = Page((line("a total", 0), line("of  9 eggs", 30, 0.6), line(HOSTILE, 60)), (700, 100))


def test_every_word_is_there_with_its_place_its_confidence_and_its_characters() -> None:
    elements = Elements(to_fragment(PAGE))
    words = elements.of("evidence-word")
    assert len(words) == len(elements.of("evidence-box")) == len(PAGE.words)
    lines = elements.of("evidence-line")
    known = [json.loads(attrs["data-chars"] or "") for attrs in lines]
    for attrs, box, word in zip(words, elements.of("evidence-box"), PAGE.words, strict=True):
        assert (attrs["aria-label"] or "").startswith(f"{word.text}: ")
        assert float(attrs["data-sure"] or "") == pytest.approx(word.confidence, abs=1e-4)
        chars = known[int(box["data-line"] or "")][int(box["data-from"] or "") : int(box["data-to"] or "")]
        assert "".join(char[0] for char in chars) == word.text
        assert [char[4:] for char in chars] == [[edge for point in c.polygon for edge in point] for c in word.chars]
        assert [char[1:4] for char in chars] == [[c.confidence, c.runner_up, c.runner_up_score] for c in word.chars]
        corners = [tuple(map(float, point.split(","))) for point in (box["points"] or "").split()]
        assert corners == [pytest.approx(point) for point in word.polygon]  # its letters touch


def test_on_a_picture_each_word_has_a_halo_and_on_a_sheet_none() -> None:
    seen = Elements(to_fragment(PAGE, Image.new("RGB", PAGE.size)))
    outlines = [outline for attrs in seen.of("evidence-halo") for outline in (attrs["d"] or "").strip("MZ").split("ZM")]
    assert outlines == [attrs["points"] for attrs in seen.of("evidence-box")]
    assert Elements(to_fragment(PAGE)).of("evidence-halo") == []
    assert "pointer-events: none" in style().partition(".evidence-halo {")[2].partition("}")[0]


def test_what_is_doubtful_is_marked_in_the_picture_in_the_text_and_in_words() -> None:
    elements = Elements(to_fragment(PAGE))
    for kind in ("evidence-word", "evidence-box"):
        marked = ["evidence-doubtful" in (attrs["class"] or "") for attrs in elements.of(kind)]
        assert marked == [word.confidence < 0.8 for word in PAGE.words]
    named = [(attrs["aria-label"] or "").endswith(", doubtful") for attrs in elements.of("evidence-word")]
    assert named == [word.confidence < 0.8 for word in PAGE.words]
    assert '?" / ""' in style()  # a sign that is no colour
    assert "stroke-dasharray" in style()


@pytest.mark.parametrize("written", [to_fragment(PAGE), to_table([PAGE])])
def test_nothing_that_was_read_becomes_markup(written: str) -> None:
    elements = Elements(written)
    tags = {tag for tag, _ in elements.found}
    assert tags.isdisjoint({"script", "img", "iframe", "style", "a", "link"})
    assert not [name for _, attrs in elements.found for name in attrs if name.startswith("on") or name == "style"]
    assert "<img" not in written
    assert HOSTILE.split()[0] in elements.said
    assert "innerHTML" not in script()
    assert "eval" not in script()


def cells(table: str) -> list[list[str]]:
    """What the rows of an HTML table say, without its head."""
    rows = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2])
    return [[Elements(cell).said for cell in re.findall(r"<td>(.*?)</td>", row)] for row in rows]


def test_the_table_has_a_row_for_each_line_with_its_number_and_its_confidence() -> None:
    said = [line.text for line in PAGE.lines]
    sure = [percent(line.confidence) for line in PAGE.lines]
    expected = [[str(i), *row] for i, row in enumerate(zip(said, sure, strict=True), 1)]
    assert cells(to_table([PAGE])) == expected
    meters = [attrs for tag, attrs in Elements(to_table([PAGE])).found if tag == "meter"]
    assert [float(attrs["value"] or "") for attrs in meters] == [
        pytest.approx(line.confidence, abs=1e-4) for line in PAGE.lines
    ]
    assert {(attrs["low"], attrs["high"], attrs["optimum"]) for attrs in meters} == {
        ("0.5", "0.8", "1")
    }  # no green at 48 %
    pages = [PAGE, Page((), (9, 9)), PAGE]
    assert cells(to_table(pages)) == [[number, *row] for number in "13" for row in expected]
    assert "Page" not in to_table([PAGE])
    assert "<th>Page</th>" in to_table(pages)


def test_a_table_of_very_many_lines_says_how_many_are_not_in_it() -> None:
    many = Page(tuple(line("a", 30.0 * i) for i in range(TABLE_ROWS)), (700, 30 * TABLE_ROWS))
    assert len(cells(to_table([many]))) == TABLE_ROWS
    assert "more" not in to_table([many])
    written = to_table([many, PAGE])
    assert len(cells(written)) == TABLE_ROWS
    assert written.endswith(f"<p>{len(PAGE.lines)} lines more in the text.</p>")
    assert to_table([Page((), (9, 9))]) == "<p>No line was found.</p>"


def test_the_document_loads_nothing_and_runs_only_its_own_script() -> None:
    written = to_document([to_fragment(PAGE, Image.new("RGB", PAGE.size, "white"))])
    elements = Elements(written)
    loaded = [v for _, attrs in elements.found for n, v in attrs.items() if n in ("src", "href", "xlink:href")]
    assert len(loaded) == 1
    assert (loaded[0] or "").startswith("data:image/jpeg;base64,")
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", written) == []
    assert "default-src 'none'" in written
    assert written.count("<script>") == 1
    assert "url(" not in style()
    assert "@import" not in style()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_picture_is_reduced_to_what_a_page_shows_and_lies_over_the_whole_sheet(mode: str) -> None:
    picture = Image.new(mode, (4000, 1000), "white")
    elements = Elements(to_fragment(Page((), picture.size), picture))
    (image,) = [attrs for tag, attrs in elements.found if tag == "image"]
    assert (image["width"], image["height"]) == ("4000", "1000")
    with Image.open(BytesIO(base64.b64decode((image["href"] or "").partition(",")[2]))) as shown:
        assert shown.size == (SHOWN_SIDE, SHOWN_SIDE // 4)
    assert picture.size == (4000, 1000)  # the reader's own is left as it is
    assert "No text was found" in elements.said
    assert "Point at a word" not in elements.said


def test_a_page_of_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not \\(10, 10\\)"):
        to_fragment(PAGE, Image.new("RGB", (10, 10)))


def test_pages_without_pictures_show_their_words_on_a_sheet() -> None:
    sideways = PAGE.lines[0].moved(Transform.from_array([[0, -1, 200], [1, 0, 5], [0, 0, 1]]))
    elements = Elements(to_html([PAGE, Page((sideways,), (200, 100)), Page((), (5, 5))]))
    assert len(elements.of("evidence")) == 3
    assert len(elements.of("evidence-drawn")) == len(PAGE.words) + 2
    assert "rotate(90.00)" in (elements.of("evidence-drawn")[-1]["transform"] or "")


def test_only_one_word_of_a_page_is_a_stop_for_the_tab_key_and_ids_are_never_repeated() -> None:
    elements = Elements(to_html([PAGE]))
    stops = [attrs["tabindex"] for _, attrs in elements.found if "tabindex" in attrs]
    assert stops.count("0") == 1
    assert not [attrs["id"] for _, attrs in elements.found if "id" in attrs]  # the script gives them as needed


@pytest.mark.parametrize(
    ("confidence", "said"),
    [(1.0, "over 99 %"), (0.996, "over 99 %"), (0.994, "99 %"), (0.5, "50 %"), (0.006, "1 %"), (0.001, "under 1 %")],
)
def test_nobody_is_told_a_hundred_or_a_zero(confidence: float, said: str) -> None:
    assert percent(confidence) == said
