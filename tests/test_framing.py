"""framing: loose crops are looked at closely, wide gaps are not looked at, and the rest is seen as it is."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr import OCR
from simpleocr.framing import closer, seen_columns
from simpleocr.preprocessing import Lines

FONT = ImageFont.load_default(24)


def drawn(size: tuple[int, int], *texts: tuple[int, int, str]) -> Image.Image:
    image = Image.new("L", size, 250)
    for x, y, text in texts:
        ImageDraw.Draw(image).text((x, y), text, 20, font=FONT)
    return image


def block(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("L", size, 250)
    image.paste(20, box)
    return image


def test_text_far_from_the_edges_is_looked_at_closely() -> None:
    image = drawn((300, 240), (100, 100, "Hello"))
    top, bottom = closer(image)
    assert 90 < top < 106
    assert 115 < bottom < 135
    assert closer(image.convert("RGB")) == (top, bottom)
    assert closer(image.crop((0, top, 300, bottom))) == (0, bottom - top)  # once is enough


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (80, 60), 255),  # nothing
        drawn((80, 32), (10, 4, "Hello")),  # room as usual
        drawn((80, 32), (30, 4, "some")),  # small letters in a line's height
        drawn((80, 100), (30, 40, ".")),
        block((100, 200), (20, 95, 80, 107)),  # a long dash
        block((100, 200), (45, 95, 57, 107)),  # a full stop
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 200), dtype=np.uint8)),  # no ground
    ],
)
def test_other_pictures_are_seen_as_they_are(image: Image.Image) -> None:
    assert closer(image) == (0, image.height)


@pytest.fixture(scope="module")
def ocr() -> OCR:
    return OCR()


def line(*runs: tuple[int, int], width: int) -> Lines:
    tensor = np.ones((1, 32, width), dtype=np.float32)
    for start, end in runs:
        tensor[:, 8:24, start:end] = -1.0
    return tensor


def test_wide_gaps_are_cut_down_and_others_kept() -> None:
    assert seen_columns(line((10, 40), (90, 120), width=150)).tolist() == list(range(150))
    spread = [(10 + 60 * i + 90 * (i > 2), 30 + 60 * i + 90 * (i > 2)) for i in range(5)]
    assert len(seen_columns(line(*spread, width=420))) == 420
    gap = seen_columns(line((10, 40), (400, 430), width=460))
    assert gap.tolist() == [*range(40 + 24), *range(400 - 24, 460)]
    margins = seen_columns(line((300, 330), width=700))
    assert margins.tolist() == [*range(24), *range(276, 354), *range(676, 700)]
    strokes = line(width=300)  # as high as the crop
    for start in range(10, 290, 40):
        strokes[:, :, start : start + 20] = -1.0
    assert len(seen_columns(strokes)) == 300
    noise = np.random.default_rng(0).normal(0, 0.2, (1, 32, 460)).astype(np.float32)
    texture = line((10, 40), (400, 430), width=460) + noise
    assert len(seen_columns(texture)) == 460
    assert len(seen_columns(np.zeros((1, 32, 500), dtype=np.float32))) == 48


@pytest.mark.parametrize("gap", [100, 300, 900])
def test_words_far_apart_are_read_where_they_stand(gap: int, ocr: OCR) -> None:
    """They were found upside down before: "Name Smith" as "uus oweN"."""
    image = drawn((gap + 180, 36), (10, 4, "Name"), (gap + 90, 4, "Smith"))
    (found,) = ocr.recognize([image])
    assert found.text == "Name Smith"
    assert found.confidence > 0.75
    name, smith = found.words
    assert name.box == pytest.approx((10, 0, 10 + FONT.getlength("Name"), 36), abs=4)
    assert smith.box == pytest.approx((gap + 90, 0, gap + 90 + FONT.getlength("Smith"), 36), abs=4)
    assert ocr(image).text.split() == ["Name", "Smith"]


def test_spaces_between_spread_letters_stay(ocr: OCR) -> None:
    """Cut down to what is between letters, they were no longer read."""
    image = Image.new("L", (1400, 48), 250)
    x = 12.0
    for c in "in the possession of it":
        ImageDraw.Draw(image).text((x, 10), c, 20, font=FONT)
        x += FONT.getlength(c) + 20 + 20 * (c == " ")
    assert ocr.recognize([image.crop((0, 0, round(x), 48))])[0].text == "in the possession of it"


@pytest.mark.parametrize(("text", "margin"), [("Hello", 30), ("Total", 72), ("2026", 150), ("Total", 150)])
def test_very_loose_crops(margin: int, text: str, ocr: OCR) -> None:
    """All that a call, recognize(), n_best() and score() say of one is the same."""
    image = drawn((round(FONT.getlength(text)) + 2 * margin, 30 + 2 * margin), (margin, margin, text))
    (found,) = ocr.recognize([image])
    assert found.text == ocr(image).text == ocr.n_best(image)[0].text == text
    assert found.confidence > 0.6
    assert ocr.score(image, [text])[0].confidence == pytest.approx(found.confidence, abs=0.01)
    left, top, right, bottom = found.words[0].box
    assert (left, right) == pytest.approx((margin, margin + FONT.getlength(text)), abs=4)
    assert margin - 15 < top < margin + 8
    assert margin + 20 < bottom < margin + 45


def test_a_number_in_a_long_strip(ocr: OCR) -> None:
    """It was surely empty."""
    image = drawn((1500, 40), (740, 6, "42"))
    assert ocr.recognize([image])[0].text == ocr(image).text == "42"
