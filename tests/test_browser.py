"""The demo in headless Chromium: upload, webcam, nothing from other hosts, and a page that fits and is labelled."""

import os
import re
import shutil
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("gradio")
pytest.importorskip("playwright")

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WEIGHTS = ROOT / "simpleocr" / "weights" / "english" / "model.safetensors"
TEXT = "Harbour 247"
SECONDS = 30_000  # milliseconds that anything on the page may take on a busy machine
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]
needs_weights = pytest.mark.skipif(
    not WEIGHTS.exists() and "SIMPLEOCR_MODEL" not in os.environ, reason=f"no weights at {WEIGHTS.relative_to(ROOT)}"
)


def picture(text: str = TEXT) -> Image.Image:
    image = Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(image).text((320, 240), text, "black", font_size=90, anchor="mm")
    return image


def film(path: Path, *texts: str, frames: int = 10) -> Path:
    """What a camera sees, over and over: each text for so many frames, ten a second."""
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n")
        for text in texts:
            planes = np.asarray(picture(text).convert("YCbCr"))
            frame = planes[..., 0].tobytes() + planes[::2, ::2, 1].tobytes() + planes[::2, ::2, 2].tobytes()
            file.write(frames * (b"FRAME\n" + frame))
    return path


@contextmanager
def chromium(film: Path) -> Iterator[Browser]:
    """Chromium with a camera that shows a film."""
    camera = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    with sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", *camera]
        )
        yield found
        found.close()


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
    with chromium(film(tmp_path_factory.mktemp("camera") / "camera.y4m", TEXT)) as found:
        yield found


@pytest.fixture(scope="module")
def context(browser: Browser) -> BrowserContext:
    """A phone, for all pages: they share what has been fetched."""
    phone = browser.new_context(viewport={"width": 390, "height": 844}, permissions=["camera"])
    phone.set_default_timeout(SECONDS)
    return phone


@pytest.fixture
def page(context: BrowserContext, url: str) -> Iterator[Page]:
    """The demo on a phone; the test fails if it asks another host for anything or complains on the console."""
    tab = context.new_page()
    complaints: list[str] = []
    requested: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requested.append(request.url))
    tab.goto(url)
    tab.get_by_role("button", name="Read", exact=True).wait_for()
    yield tab
    tab.close()
    assert complaints == []
    assert [u for u in requested if not u.startswith((url, "data:", "blob:"))] == []


def wait_for_text(page: Page, text: str) -> None:
    page.wait_for_function("text => document.querySelector('#text textarea').value === text", arg=text)


@needs_weights
def test_an_upload_is_read(page: Page, tmp_path: Path) -> None:
    picture().save(tmp_path / "sign.png")
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "sign.png")
    wait_for_text(page, TEXT)
    assert page.locator("#seen .evidence-word").all_inner_texts() == TEXT.split()
    page.get_by_role("button", name="Lines").click()
    page.locator("#read-lines meter").wait_for()  # opening takes a moment
    number, says, sure = page.locator("#read-lines tbody td").all_inner_texts()
    assert (number, says) == ("1", TEXT)
    assert sure.endswith(" %")
    assert page.locator("#read-lines meter").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    (tmp_path / "notes.png").write_text("no picture")
    page.locator("#picture").get_by_label("Remove Image").click()
    wait_for_text(page, "")
    page.locator("#read-lines tbody").wait_for(state="detached")  # nothing of it stays
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
    page.locator("#seen .evidence-word").first.wait_for()
    page.locator("#status", has_text="seconds").wait_for()
    assert page.locator("#text textarea").input_value()


def test_the_page_fits_a_phone_and_everything_has_a_name(page: Page) -> None:
    page.get_by_role("button", name="receipt").click()
    page.locator("#status", has_text="seconds").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.evaluate("[...document.images].filter(image => !image.alt).map(image => image.src)") == []
    unnamed = """[...document.querySelectorAll('button, textarea, input:not([type=file])')].filter(element =>
        !(element.innerText || element.ariaLabel || element.title || element.labels?.length || element.querySelector('img[alt]'))
    ).map(element => element.outerHTML.slice(0, 200))"""
    assert page.evaluate(unnamed) == []
    assert page.title() == "SimpleOCR"
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.slow
def test_asking_to_read_nothing_is_answered_kindly(page: Page) -> None:
    page.get_by_role("button", name="Read", exact=True).click()
    alert = page.locator("#status").get_by_role("alert").filter(has_text="There is no picture yet")
    alert.wait_for()
    red, green, blue = map(int, re.findall(r"\d+", alert.evaluate("element => getComputedStyle(element).color"))[:3])
    assert red > 1.5 * max(green, blue)


@pytest.mark.slow
def test_the_box_for_pictures_says_where_pdfs_go_and_fields_have_a_border(page: Page) -> None:
    page.locator("#picture", has_text="PDFs go into the tab “Files, PDF”").wait_for()
    page.get_by_role("button", name="Settings").click()
    page.locator("#held textarea").wait_for()
    edges = """() => ["#held textarea", "#settings .wrap:has(> .wrap-inner)"].map(name => {
        const style = getComputedStyle(document.querySelector(name));
        return `${style.borderTopWidth} ${style.borderTopColor}`;
    })"""
    field, choice = page.evaluate(edges)
    assert field == choice
    assert field.startswith("1px rgb(")


def test_a_pasted_picture_is_read(page: Page) -> None:
    buffer = BytesIO()
    picture().save(buffer, "PNG")
    paste = """data => {
        const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        const clipboard = new DataTransfer();
        clipboard.items.add(new File([bytes], 'pasted.png', {type: 'image/png'}));
        const blob = new Blob([bytes], {type: 'image/png'});
        navigator.clipboard.read = async () => [new ClipboardItem({'image/png': blob})];
    }"""
    page.evaluate(paste, b64encode(buffer.getvalue()).decode())
    page.get_by_label("Paste from clipboard").click()
    page.locator("#seen .evidence-word").first.wait_for()


@pytest.mark.slow
def test_files_and_a_pdf_are_read_page_by_page_and_each_download_comes(page: Page, tmp_path: Path) -> None:
    picture().save(tmp_path / "one.png")
    picture().save(tmp_path / "two.pdf", save_all=True, append_images=[picture()])
    page.get_by_role("tab", name="Files, PDF").click()
    page.locator("#files input[type=file]").set_input_files([tmp_path / "one.png", tmp_path / "two.pdf"])
    page.locator("#status", has_text="on 3 pages read").wait_for()
    assert page.locator("#seen section.evidence").count() == 3
    page.get_by_role("button", name="Lines").click()
    page.locator("#read-lines meter").first.wait_for()
    assert page.locator("#read-lines tbody td:first-child").all_inner_texts() == ["1", "2", "3"]  # of the pages
    for kind in ("txt", "json", "tsv", "hocr", "alto.xml", "html", "pdf"):
        with page.expect_download() as waiting:
            page.locator(f"#save-{kind.split('.')[0]}").click()
        assert waiting.value.suggested_filename == f"simpleocr.{kind}"
        assert waiting.value.path().stat().st_size > 0


def test_the_evidence_of_a_letter_is_shown_to_the_pointer_and_to_the_keyboard(page: Page) -> None:
    page.get_by_role("button", name="receipt").click()
    page.locator("#status", has_text="seconds").wait_for()
    box = page.locator("#seen polygon.evidence-box").first
    box.scroll_into_view_if_needed()
    box.hover()
    panel = page.locator("#seen .evidence-panel")
    first = page.locator("#seen .evidence-word").first
    assert panel.locator(".evidence-head b").inner_text() == first.inner_text()
    assert panel.locator(".evidence-char").count() == len(first.inner_text())
    assert panel.locator("svg use").count() == 1
    assert page.locator("#seen .evidence-letter").count() == 1
    sure = page.locator("#seen .evidence-sure").first
    page.locator("#seen [tabindex='0'].evidence-word").focus()
    page.keyboard.press("Home")
    assert sure.evaluate("element => element === document.activeElement")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")  # to its letters
    label = page.evaluate("document.activeElement.ariaLabel")
    assert label.startswith(f"{first.inner_text()[0]}: ")
    assert "or else" in label
    page.keyboard.press("Escape")
    assert first.evaluate("element => element === document.activeElement")


@pytest.mark.slow
def test_nothing_that_is_asked_becomes_markup(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="sign").click()
    page.locator("#status", has_text="seconds").wait_for()
    page.get_by_role("button", name="Does it say … ?").click()
    page.locator("#texts textarea").fill("<img src=x onerror=alert(1)> ${1+1} {{value}}\nBakery")
    page.get_by_role("button", name="How likely?").click()
    page.locator("#said table").wait_for()
    cells = page.locator("#said td:first-child").all_inner_texts()
    assert cells == ["<img src=x onerror=alert(1)> ${1+1} {{value}}", "Bakery"]


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_told_from_its_ground_at_any_size_and_in_either_theme(
    page: Page, url: str, theme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto(url)
    page.get_by_role("button", name="receipt").click()
    page.locator("#status", has_text="seconds").wait_for()
    page.locator("#seen .evidence-word").first.click()
    contrast = """() => [".evidence-word", ".evidence figcaption", ".evidence-sure", ".evidence-char span", "#status p", "header p"].map(name => {
        const parse = colour => {
            const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
            canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
        };
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const element = document.querySelector(name);
        let ground = element;
        while (ground && parse(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
        const [a, b] = [getComputedStyle(element).color, ground ? getComputedStyle(ground).backgroundColor : "white"].map(c => light(parse(c)));
        return [name, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    })"""
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        for name, ratio in page.evaluate(contrast):
            assert ratio >= 4.5, (name, ratio)
