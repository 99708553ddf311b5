"""Page sheet: well-formed, whatever stands on the pages; and errors are drawn where they are."""

from io import BytesIO
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image

from tests.test_page_scores import A, B, C, D, read_page, true_page
from training.page_scores import compare
from training.page_sheet import ADDED, LOST, bad_page, draw_errors, page_sheet

PAPER = Image.new("L", (200, 100), 255)


def test_what_is_lost_and_added_is_drawn_on_the_page() -> None:
    page, truth = read_page([(A, "fine")], [(D, "wrong")]), true_page([(A, "fine"), (C, "lost")])
    seen = np.asarray(draw_errors(PAPER, page, compare(page, truth)))
    assert seen.shape == (200, 400, 3)

    def columns(colour: tuple[int, int, int]) -> tuple[int, int]:
        there = np.flatnonzero((seen == colour).all(axis=-1).any(axis=0))
        return int(there[0]), int(there[-1])

    assert columns(LOST) == (0, 82)  # that of C, twice as large
    assert 240 <= columns(ADDED)[0] <= columns(ADDED)[1] <= 320


def test_it_is_one_well_formed_page_with_the_words() -> None:
    page = read_page([(A, "<b>&x"), (B, "ok")], [(D, "in\x00vented")])
    truth = true_page([(A, "<i>&y"), (B, "ok"), (C, "mis&sed")])
    bad = bad_page("a & b.png", PAPER, page, compare(page, truth))
    assert Image.open(BytesIO(bad.picture)).format == "JPEG"
    html = page_sheet(title="<worst>", facts=[("command", "x --y")], figures=[("word_f1", "0.5")], pages=[bad])
    root = ET.fromstring(html.replace("<!DOCTYPE html>\n", ""))
    text = "".join(root.itertext())
    for part in ("<worst>", "x --y", "a & b.png: word F1 0.333", "mis&sed", "in\\x00vented"):
        assert part in text
    assert html.count("data:image/jpeg;base64,") == 1
    assert "http" not in html.replace("http://www.w3.org", "")
