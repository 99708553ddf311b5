"""The model that comes with the package: what it must read, whatever was trained last."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr import OCR, inference
from simpleocr.metrics import cer
from simpleocr.models import SHIPPED
from tests.test_projection import page

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
WEIGHTS = SHIPPED / "english" / "model.safetensors"


@pytest.fixture(scope="module")
def ocr() -> OCR:
    return OCR()


def line(text: str, font: str = "DejaVuSans.ttf", size: int = 32, ink: int = 0, paper: int = 255) -> Image.Image:
    face = ImageFont.truetype(str(FONTS / font), size)
    left, top, right, bottom = (int(v) for v in face.getbbox(text))
    image = Image.new("L", (right - left + 12, bottom - top + 12), paper)
    ImageDraw.Draw(image).text((6 - left, 6 - top), text, ink, font=face)
    return image


def test_the_weights_are_small_and_half_precision() -> None:
    assert WEIGHTS.stat().st_size < 8_000_000
    assert b'"F16"' in WEIGHTS.read_bytes()[:200_000]


PRINT = """Hello, world!
The quick brown fox jumps over the lazy dog.
invoice 4711
EXIT
order (2 items)
12:45
www.example.com
Please reply by Friday, 14 March 2025.
Total: $1,284.50
No. 27, Harbour Street
It was the best of times
"Who is there?" he asked.
Opening hours: 9 am - 5:30 pm
Tel. 020 7946 0123
info@example.org
DO NOT ENTER
Chapter 3
two-thirds of them agreed;
Don't panic
50% off all shoes & bags
REF: A7-33410/B
Sincerely yours,
a
7""".splitlines()


def test_clean_print_has_at_most_one_error_in_a_hundred_characters(ocr: OCR) -> None:
    fonts = ["DejaVuSans.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono.ttf", "STIXGeneral.ttf"]
    targets = PRINT * len(fonts)
    predictions = [read.text for read in ocr.recognize([line(text, font) for font in fonts for text in PRINT])]
    wrong = [pair for pair in zip(targets, predictions, strict=True) if pair[0] != pair[1]]
    assert cer(predictions=predictions, targets=targets) <= 0.01, wrong


def test_light_on_dark_is_read_like_dark_on_light(ocr: OCR) -> None:
    assert ocr.recognize([line("Reservation", ink=240, paper=30)])[0].text == "Reservation"


def test_several_lines_are_read_in_order(ocr: OCR) -> None:
    lines = ["The first of them", "the second line", "and the third one"]
    assert ocr(page(lines)).text == "\n".join(lines)


def saved(**options: object) -> Callable[[Image.Image], bytes]:
    def save(image: Image.Image) -> bytes:
        file = BytesIO()
        image.save(file, **options)  # type: ignore[arg-type]
        return file.getvalue()

    return save


def transparent(image: Image.Image) -> Image.Image:
    ink = Image.eval(image, lambda level: 255 - level)
    return Image.merge("LA", (Image.new("L", image.size, 0), ink))


def deep(image: Image.Image, dtype: str, scale: float) -> Image.Image:
    return Image.fromarray((np.asarray(image).astype(np.float64) * scale).astype(dtype))


ENCODINGS: dict[str, Callable[[Image.Image], bytes]] = {
    "L": saved(format="PNG"),
    "RGB": lambda image: saved(format="PNG")(image.convert("RGB")),
    "RGBA": lambda image: saved(format="PNG")(transparent(image).convert("RGBA")),
    "LA": lambda image: saved(format="PNG")(transparent(image)),
    "P": lambda image: saved(format="PNG")(image.convert("RGB").quantize(32)),
    "GIF": saved(format="GIF"),
    "1": lambda image: saved(format="PNG")(image.point(lambda level: 255 * (level > 128)).convert("1")),
    "I;16": lambda image: saved(format="PNG")(deep(image, "uint16", 257)),
    "I": lambda image: saved(format="TIFF")(deep(image, "int32", 257)),
    "F": lambda image: saved(format="TIFF")(deep(image, "float32", 1 / 255)),
    "CMYK": lambda image: saved(format="JPEG", quality=95)(image.convert("CMYK")),
    "JPEG": saved(format="JPEG", quality=95),
    "WebP": saved(format="WEBP", quality=95),
    "AVIF": saved(format="AVIF", quality=95),
    "TIFF-G4": lambda image: saved(format="TIFF", compression="group4")(
        image.point(lambda v: 255 * (v > 128)).convert("1")
    ),
    "BMP": saved(format="BMP"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_word_reads_the_same_in_every_encoding(ocr: OCR, encoding: str) -> None:
    image = line("Handkerchief 25", size=40)
    assert ocr(ENCODINGS[encoding](image)).text == "Handkerchief 25"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_same_word_reads_the_same_however_the_camera_was_held(ocr: OCR, orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = line("Boulevard", size=40)
    stored = image.transpose(turns[orientation]) if orientation in turns else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    stored.save(file, "JPEG", quality=95, exif=exif)
    result = ocr(file.getvalue())
    assert result.text == "Boulevard"
    assert result.size == image.size


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_crop_says_nothing(ocr: OCR, level: int) -> None:
    assert ocr.recognize([Image.new("L", (120, 32), level)])[0].text == ""


def test_a_batch_of_mixed_widths_reads_as_one_by_one(ocr: OCR) -> None:
    texts = ["a", "to be", "or not to be", "that is the question", "I", "1111", "www", "x" * 40]
    crops = [line(text) for text in texts]
    assert [read.text for read in ocr.recognize(crops)] == [ocr.recognize([crop])[0].text for crop in crops]


def test_a_line_of_200_characters_keeps_its_length(ocr: OCR) -> None:
    text = ("the quick brown fox jumps over the lazy dog " * 5)[:200].strip()
    read = ocr.recognize([line(text)])[0].text
    assert abs(len(read) - len(text)) <= 4


def test_characters_are_where_they_are_drawn(ocr: OCR) -> None:
    image = Image.new("L", (400, 50), 255)
    face = ImageFont.truetype(str(FONTS / "DejaVuSans.ttf"), 36)
    drawn = {}
    x = 10
    for letter in "HANDS":
        drawn[letter] = (x, x + face.getlength(letter))
        ImageDraw.Draw(image).text((x, 2), letter, 0, font=face)
        x += 60
    read = ocr.recognize([image.crop((0, 0, x, 50))])[0]
    found = {char.text: char.box for char in read.chars if char.text != " "}
    assert set(found) == set(drawn)
    for letter, (left, right) in drawn.items():
        middle = (found[letter][0] + found[letter][2]) / 2
        assert left - 4 <= middle <= right + 4, letter


@pytest.mark.skipif(not inference.has_bf16(), reason="this processor has no bfloat16")
def test_bfloat16_reads_the_same(ocr: OCR, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [line(text) for text in PRINT]
    rough = ocr.recognize(images)
    monkeypatch.setattr(inference, "has_bf16", lambda: False)
    for one, other in zip(rough, OCR(ocr.network).recognize(images), strict=True):
        assert one.text == other.text
        assert one.confidence == pytest.approx(other.confidence, abs=0.03)
