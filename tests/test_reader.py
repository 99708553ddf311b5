import math
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

import simpleocr
from simpleocr import CRNN, OCR, ConstraintError, CRNNConfig, InputError, ModelError, Page, Vocabulary
from simpleocr.document import Char, Line
from simpleocr.geometry import box_to_polygon
from simpleocr.image import ImageSource
from simpleocr.models import SHIPPED
from simpleocr.retry import DOUBT
from simpleocr.runtimes import RUNTIMES
from tests.test_projection import LINES, page


@pytest.fixture(scope="module")
def ocr() -> OCR:
    torch.manual_seed(0)
    network = CRNN(CRNNConfig(Vocabulary("abc "), "tiny"))
    with torch.no_grad():
        network.classifier.bias[0] = -1.0  # or a random network might write nothing at all
    return OCR(network)


def boxes_inside(result: Page) -> bool:
    width, height = result.size
    boxes = [char.box for char in result.chars] + [line.box for line in result.lines]
    return all(0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height for x0, y0, x1, y1 in boxes)


def test_a_page_has_its_lines_in_the_pictures_pixels(ocr: OCR) -> None:
    image = page(LINES)
    result = ocr(image)
    assert result.size == image.size
    assert 1 <= len(result.lines) <= len(LINES)
    assert result.text == "\n".join(line.text for line in result.lines)
    assert boxes_inside(result)


def test_every_kind_of_source_reads_the_same(ocr: OCR, tmp_path: Path) -> None:
    image = page(LINES[:2])
    image.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    sources: list[ImageSource] = [
        image,
        np.asarray(image),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        data,
        BytesIO(data),
    ]
    assert len({ocr(source).text for source in sources}) == 1


def test_lines_read_in_one_go_are_those_read_one_by_one(ocr: OCR) -> None:
    crops = [page([text]).crop((20, 5, 30 + 14 * len(text), 50)) for text in LINES]
    assert [line.text for line in ocr.recognize(crops)] == [ocr.recognize([crop])[0].text for crop in crops]
    assert ocr.recognize([]) == []


def test_which_of_several_pictures_cannot_be_read_is_said(ocr: OCR) -> None:
    good = line_picture()
    with pytest.raises(InputError, match=r"^picture 3 of 3: the picture given as bytes is not a picture"):
        ocr.recognize([good, good, b"nothing"])
    with pytest.raises(InputError, match=r"^picture 1 of 2: the array"):
        ocr.recognize([np.zeros((4, 4, 7), np.uint8), good])
    with pytest.raises(InputError, match=r"^the picture given as bytes"):
        ocr.recognize([b"nothing"])


def test_a_blank_picture_has_no_lines(ocr: OCR) -> None:
    result = ocr(Image.new("RGB", (200, 100), "white"))
    assert result.lines == ()
    assert result.text == ""


def test_wrong_input_is_one_error(ocr: OCR) -> None:
    with pytest.raises(InputError):
        ocr(b"not a picture")
    with pytest.raises(TypeError, match="list"):
        ocr.recognize("photo.jpg")
    with pytest.raises(TypeError, match="list"):
        ocr.recognize(np.zeros((4, 4), dtype=np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="greedy"):
        OCR(ocr.network, decoder="magic")
    with pytest.raises(ModelError):
        OCR.from_pretrained("./nowhere")


def test_from_pretrained_reads_as_the_saved_network(ocr: OCR, tmp_path: Path) -> None:
    assert isinstance(ocr.network, CRNN)
    ocr.network.save_pretrained(tmp_path)
    again = OCR.from_pretrained(tmp_path)
    assert again(page(LINES)).text == ocr(page(LINES)).text


def test_one_reader_serves_many_threads(ocr: OCR) -> None:
    image = page(LINES)
    expected = ocr(image).text
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(ocr(image).text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [expected] * 8


def line_picture() -> Image.Image:
    return page(LINES[:1])


def test_constraints_hold_for_every_line(ocr: OCR) -> None:
    for held in (
        OCR(ocr.network, charset="ab"),
        OCR(ocr.network, pattern="[ab]+"),
        OCR(ocr.network, lexicon=["ab", "b"]),
    ):
        for line in held(page(LINES)).lines:
            assert set(line.text) <= set("ab")
            assert 0 <= line.confidence <= 1
    assert {line.text for line in OCR(ocr.network, lexicon=["ab", "b"]).recognize([line_picture()])} <= {"ab", "b"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"charset": "ab", "pattern": "a"}, "only one"),
        ({"charset": "xyz"}, "cannot write"),
        ({"lexicon": "abc"}, "list of words"),
        ({"lexicon": []}, "without words"),
        ({"pattern": "(a"}, "not closed"),
        ({"language_weight": 0.3}, "no language"),
        ({"language_weight": -1}, "not in 0..5"),
        ({"language_weight": math.nan}, "nan is not in 0..5"),
        ({"language_weight": "much"}, "'much' is not in 0..5"),
        ({"max_pixels": 0}, "0 is not a number from 1 on"),
        ({"max_pixels": math.nan}, "nan is not a number from 1 on"),
        ({"max_pixels": "many"}, "'many' is not a number from 1 on"),
        ({"pattern": 5}, "a pattern is one text, not 5"),
        ({"charset": 5}, "a charset is one text, not 5"),
        ({"charset": ["a", "b"]}, "a charset is one text, not"),
        ({"lexicon": 5}, "a lexicon is a list of words: 5 is none"),
        ({"lexicon": ["a", None]}, "a lexicon is a list of words: None is no text"),
        ({"lexicon": b"ab"}, "a lexicon is a list of words: 97 is no text"),
        ({"decoder": "magic"}, "no decoder"),
    ],
)
def test_settings_that_cannot_be_are_refused(ocr: OCR, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OCR(ocr.network, **settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"network": "english"}, r"takes a network: OCR.from_pretrained\('english'\) loads"),
        ({"network": Path("runs/mine")}, r"OCR.from_pretrained\('runs/mine'\)"),
        ({"network": 5}, "5 is not a network: a CRNN"),
        ({"detector": 5}, "5 is not a detector: a LineNet"),
        ({"detector": CRNN}, "is not a detector"),
    ],
)
def test_what_is_no_network_and_no_name_is_refused(ocr: OCR, given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        OCR(**{"network": ocr.network, **given})


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_does_not_name_a_model_is_refused(runtime: str) -> None:
    wrong: list[Any] = [None, b"english", 5]
    for name in wrong:
        with pytest.raises(TypeError, match=f"{name!r} does not name a model"):
            OCR.from_pretrained(name, runtime=runtime)


def test_a_detector_may_be_a_path(ocr: OCR) -> None:
    assert OCR(ocr.network, detector=SHIPPED / "lines").detector is not None


def test_whether_doubtful_lines_are_read_again_is_an_option_like_others(ocr: OCR) -> None:
    quick = OCR(ocr.network, detector=None, retry=False)
    assert [quick.with_options(retry=retry).retry for retry in (None, False, True)] == [False, False, True]
    assert ocr.with_options(charset="ab").retry


def test_n_best_are_different_and_ordered(ocr: OCR) -> None:
    lines = OCR(ocr.network, retry=False).n_best(line_picture(), 8)
    assert len({line.text for line in lines}) == len(lines) > 1
    confidences = [line.confidence for line in lines]
    assert confidences == pytest.approx(sorted(confidences, reverse=True), rel=0.2)
    assert sum(confidences) <= 1 + 1e-6
    within = OCR(ocr.network, lexicon=["ab", "b", "cab"]).n_best(line_picture())
    assert {line.text for line in within} == {"ab", "b", "cab"}
    assert sum(line.confidence for line in within) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    "settings", [{}, {"lexicon": ["O0o", "00o", "0Oo", "OOo", "wxw", "WXW", "VOo"]}, {"charset": "vVWXx0Oo"}]
)
def test_readings_of_a_doubtful_line_are_probabilities(settings: dict[str, Any]) -> None:
    """Seen from several sides, of which each text has its best."""
    reader = OCR(**settings)
    doubtful = 0
    for text in ("wxw", "vOo", "oOo", "O0o"):
        picture = Image.new("L", (60, 40), 255)
        ImageDraw.Draw(picture).text((8, 6), text, 0, font=ImageFont.load_default(24))
        (read,) = reader.recognize([picture])
        doubtful += 0 < read.confidence < DOUBT
        found = reader.n_best(picture, 6)
        assert found[0].text == read.text
        assert sum(line.confidence for line in found) <= 1 + 1e-6
        assert found[0].confidence == pytest.approx(read.confidence, rel=1e-3)
        assert found[1:] == sorted(found[1:], key=lambda line: -line.confidence)
        scored = reader.score(picture, [line.text for line in found])
        assert [line.confidence for line in scored] == pytest.approx([line.confidence for line in found])
    assert doubtful


@pytest.mark.parametrize("count", [0, -1, 1.5, None, "two"])
def test_fewer_readings_than_one_are_refused(ocr: OCR, count: Any) -> None:
    with pytest.raises(ValueError, match=f"count {count!r} is not a whole number from 1 on"):
        ocr.n_best(line_picture(), count=count)


def test_a_letter_missing_at_the_end_is_the_last_ones_doubt() -> None:
    ocr = OCR()
    image = Image.new("L", (150, 44), 255)
    ImageDraw.Draw(image).text((8, 4), "Bakery", 0, font=ImageFont.load_default(32))
    for line in ocr.score(image, ["Bakery", "Baker", "Bak", "Bakeryy"]):
        assert math.prod(char.confidence for char in line.chars) == pytest.approx(line.confidence, abs=1e-9)
    short = ocr.score(image, ["Baker"])[0]
    assert min(short.chars, key=lambda char: char.confidence) is short.chars[-1]


def test_what_says_nothing_has_one_reading_under_a_constraint() -> None:
    blank = Image.new("L", (200, 32), 255)
    held = OCR(lexicon=["Open", "Closed"])
    (line,) = held.n_best(blank, 3)
    assert line.text == ""
    assert line.confidence == pytest.approx(1)
    assert held.recognize([blank])[0].confidence == pytest.approx(1)


@pytest.mark.parametrize("detector", ["lines", None])
def test_a_line_with_blanks_to_fill_in_is_not_lost(detector: str | None) -> None:
    """How many underscores there are is not to be told, so that the line as a whole is unlikely; its word is not."""
    font = ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), 22)
    page = Image.new("RGB", (620, 205), "white")
    for i, text in enumerate(("Please fill in this form", "Date: ____ / ____ / ______", "Thank you")):
        ImageDraw.Draw(page).text((15, 12 + 55 * i), text, 0, font=font)
    lines = OCR(detector=detector)(page).lines
    assert [line.text[:5] for line in lines] == ["Pleas", "Date:", "Thank"]


def test_candidates_are_scored_as_they_are_read(ocr: OCR) -> None:
    plain = OCR(ocr.network, retry=False)
    (read,) = plain.recognize([line_picture()])
    same, other, long, empty = plain.score(line_picture(), [f" {read.text} ", "cab", "abc" * 500, ""])
    assert same == read
    assert (other.text, other.chars[1].text) == ("cab", "a")
    assert 0 <= other.confidence < 1
    assert (long.text, long.confidence) == ("", 0)
    assert empty.text == ""
    assert plain.score(line_picture(), []) == []
    with pytest.raises(ConstraintError, match="cannot write"):
        plain.score(line_picture(), ["ab", "ß"])
    odd: list[Any] = ["ab", None, 5]
    for candidates in odd:
        with pytest.raises(TypeError, match="list of candidates"):
            plain.score(line_picture(), candidates)
    for candidate in (5, None, b"ab"):
        with pytest.raises(TypeError, match=f"list of candidates: {candidate!r} is no text"):
            plain.score(line_picture(), ["ab", candidate])  # type: ignore[list-item]
    assert plain.score(line_picture(), iter(["cab"])) == [other]  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"lexicon": ["Open", "Closed"]}, {"pattern": r"\d\d"}, {"charset": "0123"}])
def test_a_constraint_makes_no_text_where_there_is_none(settings: dict[str, Any]) -> None:
    reader = OCR(**settings)
    for size in ((120, 32), (40, 40), (300, 200)):
        blank = Image.new("L", size, 255)
        assert reader(blank).lines == ()
        (line,) = reader.recognize([blank])
        assert line.text == ""
        (scored,) = reader.score(blank, ["Open" if "lexicon" in settings else "12"])
        assert scored.confidence < 1e-6


def test_what_a_constraint_forbids_is_not_likely(ocr: OCR) -> None:
    held = OCR(ocr.network, charset="ab")
    forbidden, allowed = held.score(line_picture(), ["cab", "ab"])
    assert (forbidden.text, forbidden.confidence) == ("", 0)
    assert (allowed.text, allowed.confidence > 0) == ("ab", True)


def test_candidates_and_n_best_agree_with_what_is_read() -> None:
    """On a picture that lies upside down, which only a second look reads."""
    reader = OCR()
    upside_down = Image.open(Path(simpleocr.__file__).parent / "examples" / "sign.jpg").rotate(180)
    (read,) = reader.recognize([upside_down])
    assert "ery" in read.text
    best, *_ = reader.n_best(upside_down, 3)
    (scored,) = reader.score(upside_down, [read.text])
    assert (best.text, scored.text) == (read.text, read.text)
    assert scored.confidence == pytest.approx(read.confidence, rel=1e-3)
    for one in (best, scored):
        assert one.chars[0].box == pytest.approx(read.chars[0].box, abs=0.5 * upside_down.height)
    assert read.chars[0].box[0] > read.chars[-1].box[0]  # the text runs from right to left there


@pytest.mark.parametrize(
    ("confidences", "kept"), [([0.9, 0.01], ["a0"]), ([0.01], ["a0"]), ([0.01, 0.02], ["a0", "a1"]), ([], [])]
)
def test_what_hardly_reads_is_left_out_beside_what_does(
    confidences: list[float], kept: list[str], ocr: OCR, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: OCR, __: object) -> list[Line]:
        lines = []
        for i, (polygon, confidence) in enumerate(zip(places, confidences, strict=True)):
            chars = tuple(Char(c, confidence**0.5, "", 0.0, polygon) for c in f"a{i}")
            lines.append(Line(chars, polygon, confidence))
        return lines

    places = [box_to_polygon((0.0, 30.0 * i, 50.0, 30.0 * i + 20)) for i in range(len(confidences))]
    monkeypatch.setattr("simpleocr.reader.find_lines", lambda *_: places)
    monkeypatch.setattr(OCR, "_settled", read)
    found = OCR(ocr.network, detector=None)(Image.new("RGB", (100, 100), "white"))
    assert [line.text for line in found.lines] == kept


@pytest.fixture(scope="module")
def shipped() -> OCR:
    return OCR()


@pytest.mark.parametrize("size", [(300, 400), (600, 800)])
def test_specks_are_no_text(shipped: OCR, size: tuple[int, int]) -> None:
    pixels = np.where(np.random.default_rng(0).random(size) < 0.01, 0, 255).astype(np.uint8)
    assert shipped(pixels).text == ""


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (20_000, 40), (40, 20_000), (5, 4000), (33, 31)])
@pytest.mark.parametrize("kind", ["white", "black", "noise"])
def test_pictures_of_any_shape_without_text(shipped: OCR, size: tuple[int, int], kind: str) -> None:
    pixels = np.full(size[::-1], 255 * (kind == "white"), dtype=np.uint8)
    if kind == "noise":
        pixels = np.random.default_rng(1).integers(0, 256, size[::-1]).astype(np.uint8)
    page = shipped(pixels)
    assert page.size == size
    assert all(math.isfinite(line.confidence) for line in page.lines)
    assert kind == "noise" or page.text == ""
    for line in page.lines:
        assert all(-size[0] <= x <= 2 * size[0] and -size[1] <= y <= 2 * size[1] for x, y in line.polygon)


def test_empty_boxes_of_a_form_are_no_letters(shipped: OCR) -> None:
    form = Image.new("RGB", (420, 200), "white")
    canvas, font = ImageDraw.Draw(form), ImageFont.load_default(24)
    for row, text in enumerate(("Yes, I agree", "Not applicable", "Paperwork")):
        canvas.rectangle((30, 30 + 50 * row, 48, 48 + 50 * row), outline="black", width=2)
        canvas.text((62, 38 + 50 * row), text, "black", font, anchor="lm")
    page = shipped(form)
    assert page.text.split() == ["Yes,", "I", "agree", "Not", "applicable", "Paperwork"]
    assert min(word.confidence for word in page.words) > 0.7, "what was not sure of the boxes is no doubt of words"
    held = shipped.with_options(pattern=r"[DO0a-z]+ ?[A-Za-z, ]*")
    assert all(
        held.constraint and held.constraint.accepts(ids)
        for ids in map(held.network.vocabulary.encode, held(form).text.split("\n"))
        if ids
    )


def test_how_large_a_picture_may_be(ocr: OCR) -> None:
    small = OCR(ocr.network, detector=None, max_pixels=1000)
    fits, larger = Image.new("RGB", (40, 25)), Image.new("RGB", (40, 26))
    assert small(fits).size == (40, 25)
    for read in (small, lambda image: small.recognize([image]), lambda image: list(small.read_pages(image))):
        with pytest.raises(InputError, match="up to 1,000 are read"):
            read(larger)
    assert small.with_options(charset="ab").max_pixels == 1000
