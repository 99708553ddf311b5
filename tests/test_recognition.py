"""simpleocr.recognition: each picture its own line, whatever it is read with, and characters where they are drawn."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from simpleocr import inference, recognition
from simpleocr.config import CRNNConfig
from simpleocr.constraints import charset, lexicon
from simpleocr.crnn import CRNN
from simpleocr.decoding import DECODERS, Decoded, Decoder, Span, constrained
from simpleocr.document import Line
from simpleocr.image import InputError
from simpleocr.inference import for_inference
from simpleocr.likelihood import LogProbs, log_likelihood
from simpleocr.patterns import pattern
from simpleocr.preprocessing import COLUMN_STRIDE, Preprocessing, line_to_tensor
from simpleocr.recognition import BATCH_COLUMNS, readings, recognize
from simpleocr.vocabulary import Vocabulary
from simpleocr.windows import WIDEST
from tests.test_crnn import random_network

pytestmark = pytest.mark.usefixtures("exact")

law = settings(deadline=None, max_examples=40)
ODD_SIZES = [(1, 1), (1, 100), (100, 1), (3000, 10), (7, 7), (640, 48), (33, 31), (15, 2)]


class InkNetwork(CRNN):
    """Writes an "a" for each run of timesteps whose columns are mostly dark; remembers the batches it was given."""

    def __init__(self, preprocessing: Preprocessing | None = None, temperature: float = 1.0) -> None:
        super().__init__(CRNNConfig(Vocabulary("ab "), "tiny", preprocessing or Preprocessing(), temperature))
        self.batches: list[tuple[int, int]] = []
        self.eval()

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Tensor:
        self.batches.append((images.shape[0], images.shape[-1]))
        padded = torch.nn.functional.pad(images, (0, -images.shape[-1] % COLUMN_STRIDE))
        cells = padded.mean(dim=(1, 2)).reshape(len(images), -1, COLUMN_STRIDE).mean(dim=-1)  # (B, T)
        logits = torch.zeros(*cells.shape, 4)  # a blank picture is all 0
        logits[..., 0], logits[..., 1], logits[..., 2] = 40 * cells + 6, -40 * cells, -5.0
        return logits


def bars(size: tuple[int, int], *places: tuple[int, int]) -> Image.Image:
    """A white picture with black bars from left to right (exclusive), over its whole height."""
    pixels = np.full((size[1], size[0]), 255, np.uint8)
    for left, right in places:
        pixels[:, left:right] = 0
    return Image.fromarray(pixels).convert("RGB")


def noise(width: int, height: int, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def check_places(line: Line, size: tuple[int, int]) -> None:
    width, height = size
    assert line.box == (0, 0, width, height)
    for char in line.chars:
        left, top, right, bottom = char.box
        assert 0 <= left < right <= width
        assert (top, bottom) == (0, height)
        assert char.polygon == ((left, top), (right, top), (right, bottom), (left, bottom))
    for one, other in pairwise(line.chars):
        assert one.box[2] <= other.box[0] + 1e-9


@pytest.fixture(scope="module")
def network() -> Iterator[CRNN]:
    made = random_network()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    yield made
    assert not made.training
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items()
    )  # reading changes nothing


def test_nothing_to_read(network: CRNN) -> None:
    assert recognize(network, []) == []


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_together_as_alone_in_the_order_given(network: CRNN, decoder: Decoder) -> None:
    widths = torch.randint(1, 400, (40,), generator=torch.Generator().manual_seed(5)).tolist()
    images = [noise(width, 10 + i, seed=i) for i, width in enumerate(widths)]
    together = recognize(network, images, decoder)
    alone = [recognize(network, [image], decoder)[0] for image in images]
    assert [line.text for line in together] == [line.text for line in alone]
    assert len({line.text for line in together}) > 4  # they do differ
    for one, other, image in zip(together, alone, images, strict=True):
        check_places(one, image.size)
        assert one.polygon == other.polygon
        assert [char.box for char in one.chars] == [char.box for char in other.chars]
        assert [char.confidence for char in one.chars] == pytest.approx(
            [char.confidence for char in other.chars], abs=1e-4
        )


@pytest.mark.parametrize("size", ODD_SIZES)
def test_odd_sizes_alone(network: CRNN, size: tuple[int, int]) -> None:
    (line,) = recognize(network, [noise(*size, seed=1)])
    check_places(line, size)
    assert 0 <= line.confidence <= 1


def test_odd_sizes_together(network: CRNN) -> None:
    images = [noise(*size, seed=1) for size in ODD_SIZES]
    for line, image in zip(recognize(network, images), images, strict=True):
        check_places(line, image.size)
        assert line.text == recognize(network, [image])[0].text


def test_a_line_that_says_nothing() -> None:
    (line,) = recognize(InkNetwork(), [bars((90, 30))])
    assert (line.text, line.chars, line.box) == ("", (), (0, 0, 90, 30))
    assert 0.5 < line.confidence <= 1  # sure that it says nothing


def test_order_is_kept_over_batches() -> None:
    network = InkNetwork()
    counts = [5, 0, 12, 1, 3, 30, 2, 0, 7]
    images = [bars((60 * max(1, n), 30), *((60 * i, 60 * i + 30) for i in range(n))) for n in counts]
    assert [line.text for line in recognize(network, images)] == ["a" * n for n in counts]


@law
@example(21, 1.6875, [3.0, 1.0, 1.0], 48)
@example(38, 0.5, [2.75, 1.125, 3.0], 16)
@example(43, 1.0, [4.0, 5.0], 16)
@example(23, 1.171875, [1.0, 4.0], 32)
@given(
    st.integers(8, 120),
    st.floats(0.5, 2),
    st.lists(st.floats(1, 5), min_size=2, max_size=8),
    st.sampled_from([16, 32, 48]),
)
def test_characters_are_where_they_are_drawn(height: int, stretch: float, steps: list[float], rows: int) -> None:
    preprocessing = Preprocessing(height=rows, stretch=stretch)
    timestep = COLUMN_STRIDE * height / (rows * stretch)  # pixels
    edges = [0]
    for step in steps:  # white, black, white, ..., each wide enough to be seen
        edges.append(edges[-1] + round((2 + step) * timestep) + 1)
    places = list(zip(edges[1::2], edges[2::2], strict=False))
    size = (2 * edges[-1] + round(3 * timestep) + 1, height)  # more white than black: white is the ground
    other = bars((3 * size[0], height), (0, height))  # longer company, so that this one is padded
    image = bars(size, *places)
    for top in (0, height - max(1, height // 5)):  # letters leave some white above and below them
        image.paste("white", (0, top, size[0], top + max(1, height // 5)))
    line, _ = recognize(InkNetwork(preprocessing), [image, other])
    check_places(line, size)
    assert line.text == "a" * len(places)
    for char, (left, right) in zip(line.chars, places, strict=True):
        # to the column, or as far as the timesteps that read it reach, and an edge is blurred where a picture is enlarged
        assert char.box[0] == pytest.approx(left, abs=2 * timestep + 2)
        assert char.box[2] == pytest.approx(right, abs=2 * timestep + 2)


def test_the_last_character_ends_within_the_picture() -> None:
    for width in range(45, 80):  # more white than black: white is the ground
        (line,) = recognize(InkNetwork(), [bars((width, 30), (width - 20, width))])
        assert line.text == "a"
        check_places(line, (width, 30))
        assert line.chars[0].box[2] == pytest.approx(width, abs=1.25 * 4 / 1.6)


def test_timesteps_become_pixels() -> None:
    image = bars((200, 64), (60, 70), (130, 140))  # 150 columns, 38 timesteps of 5.33 pixels
    spans = (Span("a", 0, 3, "b", 0.05), Span("b", 37, 38, "", 0.1))

    def decoder(log_probs: LogProbs, vocabulary: Vocabulary) -> Decoded:
        assert log_probs.shape == (38, 4)
        assert np.allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-5)
        return Decoded(spans)

    (line,) = recognize(InkNetwork(), [image], decoder)
    check_places(line, image.size)
    assert line.chars[0].box[0] < 16
    assert line.chars[1].box[2] > 192
    for char, span in zip(line.chars, spans, strict=True):
        assert (char.text, char.runner_up, char.runner_up_score) == (span.char, span.runner_up, span.runner_up_score)


def test_temperature_changes_confidence_and_not_the_text() -> None:
    image = bars((300, 30), (40, 80), (150, 200))
    cold, even, hot = (recognize(InkNetwork(temperature=t), [image])[0] for t in (0.5, 1.0, 8.0))
    assert cold.text == even.text == hot.text == "aa"
    assert cold.confidence >= even.confidence > hot.confidence


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_confidence_is_the_likelihood_and_its_parts_make_it(network: CRNN, decoder: Decoder) -> None:
    for seed in range(8):
        image = noise(30 + 20 * seed, 24, seed)
        (reading,) = readings(network, [image], decoder)
        line, log_probs = reading.line, reading.log_probs
        ids = network.vocabulary.encode(line.text)
        assert line.confidence == pytest.approx(
            np.exp(log_likelihood(log_probs, ids, network.vocabulary.space)), rel=1e-4, abs=1e-9
        )
        assert np.prod([word.confidence for word in line.words]) == pytest.approx(line.confidence, rel=1e-6, abs=1e-12)
        for word in line.words:
            assert line.confidence - 1e-9 <= word.confidence <= min(char.confidence for char in word.chars) + 1e-9


def test_within_a_constraint_confidence_is_renormalised() -> None:
    network = InkNetwork(temperature=4.0)
    image = bars((200, 30), (20, 60), (120, 160))
    free = recognize(network, [image])[0]
    held = recognize(network, [image], constrained(lexicon(["aa", "b"], network.vocabulary)))[0]
    assert free.text == held.text == "aa"
    assert held.confidence > free.confidence
    assert np.prod([char.confidence for char in held.chars]) == pytest.approx(held.confidence)
    only_b = recognize(network, [image], constrained(charset("b", network.vocabulary)))[0]
    assert set(only_b.text) == {"b"}
    impossible = recognize(network, [image], constrained(lexicon(["a" * 99], network.vocabulary)))[0]
    assert impossible.text == ""
    assert impossible.confidence < 1e-6, "it says something"
    blank = recognize(network, [Image.new("L", image.size, 255)], constrained(lexicon(["aa"], network.vocabulary)))[0]
    assert blank.text == ""
    assert blank.confidence == pytest.approx(1), "surely nothing"


def test_that_nothing_follows_is_the_part_of_the_last_character(network: CRNN) -> None:
    for image in (noise(90, 20, seed=1), noise(300, 20, seed=2), bars((200, 30), (20, 60), (120, 160))):
        for line in recognize(network, [image]):
            assert np.prod([char.confidence for char in line.chars]) == pytest.approx(line.confidence)


def test_within_a_constraint_each_character_has_its_own_doubt() -> None:
    network = InkNetwork(temperature=4.0)
    image = bars((200, 30), (20, 60))  # there must be another letter, and it is not to be seen which
    (reading,) = readings(network, [image], constrained(pattern("a[ab]", network.vocabulary)))
    assert reading.line.text == "ab"
    assert reading.decoded.allowed is not None
    assert reading.decoded.allowed.log_prob == pytest.approx(reading.log_confidence, abs=1e-6)
    first, second = reading.line.chars
    assert first.confidence == pytest.approx(1)  # nothing else may come first
    assert second.confidence < 1
    nothing_follows = np.exp(reading.decoded.allowed.log_prob - sum(reading.decoded.allowed.log_chars))
    assert nothing_follows == pytest.approx(1)
    assert reading.line.confidence == pytest.approx(first.confidence * second.confidence, rel=1e-6)


def test_log_probabilities_of_a_batch_have_each_lines_length(network: CRNN) -> None:
    tensors = [line_to_tensor(noise(width, 20, seed=width), network.config.preprocessing) for width in (9, 300, 77)]
    for log_probs, tensor in zip(network.log_probs(tensors), tensors, strict=True):
        assert log_probs.shape == (-(-tensor.shape[-1] // COLUMN_STRIDE), network.vocabulary.num_classes)
        assert log_probs.dtype == np.float32
        (alone,) = network.log_probs([tensor])
        assert np.allclose(log_probs, alone, atol=1e-4)


@law
@given(st.lists(st.one_of(st.integers(1, 80), st.integers(1, 900)), max_size=40))
def test_batches_stay_within_the_limit(widths: list[int]) -> None:
    network = InkNetwork(Preprocessing(height=16, stretch=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recognition, "BATCH_COLUMNS", 640)
        lines = recognize(network, [bars((width, 16)) for width in widths])
    assert [line.box[2] for line in lines] == widths
    assert sum(count for count, _ in network.batches) == len(widths)
    for count, columns in network.batches:
        assert count * columns <= 640 or count == 1
    # batches are not smaller than need be: two in a row would not have fitted in one
    for (one, _), (other, columns) in pairwise(network.batches):
        assert (one + other) * columns > 640 or one * columns + columns > 640


def test_the_real_limit_of_a_batch() -> None:
    network = InkNetwork()
    recognize(network, [bars((3000, 10)), *[bars((300, 30))] * 60, bars((6000, 10)), bars((4000, 10))])
    assert all(count * columns <= BATCH_COLUMNS for count, columns in network.batches)  # wide ones are cut
    assert max(columns for _, columns in network.batches) <= WIDEST
    assert len(network.batches) < 14


def test_one_line_too_wide_is_refused_by_its_size() -> None:
    with pytest.raises(InputError, match="20000 x 10 pixels is too wide"):
        recognize(InkNetwork(), [bars((100, 30)), bars((20_000, 10))])


def test_bfloat16_gives_almost_the_same(network: CRNN, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [line_to_tensor(noise(width, 20, seed=width), network.config.preprocessing) for width in (90, 300)]
    exact = network.log_probs(tensors)
    monkeypatch.setattr(inference, "has_bf16", lambda: True)
    for rough, one in zip(for_inference(network).log_probs(tensors), exact, strict=True):
        assert rough.dtype == np.float32
        assert np.exp(rough).sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert float(np.abs(np.exp(rough) - np.exp(one)).max()) < 0.1
