"""lettering: Pillow's own font where that will do, else one that has the characters, and never an error."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw

from simpleocr import lettering as module
from simpleocr.document import Char, Line, Page
from simpleocr.drawing import draw
from simpleocr.lettering import lettering
from simpleocr.vocabulary import VOCABULARIES

DEJAVU = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What is installed is looked for anew before each test and after it."""
    for cached in (module._installed, module._draws):
        cached.cache_clear()
    yield
    for cached in (module._installed, module._draws):
        cached.cache_clear()


def drawn(text: str) -> bytes:
    image = Image.new("L", (60, 60))
    ImageDraw.Draw(image).text((8, 8), text, 255, font=lettering(text)(30))
    return image.tobytes()


def test_what_pillows_own_font_has_is_drawn_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_installed", None)  # not reached
    for text in ("", " \n", "Total 4.50", VOCABULARIES["ascii"].characters):
        assert lettering(text)(30).getname()[0] == "Aileron"


def test_every_character_of_the_english_vocabulary_looks_different_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INSTALLED", (str(DEJAVU),))
    nothing = drawn("\uffff")
    for character in (*VOCABULARIES["english"].characters.replace(" ", ""), "Ж", "қ"):
        assert drawn(character) != nothing, character


def test_where_nothing_is_installed_the_own_font_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INSTALLED", ("no such font.ttf",))
    assert lettering("£ 4")(12.5).getname()[0] == "Aileron"


def test_of_fonts_that_lack_something_the_one_with_most_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INSTALLED", (str(DEJAVU),))
    assert lettering("£\U00020000")(20).getname()[0] == "DejaVu Sans"
    assert lettering("4\U00020000")(20).getname()[0] == "Aileron"


def test_pounds_and_dashes_can_be_read_on_the_drawn_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INSTALLED", (str(DEJAVU),))

    box = ((10.0, 10.0), (190.0, 10.0), (190.0, 40.0), (10.0, 40.0))

    def sheet(text: str) -> bytes:
        chars = tuple(Char(c, 0.99, "", 0.0, box) for c in text)
        image = Image.new("RGB", (200, 50), "white")
        return np.asarray(draw(image, Page((Line(chars, box, 0.99),), (200, 50)))).tobytes()

    assert len({sheet("£"), sheet("€"), sheet("—"), sheet("½")}) == 4
