"""The demo's camera: a text that changes is followed, and shown as settled when it is."""

from pathlib import Path

import pytest

from tests.test_browser import SECONDS, chromium, film, needs_weights, pytestmark, url

__all__ = ["pytestmark", "url"]


@pytest.mark.slow
@needs_weights
def test_a_camera_is_read_and_followed(url: str, tmp_path: Path) -> None:
    with chromium(film(tmp_path / "camera.y4m", "Platform 4", "Departures", frames=60)) as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(SECONDS)
        page.goto(url)
        page.get_by_role("tab", name="Live").click()
        page.locator("#camera").get_by_text("Click to Access Webcam").click()
        page.wait_for_function("document.querySelector('#camera video').videoWidth > 0")
        page.locator("#camera").get_by_label("capture photo").click()  # which starts the stream
        settled = page.locator("#frozen:not(.moving)")
        settled.filter(has_text="Platform 4").wait_for()
        settled.filter(has_text="Departures").wait_for()
