"""training.joining: two lines beside each other, with a space between; the same ones for the same seed and epoch."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from simpleocr.image import ground
from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import VOCABULARIES
from tests.test_data import ENGLISH, PLAIN, png, table
from training.batches import Batch, Lines
from training.checking import Checker, columns_needed
from training.joining import ALONE, GAP, draw_seconds, join

pytestmark = pytest.mark.usefixtures("apart")

TEXTS = [f"n{i:03d}" for i in range(60)]


def joined_lines(
    share: float, checker: Checker = PLAIN, texts: list[str] = TEXTS, size: tuple[int, int] = (120, 32)
) -> Lines:
    return Lines([table(texts, [png(text, size) for text in texts])], checker, joined=share)


def texts_of(batch: Batch) -> list[str]:
    ids = torch.split(batch.targets, batch.target_lengths.tolist())
    return [ENGLISH.decode(row.tolist()) for row in ids]


def picture_of(letters: int, paper: int, height: int = 32) -> Image.Image:
    image = Image.new("L", (100, height), paper)
    ImageDraw.Draw(image).rectangle((20, 8, 60, height - 9), fill=letters)
    return image


# pictures -----------------------------------------------------------------------------------------------------------


def test_the_gap_is_about_a_space_wide_and_as_grey_as_the_edges() -> None:
    for seed in range(20):
        image = join((picture_of(0, 200), picture_of(30, 240)), 32, np.random.default_rng(seed))
        assert image.height == 32
        gap = np.asarray(image)[:, 100 : image.width - 100]
        assert 32 * GAP[0] - 1 <= gap.shape[1] <= 32 * GAP[1] + 1
        assert (gap[:, 0] == 200).all()
        assert (gap[:, -1] == 240).all()
        assert (np.diff(gap.astype(int), axis=1) >= 0).all(), "no edge that could be a letter"


@pytest.mark.parametrize("other", [(0, 255), (255, 0)], ids=["dark on light", "light on dark"])
def test_both_lines_are_dark_on_light_or_both_are_not(other: tuple[int, int]) -> None:
    image = join((picture_of(0, 255), picture_of(*other)), 32, np.random.default_rng(0))
    right = image.crop((image.width - 100, 0, image.width, 32))
    assert ground(right) == 255
    assert right.getpixel((40, 16)) == 0


@pytest.mark.parametrize(("heights", "height"), [((32, 64), 32), ((200, 90), 90), ((10, 12), 32), ((3000, 20), 32)])
def test_lines_of_other_heights_are_brought_to_one(heights: tuple[int, int], height: int) -> None:
    pictures = [picture_of(0, 255, max(20, h)).resize((3 * h, h)) for h in heights]
    image = join(pictures, 32, np.random.default_rng(0))
    assert image.height == height
    assert 6 * height + GAP[0] * height - 2 <= image.width <= 6 * height + GAP[1] * height + 2


def test_pictures_in_colour_are_joined() -> None:
    assert join((picture_of(0, 255).convert("RGB"), picture_of(0, 255)), 32, np.random.default_rng(0)).mode == "L"


# which ones ---------------------------------------------------------------------------------------------------------


def test_a_share_gets_a_second_line_of_its_own_corpus() -> None:
    corpora = np.array([0] * 500 + [1] * 500)
    firsts = np.arange(1000)
    seconds = draw_seconds(firsts, corpora, lambda *_: True, 0.3, np.random.default_rng(0))
    with_one = seconds != ALONE
    assert 250 < with_one.sum() < 350
    assert (corpora[seconds[with_one]] == corpora[with_one]).all()
    assert len(np.unique(seconds[with_one])) > 150
    assert (draw_seconds(firsts, corpora, lambda *_: False, 1.0, np.random.default_rng(0)) == ALONE).all()
    assert (draw_seconds(firsts, corpora, lambda *_: True, 0.0, np.random.default_rng(0)) == ALONE).all()


def test_the_label_of_a_joined_line_has_a_space_between_its_texts() -> None:
    lines = joined_lines(0.5)
    targets = [text for batch in lines.batches(8, 0, 0, [1.0]) for text in texts_of(batch)]
    assert sorted(text[:4] for text in targets) == TEXTS, "every line comes once as the first"
    double = [text for text in targets if len(text) > 4]
    assert 15 < len(double) < 45
    assert all(text[4] == " " and text[5:] in TEXTS for text in double)


def test_batches_with_joined_lines_are_as_wide_as_these_need() -> None:
    lines = joined_lines(0.5)
    plan = lines.plan(8, 0, 0, [1.0])
    assert len(plan) == lines.steps(8, 0, [1.0]) == len([*lines.batches(8, 0, 0, [1.0])])
    for width, rows in plan:
        for first, second, _ in rows.tolist():
            own = 180 if second == ALONE else lines.columns(first, second)
            assert second == ALONE or 360 + GAP[0] * 48 <= own <= 360 + GAP[1] * 48 + 1
            assert width >= 0.7 * own - 32
            assert width >= columns_needed(lines.target(first, second))
    batch = lines.batch(416, np.array([[3, 7, 0], [4, ALONE, 0]]), 0, 0)
    assert batch.images.shape == (2, 1, 32, 416)
    assert texts_of(batch) == ["n003 n007", "n004"]
    assert batch.names == ["corpus 0 row 3 'n003' and corpus 0 row 7 'n007'", "corpus 0 row 4 'n004'"]
    assert batch.origins == [0, 0]


def seconds_of(lines: Lines) -> list[int]:
    return [second for _, rows in lines.plan(8, 0, 0, [1.0]) for second in rows[:, 1].tolist()]


def test_two_lines_that_do_not_fit_stay_alone() -> None:
    room = joined_lines(0.0).columns(0, 1)
    assert {*seconds_of(joined_lines(1.0, Checker(ENGLISH, Preprocessing(), max_columns=room)))} != {ALONE}
    for lines in (
        joined_lines(1.0, Checker(ENGLISH, Preprocessing(), max_columns=room - 1)),
        joined_lines(1.0, Checker(ENGLISH, Preprocessing(max_width=room - 1))),
        joined_lines(1.0, Checker(VOCABULARIES["digits"], Preprocessing()), ["12", "34"]),
        joined_lines(1.0, texts=["", ""]),
        joined_lines(1.0, texts=["1234"] * 3, size=(9, 32)),  # 16 columns: as dense as CTC can write
    ):
        assert {*seconds_of(lines)} == {ALONE}


@pytest.mark.parametrize("world", [1, 2])
def test_joined_lines_are_determined_by_seed_and_epoch(world: int) -> None:
    def made(seed: int, epoch: int, rank: int = 0, skip: int = 0) -> list[Batch]:
        return [*joined_lines(0.5).batches(4, seed, epoch, [1.0], rank, world, skip=skip)]

    for rank in range(world):
        whole, rest = made(0, 1, rank), made(0, 1, rank, 3)
        assert [b.names for b in rest] == [b.names for b in whole[3:]]
        assert all(torch.equal(a.images, b.images) for a, b in zip(rest, whole[3:], strict=True))
    pairs = [{text for batch in made(*which) for text in texts_of(batch)} for which in ((0, 1), (0, 2), (1, 1))]
    assert pairs[0] != pairs[1] != pairs[2] != pairs[0]


def test_without_joining_batches_are_as_they_were() -> None:
    plan = joined_lines(0.0).plan(8, 0, 0, [1.0])
    assert all((rows[:, 1] == ALONE).all() for _, rows in plan)


def test_of_two_lines_the_broken_one_is_named_and_both_are_left_out() -> None:
    pictures = [png("a"), b"nonsense", png("c")]
    lines = Lines([table(["a", "b", "c"], pictures, sized=True)], PLAIN, max_bad=0.5, joined=1.0)
    for pair in ([0, 1, 0], [1, 0, 0]):
        assert texts_of(lines.batch(416, np.array([pair, [2, ALONE, 0]]), 0, 0)) == ["c"]
        assert [*lines.broken] == [1]


def test_a_joined_line_can_be_read() -> None:
    """By the model that comes with the project: the space is seen, and nothing is cut off."""
    from simpleocr.crnn import CRNN
    from simpleocr.image import load_image
    from simpleocr.recognition import recognize

    pictures = [load_image(png(text, (100, 32))) for text in ("Hello", "world")]
    image = join(pictures, 32, np.random.default_rng(0))
    assert recognize(CRNN.from_pretrained("english"), [image])[0].text == "Hello world"
