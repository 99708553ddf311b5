"""sides: every view of any picture is a picture, of a size that is bounded by the one given."""

import numpy as np
import pytest
from PIL import Image

from simpleocr.reader import OCR
from simpleocr.sides import ALL_AROUND, TURNS, VIEWS, every_side, strength_of_colours
from tests.test_crnn import random_network
from tests.test_recognition import noise

pytestmark = pytest.mark.usefixtures("exact")


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("size", [(1, 1), (3, 60), (60, 3), (200, 32), (7, 5)])
def test_every_view_of_any_picture_is_a_picture(name: str, size: tuple[int, int]) -> None:
    grey = noise(*size, seed=1).convert("L")
    before = grey.tobytes()
    seen = VIEWS[name].apply(grey)
    assert seen.mode == "L"
    assert min(seen.size) >= 1
    assert max(seen.size) <= 2 * max(size) + 4
    assert grey.tobytes() == before


def test_upwards_and_downwards_are_what_they_say() -> None:
    # a bar at the bottom of a tall picture is where text that runs upwards begins
    pixels = np.zeros((9, 3), np.uint8)
    pixels[-1] = 255
    picture = Image.fromarray(pixels)
    assert np.asarray(TURNS["upwards"].turn(picture)[0])[:, 0].all()
    assert np.asarray(TURNS["downwards"].turn(picture)[0])[:, -1].all()


@pytest.mark.parametrize("size", [(1, 60_000), (2, 40_000), (10, 20_000), (60, 1199)])
def test_the_views_of_a_tall_picture_stay_small(size: tuple[int, int]) -> None:
    """An eighth of the height of such a picture at its sides, or it turned by five degrees, would be gigabytes."""
    views, turned = every_side(Image.new("L", size, 255), ALL_AROUND, random_network().preprocessing)
    assert sum(view.width * view.height for view in (*views, *(one.picture for one in turned))) < 50 * size[0] * size[1]
    (line,) = OCR().recognize([Image.new("L", size, 255)])
    assert (line.text, line.confidence) == ("", 1)


def test_a_picture_without_colours_is_not_looked_at_in_them() -> None:
    grey = noise(60, 30, seed=1).convert("L")
    assert strength_of_colours(grey) is None
    assert strength_of_colours(grey.convert("RGB")) is None
    assert strength_of_colours(noise(60, 30, seed=1).convert("RGB")) is not None
