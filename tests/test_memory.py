"""What reading costs: the memory of a large scan, the growth over many pages, the time of a page without text."""

import ctypes
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr import OCR, memory, reader

ROOT = Path(__file__).parent.parent
FONT = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
SAID = (
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "12",
    "lazy",
    "dogs;",
    "away",
    "from",
    "$45.90",
    "of",
    "debts",
    "at",
    "7:30",
)

PEAK = """
import resource, sys
from simpleocr import OCR, memory
page = OCR()(sys.argv[1])
print(len(page.lines), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""

GROWTH = """
import sys
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from simpleocr import OCR, memory
from tests.test_memory import FONT, SAID

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

rng, ocr, pages, warm = np.random.default_rng(0), OCR(), int(sys.argv[1]), int(sys.argv[2])
faces = [ImageFont.truetype(str(FONT), size) for size in range(14, 40)]
for number in range(pages):
    width, height = int(rng.integers(120, 700)), int(rng.integers(40, 420))
    image = Image.new("RGB", (width, height), tuple(rng.integers(200, 256, 3).tolist()))
    draw, face, top = ImageDraw.Draw(image), faces[rng.integers(len(faces))], int(rng.integers(2, 20))
    for _ in range(rng.integers(0, 7)):
        text = " ".join(rng.choice(SAID, rng.integers(1, 10)))
        draw.text((int(rng.integers(2, 40)), top), text, (int(rng.integers(0, 90)),) * 3, face)
        top += int(face.size * rng.uniform(1.3, 2.2))
    ocr(image)
    if number + 1 == warm:
        before = resident()
print(before, resident())
"""


def run(code: str, *arguments: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [float(value) for value in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize("size", [36, 72])
def test_a_scan_of_25_megapixels_stays_under_one_and_a_half_gigabytes(size: int, tmp_path: Path) -> None:
    image = Image.new("RGB", (5000, 5000), "white")
    draw, face = ImageDraw.Draw(image), ImageFont.truetype(str(FONT), size)
    tops = range(60, 4950 - 2 * size, round(1.5 * size))
    for number, top in enumerate(tops):
        text = " ".join(SAID[(number + i) % len(SAID)] for i in range(200))
        while draw.textlength(text, face) > 4800:
            text = text.rsplit(" ", 1)[0]
        draw.text((80, top), text, "black", face)
    image.save(tmp_path / "scan.png", compress_level=1)
    lines, peak = run(PEAK, str(tmp_path / "scan.png"))
    assert lines > 0.9 * len(tops)
    assert peak < 1500, f"{peak:.0f} MB"


@pytest.mark.slow
def test_a_thousand_varied_pages_leave_memory_as_it_was() -> None:
    before, after = run(GROWTH, "1000", "100")
    assert after - before < 50, f"from {before:.0f} MB to {after:.0f} MB"


@pytest.fixture(scope="module")
def ocr() -> OCR:
    reader = OCR()
    reader(Image.new("RGB", (400, 300), "white"))
    return reader


def pattern(kind: str) -> Image.Image:
    rng = np.random.default_rng(0)
    if kind == "white":
        return Image.new("RGB", (1240, 1754), "white")
    if kind == "black":
        return Image.new("L", (1754, 1240), "black")
    if kind == "noise":
        return Image.fromarray(rng.integers(0, 256, (1240, 1754, 3), dtype=np.uint8))
    clouds = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))  # as a photo of sky and grass
    return clouds.resize((1600, 1200), Image.Resampling.BICUBIC)


KINDS = ["white", "black", "noise", "clouds"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_without_text_is_empty(ocr: OCR, kind: str) -> None:
    page = ocr(pattern(kind))
    assert page.lines == ()
    assert page.text == ""


@pytest.mark.slow  # beside the other worker of a default run, a clock says nothing
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_without_text_takes_less_than_a_second(ocr: OCR, kind: str) -> None:
    image = pattern(kind)
    start = time.perf_counter()
    ocr(image)
    assert time.perf_counter() - start < 1


def test_memory_is_given_back_now_and_then_only(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    clock = iter([5.0, 5.2, 5.9, 6.1, 9.0])
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    now_and_then = memory.NowAndThen(1.0)
    said = []
    for _ in range(5):
        now_and_then()
        said.append(len(given))
    assert said == [1, 1, 1, 2, 3]


def test_memory_is_given_back_at_once_where_much_of_it_was_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    # before a call, and after memory was given back
    held = iter([100, 90, 130, 141, 95, 100])
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    monkeypatch.setattr(memory, "resident", lambda: next(held))
    monkeypatch.setattr("time.monotonic", lambda: 5.0)
    now_and_then = memory.NowAndThen(1.0, holes=50)
    said = []
    for _ in range(4):
        now_and_then()
        said.append(len(given))
    assert said == [1, 1, 2, 2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="told by /proc")
def test_resident_memory_is_what_the_system_says() -> None:
    before = memory.resident()
    block = np.ones(2**26, dtype=np.uint8)  # more than malloc ever takes from what it has
    assert 0.9 * block.size < memory.resident() - before < 2 * block.size


def test_memory_is_given_back_until_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    def give() -> bool:
        given.append(1)
        return True

    monkeypatch.setattr(memory, "give_back", give)
    done = memory.keep_given_back(0.01)
    deadline = time.monotonic() + 10
    while len(given) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    done.set()
    assert len(given) >= 2


def test_where_memory_cannot_be_given_back_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.give_back() == (platform.libc_ver()[0] == "glibc")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not memory.give_back()
    assert not memory.share_heap()


@pytest.mark.parametrize(("runtime", "holes"), [("torch", 32 * 2**20), ("onnx-int8", None)])
def test_what_pages_leave_is_given_back_at_once_with_torch_alone(
    monkeypatch: pytest.MonkeyPatch, runtime: str, holes: int | None
) -> None:
    given: list[tuple[float, int | None]] = []
    monkeypatch.setattr(reader, "NowAndThen", lambda every, holes: given.append((every, holes)))
    OCR(runtime=runtime)
    assert given == [(reader.TRIM_EVERY, holes)]
