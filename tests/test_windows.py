"""simpleocr.windows: a long line says what it says, wherever it is cut."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from simpleocr import windows
from simpleocr.crnn import CRNN
from simpleocr.decoding import greedy
from simpleocr.image import InputError
from simpleocr.likelihood import LogProbs, log_likelihood
from simpleocr.metrics import edit_distance
from simpleocr.preprocessing import COLUMN_STRIDE, Preprocessing, line_to_tensor
from simpleocr.recognition import line_log_probs, readings, recognize
from simpleocr.retry import recognize_carefully
from simpleocr.vocabulary import Vocabulary
from simpleocr.windows import OVERLAP, WIDEST, seam, stitched
from tests.test_crnn import random_network
from tests.test_recognition import InkNetwork, bars, check_places, noise
from training.simple import FAMILIES, SENTENCES, line

law = settings(deadline=None, max_examples=60)
VOCABULARY = Vocabulary("ab ")
STEPS, BLIND = 60, 12  # timesteps that two windows of a synthetic line share; of them, what one of them cannot see


def rows(classes: list[int], sure: float = 0.97) -> LogProbs:
    """Log-probabilities of a line that is `sure` of one class in each timestep."""
    probs = np.full((len(classes), VOCABULARY.num_classes), (1 - sure) / (VOCABULARY.num_classes - 1), np.float32)
    probs[np.arange(len(classes)), classes] = sure
    return np.log(probs)


def cut(whole: LogProbs, width: int, shared: int) -> tuple[list[LogProbs], list[int]]:
    """A line's timesteps as windows of `width` that share `shared`, and where each starts."""
    starts = list(range(0, max(1, len(whole) - shared), width - shared))
    return [whole[start : start + width] for start in starts], starts


def text(log_probs: LogProbs) -> str:
    return greedy(log_probs, VOCABULARY).text


@law
@given(
    st.integers(WIDEST + 1, 131_072),
    st.builds(
        Preprocessing,
        height=st.sampled_from([8, 32, 48, 256]),
        stretch=st.floats(0.25, 4),
        max_width=st.just(131_072),
    ),
)
def test_windows_cover_a_line_and_share_enough(width: int, preprocessing: Preprocessing) -> None:
    found = windows.windows(width, preprocessing)
    assert found[0][0] == 0
    assert found[-1][1] == width
    least = min(OVERLAP * preprocessing.height * preprocessing.stretch - 1, WIDEST // 4)
    for start, end in found:
        assert start % COLUMN_STRIDE == 0
        assert WIDEST // 4 < end - start <= WIDEST
    for (_, end), (start, _) in pairwise(found):
        assert end - start >= least
    for (_, end), (start, _) in zip(found[:-2], found[2:], strict=True):
        assert end <= start  # never three at one place
    assert len({end - start for start, end in found[:-1]}) <= 1  # batches of one width need no padding
    assert len(found) <= 2 + width // (WIDEST - WIDEST // 4)


@pytest.mark.parametrize("width", [1, 16, WIDEST - 1, WIDEST])
def test_a_line_that_is_not_too_wide_is_one_window(width: int) -> None:
    assert windows.windows(width, Preprocessing()) == [(0, width)]


@law
@given(st.lists(st.integers(0, 3), min_size=40, max_size=400), st.integers(12, 60), st.integers(1, 6))
def test_windows_that_agree_are_the_line_again(classes: list[int], width: int, shared: int) -> None:
    # repeats, spaces and characters of any length on the seams: whatever the line is, to the bit
    whole = rows(classes)
    assert np.array_equal(stitched(*cut(whole, width, shared)), whole)


@law
@given(st.data())
def test_what_stands_on_a_seam_is_written_once(data: st.DataObject) -> None:
    # both windows see the same characters, one of them a timestep sooner or later, and each is blind near its end
    classes, place = [0] * STEPS, data.draw(st.integers(1, 4))
    while place < STEPS - 3:
        classes[place] = data.draw(st.sampled_from([1, 1, 2, 3]))
        place += data.draw(st.integers(4, 9))
    expected = "".join(VOCABULARY.character(c) for c in classes if c)
    left, right = rows(classes), np.roll(rows(classes), data.draw(st.sampled_from([-1, 0, 1])), axis=0)
    left[-BLIND:], right[:BLIND] = rows([2] * BLIND, 0.5), rows([1] * BLIND, 0.5)
    whole = stitched([np.concatenate([rows([0, 1, 0]), left]), np.concatenate([right, rows([0, 2, 0])])], [0, 3])
    assert len(whole) == STEPS + 6
    assert text(whole) == " ".join(f"a{expected}b".split())


def test_a_seam_prefers_the_middle_and_the_ground() -> None:
    assert seam(rows([0] * STEPS), rows([0] * STEPS)) == STEPS // 2
    classes = [0] * STEPS
    classes[STEPS // 2 - 4 : STEPS // 2 + 5] = [1] * 9
    place = seam(rows(classes), rows(classes))
    assert classes[place - 1] == classes[place] == 0
    assert abs(place - STEPS // 2) < 8
    assert 0 <= seam(rows([1]), rows([2])) <= 1  # whatever is shared


class Eyes(InkNetwork):
    """Sees nothing well near the ends of what it is given, as a window that cuts through a letter does."""

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Tensor:
        logits = super().forward(images, widths)
        if images.shape[-1] > 1000:
            logits[:, :20, 0], logits[:, :20, 2], logits[:, -20:, 1] = 0.0, 9.0, 12.0
        return logits


def test_characters_of_a_long_line_are_written_once_and_where_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    network = InkNetwork()
    # a bar every 40 pixels, 60 columns, so that some stand on every seam and every end of a window; more white than black
    places = [(20 + 40 * i, 38 + 40 * i) for i in range(330)]
    image = bars((330 * 40 + 40, 32), *places)
    assert network.config.preprocessing.width(image.size) > 19_000
    (found,) = recognize(network, [image])
    assert max(columns for _, columns in network.batches) <= WIDEST
    assert found.text == "a" * 330
    check_places(found, image.size)
    for char, (left, right) in zip(found.chars, places, strict=True):
        assert char.box[0] == pytest.approx(left, abs=4)
        assert char.box[2] == pytest.approx(right, abs=4)
    (kept,) = recognize(Eyes(), [image])
    middle = [char for char in kept.chars if 110 < char.box[0] < image.width - 90]
    assert "".join(char.text for char in middle) == "a" * len(middle)
    assert len(middle) == sum(110 < left < image.width - 90 for left, _ in places)


@pytest.mark.usefixtures("exact")
def test_lines_that_are_not_too_wide_are_read_as_ever() -> None:
    network = random_network()
    tensors = [line_to_tensor(noise(w, 32, w), network.config.preprocessing) for w in (WIDEST * 2 // 3, 700, 90)]
    assert [t.shape[-1] <= WIDEST for t in tensors] == [True] * 3
    for tensor, found in zip(tensors, line_log_probs(network, tensors), strict=True):
        assert np.allclose(found, network.log_probs([tensor])[0], atol=1e-4)
        (alone,) = line_log_probs(network, [tensor])
        assert np.array_equal(alone, network.log_probs([tensor])[0])  # to the bit


@pytest.mark.usefixtures("exact")
def test_windows_see_what_the_whole_line_shows_in_its_place() -> None:
    network = random_network()
    tensor = line_to_tensor(noise(4000, 32, 1), network.config.preprocessing)
    (joined,), (whole,) = line_log_probs(network, [tensor]), network.log_probs([tensor])
    assert joined.shape == whole.shape
    apart, shifted = np.abs(joined - whole).mean(), np.abs(joined[1:] - whole[:-1]).mean()
    assert apart < 0.1 * shifted  # what the LSTM remembers of far away is all that is lost


def test_all_that_is_made_of_log_probs_works_on_a_long_line() -> None:
    network = InkNetwork()
    image = bars((6000, 32), *((30 + 60 * i, 60 + 60 * i) for i in range(98)))
    (reading,) = readings(network, [image])
    ids = network.vocabulary.encode(reading.decoded.text)
    assert reading.likelihood.log_prob == pytest.approx(
        log_likelihood(reading.log_probs, ids, network.vocabulary.space)
    )
    careful = recognize_carefully(network, [image, bars((90, 30), (20, 50))], doubt=1.1)
    assert [one.text for one in careful] == ["a" * 98, "a"]


def test_a_line_beyond_all_bounds_is_still_refused() -> None:
    with pytest.raises(InputError, match="too wide"):
        recognize(InkNetwork(), [bars((30_000, 32))])


@pytest.mark.parametrize("chars", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_long_print_is_read_as_well_in_windows_as_whole(chars: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = CRNN.from_pretrained("english").eval()
    said = [" ".join(SENTENCES[i:] + SENTENCES[:i] * 3)[:chars].strip() for i in (1, 3)]
    images = [line(one, family, size) for one, family, size in zip(said, FAMILIES, (20, 32), strict=False)]
    assert all(network.config.preprocessing.width(image.size) > WIDEST for image in images)
    cut_up = [reading.decoded.text for reading in readings(network, images)]
    monkeypatch.setattr(windows, "WIDEST", 1_000_000)
    whole = [reading.decoded.text for reading in readings(network, images)]
    edits = [sum(edit_distance(prediction=p, target=t) for p, t in zip(r, said, strict=True)) for r in (cut_up, whole)]
    assert edits[0] <= edits[1] + 1, (edits, cut_up)
    assert edits[0] <= 0.01 * sum(map(len, said))
