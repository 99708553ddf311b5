"""training.signs: letters that are not print, and what stands before them."""

from random import Random

import numpy as np
import pytest

from training import signs


def test_letters_of_another_grey_are_whole_letters_that_stand_out_from_what_lies_under_them() -> None:
    alpha = np.zeros((8, 40), dtype=np.float32)
    places = (2, 10, 20, 31)
    for left in places:
        alpha[1:7, left : left + 6] = 1
    surface = np.tile(np.linspace(0, 240, 40, dtype=np.float32), (8, 1))  # lit from the side
    seen = set()
    for seed in range(200):
        colour = np.full(alpha.shape, 130.5, dtype=np.float32)
        signs.two_tones(colour, alpha, surface, Random(seed))
        changed = [bool((colour[1:7, left : left + 6] != 130.5).all()) for left in places]
        assert changed == [bool((colour[1:7, left : left + 6] != 130.5).any()) for left in places]
        if any(changed):
            under = surface[colour != 130.5].mean()
            assert abs(float(colour[colour != 130.5][0]) - float(under)) > 35
        seen.add(tuple(changed))
    assert (True,) * 4 not in seen
    assert (False,) * 4 in seen  # where no other grey stands out
    assert len(seen) > 7


def test_a_glow_lights_the_ground_near_the_letters_alone() -> None:
    alpha = np.zeros((40, 200), dtype=np.float32)
    alpha[10:30, 20:40] = 1
    surface = np.full(alpha.shape, 50, dtype=np.float32)
    for seed in range(40):
        lit = signs.glow(surface, alpha, 230, Random(seed))
        assert float(lit.min()) >= 50
        assert float(lit.max()) <= 230
        assert float(lit[20, 40]) > 55, "beside a letter"
        assert float(lit[20, 160]) < 51, "far from it"


@pytest.mark.parametrize("reach", [0.0, 22.0, 90.0])
def test_metal_goes_half_as_far_as_the_letters_stand_out(reach: float) -> None:
    farthest = 0.0
    for seed in range(300):
        added = signs.metal((30, 80), reach, Random(seed))
        assert added.shape == (30, 80)
        farthest = max(farthest, float(np.abs(added).max()))
    assert 0.8 * reach / 2 <= farthest <= reach / 2 + 1e-4


@pytest.mark.parametrize("size", [(40, 8), (40, 160), (13, 60), (20, 20)])
def test_what_stands_before_letters_is_thin(size: tuple[int, int]) -> None:
    image = np.full(size, -50, dtype=np.float32)  # no grey that is drawn
    covered = [(signs.crossed(image, Random(seed)) != image) for seed in range(300)]
    assert np.mean([float(one.mean()) for one in covered]) < 0.25


def test_a_stroke_has_smooth_edges() -> None:
    found = signs.stroke((40, 40), (5, -4), (20, 44), 3)
    assert len(np.unique(found)) > 5
    assert (float(found.min()), float(found.max())) == (0.0, 1.0)
