"""simpleocr.preprocessing: the widths, the greys and the padding that the network sees."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from simpleocr.image import InputError
from simpleocr.preprocessing import (
    MIN_WIDTH,
    Preprocessing,
    grey_to_tensor,
    line_to_tensor,
    padded,
    stack_lines,
    to_grey,
)

law = settings(deadline=None, max_examples=50)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    return Image.fromarray(grey)


@law
@given(st.integers(1, 5000), st.integers(1, 300), st.sampled_from([8, 32, 48, 256]), st.floats(0.25, 4))
def test_width_keeps_the_aspect_ratio_then_stretches(width: int, height: int, rows: int, stretch: float) -> None:
    columns = Preprocessing(height=rows, stretch=stretch).width((width, height))
    exact = width * rows / height * stretch
    assert type(columns) is int
    assert columns == MIN_WIDTH or abs(columns - exact) <= 0.5
    assert columns >= max(MIN_WIDTH, exact - 0.5)


def test_width_by_example() -> None:
    natural = Preprocessing(stretch=1)
    assert natural.width((320, 32)) == 320
    assert natural.width((640, 64)) == 320
    assert natural.width((100, 16)) == 200
    assert natural.width((1, 1000)) == MIN_WIDTH
    assert Preprocessing().width((320, 32)) == 480
    assert Preprocessing(height=48, stretch=0.5).width((320, 32)) == 240


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (33, 7), (200, 31), (640, 480), (3000, 10)])
def test_line_to_tensor_has_the_announced_shape(size: tuple[int, int]) -> None:
    preprocessing = Preprocessing(height=24, stretch=1.25)
    tensor = line_to_tensor(noise(*size), preprocessing)
    assert tensor.shape == (1, 24, preprocessing.width(size))
    assert tensor.dtype == np.float32
    assert np.isfinite(tensor).all()


def test_each_line_has_mean_0_and_deviation_1() -> None:
    for low, high in ((0, 255), (100, 140), (250, 255)):
        picture = np.full((32, 64), low, np.uint8)
        picture[:, 32:] = high
        tensor = grey_to_tensor(picture, Preprocessing(least_std=0.001))
        assert np.allclose(tensor[:, :32], torch.tensor(-1.0), atol=1e-4)
        assert np.allclose(tensor[:, 32:], torch.tensor(1.0), atol=1e-4)
    levels = np.array([[0, 255], [128, 64]], np.uint8)
    expected = (levels - levels.mean()) / levels.std()
    for array, wanted in ((levels, expected), (levels[None], expected[None]), (levels.T, expected.T)):
        assert np.allclose(grey_to_tensor(array, Preprocessing()), wanted, atol=1e-5)
    assert levels.tolist() == [[0, 255], [128, 64]]  # as it was


def test_lines_of_a_batch_are_normalised_one_by_one() -> None:
    batch = np.stack([np.asarray(noise(40, 32, seed=i)) // (i + 1) for i in range(3)])[:, None]
    together = grey_to_tensor(batch, Preprocessing())
    for one, line in zip(together, batch, strict=True):
        assert np.allclose(one, grey_to_tensor(line, Preprocessing()), atol=1e-5)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_what_hardly_varies_is_not_blown_up(grey: int) -> None:
    assert np.abs(line_to_tensor(Image.new("L", (40, 20), grey), Preprocessing())).max() < 1e-3
    faint = np.full((32, 64), grey, np.int16)
    faint[::2] += 1 if grey < 255 else -1
    assert np.abs(grey_to_tensor(faint.astype(np.uint8), Preprocessing())).max() < 0.1


def test_a_picture_of_the_right_size_is_not_resampled() -> None:
    image = noise(90, 32)
    assert np.array_equal(to_grey(image, 90, 32), np.asarray(image))


@pytest.mark.parametrize("size", [(90, 32), (300, 70), (20, 9)])
def test_the_same_greys_in_any_mode_give_the_same_tensor(size: tuple[int, int]) -> None:
    image = noise(*size)
    expected = line_to_tensor(image, Preprocessing())
    palette = image.copy().convert("P")
    assert np.array_equal(np.asarray(palette.convert("L")), np.asarray(image))
    for same in (image.convert("RGB"), palette, image.copy()):
        assert np.array_equal(line_to_tensor(same, Preprocessing()), expected)
    two = image.point(lambda grey: 255 * (grey > 127))
    expected = line_to_tensor(two, Preprocessing())
    assert np.array_equal(line_to_tensor(two.convert("1"), Preprocessing()), expected)


def test_the_picture_stays_as_it_was() -> None:
    image = noise(50, 20).convert("RGB")
    before = image.tobytes()
    tensor = line_to_tensor(image, Preprocessing())
    tensor.fill(0)
    assert image.tobytes() == before


def test_dark_stays_left_and_top() -> None:
    picture = np.full((40, 200), 255, np.uint8)
    picture[:20, :50] = 0
    tensor = line_to_tensor(Image.fromarray(picture), Preprocessing())[0]
    rows, columns = tensor.shape
    dark = tensor < 0
    assert dark[: rows // 2 - 1, : columns // 4 - 2].all()
    assert not dark[rows // 2 + 1 :].any()
    assert not dark[:, columns // 4 + 2 :].any()


def test_too_wide_is_refused_and_never_squeezed() -> None:
    preprocessing = Preprocessing(stretch=1, max_width=320)
    assert line_to_tensor(noise(320, 32), preprocessing).shape == (1, 32, 320)
    with pytest.raises(InputError, match=r"321 x 32 pixels is too wide.* 10 times its height"):
        line_to_tensor(noise(321, 32), preprocessing)
    assert issubclass(InputError, ValueError)


def test_the_limit_that_the_message_names_is_accepted() -> None:
    with pytest.raises(InputError) as caught:
        line_to_tensor(Image.new("L", (10_000, 10)), Preprocessing())
    found = re.search(r"(\d+) times its height", str(caught.value))
    assert found
    line_to_tensor(Image.new("L", (10 * int(found[1]), 10)), Preprocessing())


@pytest.mark.parametrize(
    ("field", "low", "high", "beyond"),
    [
        ("height", 8, 256, 1),
        ("stretch", 0.25, 4, 0.01),
        ("least_std", 0.001, 1, 0.0005),
        ("max_width", MIN_WIDTH, 131_072, 1),
    ],
)
def test_bounds(field: str, low: float, high: float, beyond: float) -> None:
    fields: dict[str, Any] = {}
    for good in (low, high):
        fields[field] = good
        assert getattr(Preprocessing(**fields), field) == good
    for bad in (low - beyond, high + beyond, -high - 1, math.inf, -math.inf, math.nan):
        fields[field] = bad
        with pytest.raises(ValueError, match=field) as caught:
            Preprocessing(**fields)
        assert str(bad) in str(caught.value)


def test_preprocessing_is_a_frozen_value() -> None:
    preprocessing = Preprocessing()
    assert preprocessing == Preprocessing(**dataclasses.asdict(preprocessing))
    assert hash(preprocessing) == hash(Preprocessing())
    with pytest.raises(dataclasses.FrozenInstanceError):
        preprocessing.height = 64  # type: ignore[misc]


@law
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 1000))
def test_stack_lines_keeps_each_line_and_pads_with_zero(columns: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = [random.standard_normal((1, 8, width), dtype=np.float32) for width in columns]
    images, widths = stack_lines(lines)
    assert images.shape[:3] == (len(lines), 1, 8)
    assert images.shape[3] == padded(max(columns))
    assert images.dtype == np.float32
    assert widths.tolist() == columns
    assert widths.dtype == np.int64
    for image, line in zip(images, lines, strict=True):
        width = line.shape[-1]
        assert np.array_equal(image[..., :width], line)
        assert not image[..., width:].any()
    images.fill(7)
    assert not any((line == 7).any() for line in lines)  # a copy


def test_widths_of_batches_are_few_and_wide_enough() -> None:
    assert all(width <= padded(width) < width + (16 if width <= 512 else 64) for width in range(1, 5000))
    assert len({padded(width) for width in range(1, 513)}) == 32
    assert len({padded(width) for width in range(513, 5000)}) < 80


def test_lines_of_different_heights_do_not_stack() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        stack_lines([np.zeros((1, 8, 20), dtype=np.float32), np.zeros((1, 16, 20), dtype=np.float32)])
