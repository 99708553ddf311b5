"""The demo in headless Chromium: upload, webcam, nothing from other hosts, and a page that fits and is labelled."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("gradio")
pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WEIGHTS = ROOT / "simpleocr" / "weights" / "english" / "model.safetensors"
TEXT = "Harbour 247"
SECONDS = 30_000  # milliseconds that anything on the page may take on a busy machine
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]
needs_weights = pytest.mark.skipif(
    not WEIGHTS.exists() and "SIMPLEOCR_MODEL" not in os.environ, reason=f"no weights at {WEIGHTS.relative_to(ROOT)}"
)


def picture() -> Image.Image:
    image = Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(image).text((320, 240), TEXT, "black", font_size=90, anchor="mm")
    return image


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running demo, with the real model where there is one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    real = WEIGHTS.exists() or "SIMPLEOCR_MODEL" in os.environ
    fake = ["-m", "tests.test_app", port, str(tmp_path_factory.mktemp("hosts") / "hosts.txt")]
    command = [sys.executable, *(["app.py", "--port", port] if real else fake)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium with a camera that shows the picture."""
    film = tmp_path_factory.mktemp("camera") / "camera.y4m"
    planes = np.asarray(picture().convert("YCbCr"))
    frame = planes[..., 0].tobytes() + planes[::2, ::2, 1].tobytes() + planes[::2, ::2, 2].tobytes()
    film.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + 10 * (b"FRAME\n" + frame))
    camera = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """The demo on a phone; the test fails if it asks another host for anything or complains on the console."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, permissions=["camera"])
    context.set_default_timeout(SECONDS)
    tab = context.new_page()
    complaints: list[str] = []
    requested: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requested.append(request.url))
    tab.goto(url)
    tab.get_by_role("button", name="Read", exact=True).wait_for()
    yield tab
    context.close()
    assert complaints == []
    assert [u for u in requested if not u.startswith((url, "data:", "blob:"))] == []


def wait_for_text(page: Page, text: str) -> None:
    page.wait_for_function("text => document.querySelector('#text textarea').value === text", arg=text)


@needs_weights
def test_an_upload_is_read(page: Page, tmp_path: Path) -> None:
    picture().save(tmp_path / "sign.png")
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "sign.png")
    wait_for_text(page, TEXT)
    page.locator("#drawn img").wait_for()
    assert TEXT in page.locator("#lines table").inner_text()
    (tmp_path / "notes.png").write_text("no picture")
    page.locator("#picture").get_by_label("Remove Image").click()
    wait_for_text(page, "")
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "notes.png")
    alert = page.get_by_role("alert")
    alert.filter(has_text="is not a picture of a known format").wait_for()
    assert page.get_by_text("Error", exact=True).count() == 0  # the sentence, and nothing but
    assert page.locator("#text textarea").input_value() == ""


@needs_weights
def test_a_webcam_still_is_read(page: Page) -> None:
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.locator("#picture video").wait_for()
    page.wait_for_function("document.querySelector('#picture video').videoWidth > 0")
    page.get_by_label("capture photo").click()
    wait_for_text(page, TEXT)


def test_an_example_is_read_on_a_click(page: Page) -> None:
    page.get_by_role("button", name="sign").click()
    page.locator("#lines table").wait_for()
    page.locator("#drawn img").wait_for()
    assert page.locator("#text textarea").input_value()


def test_the_page_fits_a_phone_and_everything_has_a_name(page: Page) -> None:
    page.get_by_role("button", name="receipt").click()
    page.locator("#drawn img").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.evaluate("[...document.images].filter(image => !image.alt).map(image => image.src)") == []
    unnamed = """[...document.querySelectorAll('button, textarea, input:not([type=file])')].filter(element =>
        !(element.innerText || element.ariaLabel || element.title || element.labels?.length || element.querySelector('img[alt]'))
    ).map(element => element.outerHTML.slice(0, 200))"""
    assert page.evaluate(unnamed) == []
    assert page.title() == "SimpleOCR"
    assert page.evaluate("document.documentElement.lang") == "en"


def test_asking_to_read_nothing_is_answered_kindly(page: Page) -> None:
    page.get_by_role("button", name="Read", exact=True).click()
    page.get_by_role("alert").filter(has_text="There is no picture yet").wait_for()
