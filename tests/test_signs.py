"""training.signs: letters that are not print, and what stands before them."""

from random import Random

import numpy as np

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


def test_metal_goes_no_farther_than_the_letters_stand_out() -> None:
    for seed in range(60):
        added = signs.metal((30, 80), 40.0, Random(seed))
        assert added.shape == (30, 80)
        assert float(np.abs(added).max()) <= 20 + 20 + 1e-3


def test_what_stands_before_letters_leaves_most_of_them() -> None:
    image = np.tile(np.linspace(0, 255, 160, dtype=np.float32), (40, 1))
    shares = [float((signs.crossed(image, Random(seed)) != image).mean()) for seed in range(300)]
    assert np.mean(np.array(shares) > 0) > 0.8  # some pass beside the crop
    assert max(shares) < 0.35
