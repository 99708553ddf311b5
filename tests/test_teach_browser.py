"""Teach in headless Chromium: from a correction to a model on a loopback Hub, and back through from_pretrained."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("gradio")
pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page

from tests.fakehub import FakeHub
from tests.test_browser import CHROMIUM, ROOT, chromium, film, needs_weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
FONT = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
SERVE = """
import os, sys
from pathlib import Path
import torch
import simpleocr
from app import LAUNCH, build_demo
from training.teach_tab import Teacher
torch.set_num_threads(2)
settings = ["--max_steps", "60", "--batch_size", "8", "--replay_lines", "200", "--general_lines", "80"]
demo = build_demo(simpleocr.OCR(), teacher=Teacher(Path(sys.argv[1]), settings=settings))
_, url, _ = demo.launch(**LAUNCH)
print("serving at", url, flush=True)
demo.block_thread()
"""
PULL = """
import sys
from simpleocr import OCR
ocr = OCR.from_pretrained("tester/taught")
assert "é" in ocr.network.vocabulary.characters
print(ocr(sys.argv[1]).text)
"""
READ = ["Cafe Rene", "Andre", "Rene Andre", "Cafe", "Andre Cafe", "Rene Cafe"]
SAYS = [text.replace("Cafe", "Café").replace("Rene", "René").replace("Andre", "André") for text in READ]


def lesson(texts: list[str]) -> Image.Image:
    """A page of lines; the network that comes with the package cannot write é."""
    image = Image.new("RGB", (640, 90 * len(texts) + 30), "white")
    face = ImageFont.truetype(str(FONT), 44)  # Pillow's own draws no é
    for i, text in enumerate(texts):
        ImageDraw.Draw(image).text((40, 30 + 90 * i), text, "black", face)
    return image


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with chromium(film(tmp_path / "camera.y4m", "none")) as found:
        yield found


@pytest.fixture
def page(browser: Browser, hub: FakeHub, tmp_path: Path) -> Iterator[Page]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**clean, **hub.environment(tmp_path / "home"), "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path / "teach")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        tab = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        tab.set_default_timeout(60_000)
        tab.goto(url)
        yield tab
        process.terminate()


def correct(page: Page, row: int, text: str) -> None:
    cell = page.locator(f'#lines [data-row="{row}"][data-col="1"]')
    cell.dblclick()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


@needs_weights
def test_from_a_correction_to_a_pushed_model_and_back(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Teach").click()
    lesson(SAYS).save(tmp_path / "lesson.png")
    page.locator("#lesson input[type=file]").set_input_files(tmp_path / "lesson.png")
    page.get_by_text("6 lines: correct what is wrong").wait_for()
    for row, text in enumerate(SAYS):
        correct(page, row, text)
    if shots := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{shots}/teach-corrected.png", full_page=True)
    page.locator("#keep").click()
    page.get_by_text("lines kept.").wait_for()
    page.get_by_text("6 corrections kept").wait_for()
    page.locator("#keep").click()
    page.get_by_text("0 lines kept; 6 lines kept already.").wait_for()
    page.locator("#teach").click()
    page.locator("#taught").get_by_text("Taught.").wait_for(timeout=200_000)
    assert page.locator("#taught table").inner_text().count("→") == 4
    page.get_by_role("button", name="Push to the Hub").click()
    page.locator("#repository textarea, #repository input").fill("tester/taught")
    page.locator("#push").click()
    page.locator("#pushed a").wait_for()
    if shots:
        page.screenshot(path=f"{shots}/teach-pushed.png", full_page=True)
    assert "What teaching brought" in hub.files("tester/taught")["README.md"].decode()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", PULL, str(tmp_path / "lesson.png")],
        cwd=ROOT,
        env={**clean, **hub.environment(tmp_path / "other")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "é" in done.stdout
