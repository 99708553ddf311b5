"""training.views: lines seen from another side keep what they say, and each change does what its name says."""

import numpy as np
import pytest
import torch

from simpleocr.preprocessing import Preprocessing, grey_to_tensor
from tests.runs import draw
from training import views
from training.views import seen_again


def test_most_views_differ_and_some_are_what_grey_to_tensor_makes() -> None:
    grey = np.asarray(draw("3141"), dtype=np.uint8)
    images = torch.from_numpy(np.repeat(grey[None], 2000, axis=0))[:, None]
    seen = seen_again(images, Preprocessing(), torch.Generator().manual_seed(1), np.random.default_rng(1))
    plain = torch.from_numpy(grey_to_tensor(grey, Preprocessing()))
    off = (seen[:, 0] - plain).abs().amax(dim=(1, 2))
    assert 0.1 < float((off < 1e-3).float().mean()) < 0.5
    assert torch.allclose(seen.mean(dim=(2, 3)), torch.zeros(2000, 1), atol=1e-3)
    turned = (seen[:, 0] + plain).abs().amax(dim=(1, 2)) < 1e-3
    assert 0 < int(turned.sum()) < 200, "a few are inverted"


def test_views_of_blank_lines_are_blank_or_noise() -> None:
    blank = torch.full((50, 1, 32, 64), 255, dtype=torch.uint8)
    seen = seen_again(blank, Preprocessing(), torch.Generator().manual_seed(2), np.random.default_rng(2))
    assert torch.isfinite(seen).all()
    assert float(seen.abs().max()) < 10


def test_every_view_of_white_paper_is_a_number() -> None:
    # lit, rounded and inverted, white was below 0 in one line of 7,000, and its power NaN
    white = torch.full((4096, 1, 32, 16), 255, dtype=torch.uint8)
    white[..., 10:20, 3:12] = 0
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    for _ in range(5):
        assert torch.isfinite(seen_again(white, Preprocessing(), generator, rng)).all()


def test_views_keep_the_ends_of_a_line() -> None:
    # a mark close to each end is still there, whatever the view
    image = torch.full((200, 1, 32, 128), 255, dtype=torch.uint8)
    image[..., 8:24, 3:6] = 0
    image[..., 8:24, 122:125] = 0
    seen = seen_again(image, Preprocessing(), torch.Generator().manual_seed(3), np.random.default_rng(3))
    dark = seen - seen.median(dim=3, keepdim=True).values
    for side in (dark[..., :40], dark[..., -40:]):
        assert bool((side.abs().amax(dim=(1, 2, 3)) > 1).all())


def test_a_camera_that_moves_smears_along_one_line() -> None:
    dots = torch.zeros(20, 1, 33, 65)
    dots[:, :, 16, 32] = 255.0
    smeared = 0
    for seed in range(20):
        seen = views._smeared(dots.clone(), np.random.default_rng(seed))
        changed = (seen != dots).flatten(1).any(dim=1)
        assert int(changed.sum()) <= 1
        smeared += int(changed.sum())
        assert torch.allclose(seen.sum(dim=(2, 3)), dots.sum(dim=(2, 3))), "no light is lost"
        for one in seen[changed]:
            rows, columns = torch.nonzero(one[0], as_tuple=True)
            slope = (rows - 16) * (columns[-1] - 32) - (columns - 32) * (rows[-1] - 16)
            assert bool((slope.abs() <= 3).all()), "all on one line, but for rounding"
    assert smeared > 10


@pytest.mark.parametrize("height", [8, 32, 64, 256])
def test_lines_of_any_height_are_seen_again(height: int) -> None:
    images = torch.randint(0, 256, (64, 1, height, 70), dtype=torch.uint8)
    for seed in range(6):
        seen = seen_again(images, Preprocessing(), torch.Generator().manual_seed(seed), np.random.default_rng(seed))
        assert seen.shape == images.shape
        assert bool(torch.isfinite(seen).all())


def test_from_afar_stripes_are_grey_and_what_is_flat_stays() -> None:
    stripes = torch.zeros(200, 1, 32, 64)
    stripes[..., ::2] = 200.0
    seen = views._from_afar(stripes.clone(), np.random.default_rng(0))
    changed = (seen != stripes).flatten(1).any(dim=1)
    assert 10 < int(changed.sum()) < 24
    assert float(seen[changed].std()) < 60 < float(stripes.std())
    flat = torch.full((50, 1, 32, 64), 90.0)
    assert torch.allclose(views._from_afar(flat.clone(), np.random.default_rng(1)), flat)


def test_light_from_a_side_falls_evenly_and_brightens_nothing() -> None:
    flat = torch.full((3, 1, 32, 64), 200.0)
    amounts = torch.tensor([[1.0, 0.5], [0.0, 0.5], [1.0, 1.0]])
    seen = views._lit(flat, amounts, torch.tensor([True, True, False]))
    assert bool((seen[0].diff(dim=2) > 0).all())
    assert bool((seen[1].diff(dim=2) < 0).all())
    assert torch.equal(seen[2], flat[2])
    assert 60 < float(seen.min()) < float(seen.max()) <= 200.0


def test_every_line_is_as_often_seen_from_afar_as_any_other() -> None:
    rng = np.random.default_rng(0)
    chosen = np.zeros(100)
    for _ in range(4000):
        chosen[views._some(views.FAR, rng)] += 1
    assert chosen.min() > 0.7 * 4000 * views.FAR
    assert chosen.max() < 1.3 * 4000 * views.FAR
