"""simpleocr.crnn: a batch reads as its lines do alone, and what is saved comes back."""

import copy
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simpleocr.config import BACKBONES, ROW_STRIDE, CRNNConfig, LineNetConfig
from simpleocr.crnn import CRNN
from simpleocr.decoding import greedy
from simpleocr.linenet import LineNet
from simpleocr.modelfile import read_header
from simpleocr.preprocessing import COLUMN_STRIDE, MIN_WIDTH, Preprocessing, stack_lines
from simpleocr.vocabulary import VOCABULARIES, Vocabulary

CONFIG = CRNNConfig(Vocabulary("abc 1é"), "tiny", Preprocessing(stretch=1.25, least_std=0.1), temperature=1.5)
MIXED = [16, 200, 17, 90, 18, 131, 19, 64]  # every remainder by 4, in no order
SECTIONS = ["architecture", "vocabulary", "preprocessing", "calibration"]
# the largest takes as long as all others together
backbones = pytest.mark.parametrize(
    "backbone", [pytest.param(name, marks=pytest.mark.slow) if name == "base" else name for name in BACKBONES]
)


def random_network(backbone: str = "tiny", config: CRNNConfig = CONFIG, seed: int = 3) -> CRNN:
    """Random weights that write different letters, and BatchNorm statistics as after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CRNN(CRNNConfig(config.vocabulary, backbone, config.preprocessing, config.temperature), {"steps": 7})
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.3)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.3)  # what padding would be filled with
        for parameter in network.rnn.parameters():
            parameter.data *= 3
        nn.init.normal_(network.classifier.weight, std=0.5)
        network.eval()
        with torch.no_grad():  # no letter likelier than another, or the text would be one letter
            logits = network(torch.randn(2, 1, config.preprocessing.height, 200))
            network.classifier.bias.sub_(logits.mean(dim=(0, 1)))
    return network


def random_lines(widths: list[int], seed: int = 0, height: int = 32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(1, height, width, generator=generator) for width in widths]


def stacked(lines: list[Tensor]) -> tuple[Tensor, Tensor]:
    images, widths = stack_lines([line.numpy() for line in lines])
    return torch.from_numpy(images), torch.from_numpy(widths)


def logits_of(network: CRNN, lines: list[Tensor]) -> list[Tensor]:
    images, widths = stacked(lines)
    with torch.inference_mode():
        logits = network(images, widths)
    return [rows[:count] for rows, count in zip(logits, network.timesteps(widths).tolist(), strict=True)]


def text_of(network: CRNN, logits: Tensor) -> str:
    return greedy(logits.log_softmax(dim=-1).numpy(), network.vocabulary).text


@backbones
def test_timesteps_are_those_of_the_forward_pass(backbone: str) -> None:
    network = random_network(backbone)
    for width in range(16, 49) if backbone == "tiny" else (16, 17, 18, 19, 199):
        with torch.inference_mode():
            logits = network(torch.zeros(1, 1, 32, width))
        timesteps = int(network.timesteps(torch.tensor([width])))
        assert logits.shape == (1, timesteps, network.vocabulary.num_classes)
        assert COLUMN_STRIDE * (timesteps - 1) < width <= COLUMN_STRIDE * timesteps


@backbones
def test_a_batch_reads_as_its_lines_alone(backbone: str) -> None:
    network = random_network(backbone)
    lines = random_lines(MIXED)
    texts = []
    for together, line in zip(logits_of(network, lines), lines, strict=True):
        (alone,) = logits_of(network, [line])
        assert together.shape == alone.shape
        assert torch.allclose(together, alone, atol=1e-4, rtol=1e-4)
        assert text_of(network, together) == text_of(network, alone)
        texts.append(text_of(network, alone))
    assert len(set("".join(texts))) >= 3  # the network does tell its pictures apart


@pytest.mark.parametrize("seed", range(6))
def test_company_order_and_padding_change_nothing(seed: int) -> None:
    network = random_network(seed=seed)
    widths = torch.randint(MIN_WIDTH, 260, (12,), generator=torch.Generator().manual_seed(seed)).tolist()
    lines = random_lines(widths, seed)
    expected = [logits_of(network, [line])[0] for line in lines]
    for order in (range(12), range(11, -1, -1), [0, 0, 5]):
        for i, logits in zip(order, logits_of(network, [lines[i] for i in order]), strict=True):
            assert torch.allclose(logits, expected[i], atol=1e-4, rtol=1e-4)
            assert text_of(network, logits) == text_of(network, expected[i])
    images, given = stacked(lines)
    with torch.inference_mode():
        padded = network(nn.functional.pad(images, (0, 37)), given)
    for logits, alone in zip(padded, expected, strict=True):
        assert torch.allclose(logits[: len(alone)], alone, atol=1e-4, rtol=1e-4)


def test_widths_that_are_all_full_may_be_left_out() -> None:
    network, images = random_network(), torch.stack(random_lines([75, 75]))
    with torch.inference_mode():
        assert torch.equal(network(images), network(images, torch.tensor([75, 75])))


@backbones
def test_every_parameter_learns(backbone: str) -> None:
    network = random_network(backbone).train()
    images, widths = stacked(random_lines([64, 97, 50]))
    log_probs = network(images, widths).log_softmax(dim=-1).transpose(0, 1)  # (T, B, C)
    targets = torch.tensor([network.vocabulary.encode(text) for text in ("ab c", "1éa ", "cc a")])
    lengths = torch.full((3,), 4)
    loss = nn.functional.ctc_loss(log_probs, targets, network.timesteps(widths), lengths)
    assert bool(loss.isfinite())
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        if name != "row_score.bias":  # the softmax over rows is the same whatever it is
            assert float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("value", [0.0, 2.0, -2.0, 50.0])
def test_even_pictures_give_finite_logits(value: float) -> None:
    assert all(
        bool(logits.isfinite().all()) for logits in logits_of(random_network(), [torch.full((1, 32, 90), value)])
    )


@pytest.mark.parametrize("height", [8, 16, 48, 64])
def test_other_heights(height: int) -> None:
    network = random_network(config=CRNNConfig(CONFIG.vocabulary, "tiny", Preprocessing(height=height)))
    lines = random_lines([40, 77], height=height)
    for together, line in zip(logits_of(network, lines), lines, strict=True):
        assert torch.allclose(together, logits_of(network, [line])[0], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match=f"height {height + 1} is not a multiple of {ROW_STRIDE}"):
        CRNNConfig(CONFIG.vocabulary, "tiny", Preprocessing(height=height + 1))


def test_a_condensed_capital_gets_three_timesteps_or_four() -> None:
    for letters in (1, 5, 40):  # of 8 x 32 pixels each
        columns = Preprocessing().width((8 * letters, 32))
        timesteps = int(CRNN.timesteps(torch.tensor(columns)))
        assert 3 * letters <= timesteps <= 4 * letters


def test_a_line_of_two_hundred_characters() -> None:
    columns = Preprocessing().width((200 * 16, 32))
    (logits,) = logits_of(random_network(), random_lines([columns]))
    assert len(logits) >= 3 * 200
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize(("backbone", "millions"), [("small", 2.6), ("base", 3.7)])
def test_sizes(backbone: str, millions: float) -> None:
    with torch.device("meta"):
        network = CRNN(CRNNConfig(VOCABULARIES["english"], backbone))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.05)


def test_four_threads_read_what_one_reads() -> None:
    network = random_network()
    batches = [random_lines(MIXED[i % 3 :], seed=i) for i in range(12)]
    expected = [logits_of(network, batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: logits_of(network, batch), batches))
    for one, other in zip(expected, found, strict=True):
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))
        assert [text_of(network, a) for a in one] == [text_of(network, b) for b in other]


@pytest.mark.parametrize("samples", ["many", None, -1, [], 1.5, True, 10**400])
def test_a_summary_that_counts_in_no_numbers_is_no_model(samples: Any) -> None:
    header = random_network().to_header() | {"training": {"samples": samples}}
    with pytest.raises(ValueError, match="counts"):
        CRNN.from_header(header)
    assert CRNN.from_header(header | {"training": {"samples": 0}}).training_summary == {"samples": 0}


@backbones
def test_the_header_round_trips_as_json(backbone: str) -> None:
    network = CRNN(CRNNConfig(CONFIG.vocabulary, backbone, CONFIG.preprocessing, CONFIG.temperature), {"steps": 7})
    again = CRNN.from_header(json.loads(json.dumps(network.to_header())))
    assert again.config == network.config
    assert again.training_summary == {"steps": 7}
    assert again.to_header() == network.to_header()


NO_SECTIONS: list[Any] = ["MISSING", None, 3, []]
NO_BACKBONES: list[Any] = ["huge", None, 3, ["tiny"], {}, ""]
FAULTS: list[tuple[str, str | None, Any]] = [  # section, key in it, value; the message has to name the key
    *((section, None, value) for section in SECTIONS for value in NO_SECTIONS),
    *((section, None, {}) for section in SECTIONS),
    ("training", None, [1]),
    ("training", None, "long"),
    *((section, "surprise", 1) for section in SECTIONS if section != "vocabulary"),
    *(("architecture", key, "MISSING") for key in ("name", "backbone")),
    *(("architecture", "backbone", value) for value in NO_BACKBONES),
    *(("preprocessing", key, "MISSING") for key in ("height", "stretch", "least_std", "max_width")),
    *(("preprocessing", key, value) for key in ("height", "max_width") for value in (32.0, True, "32", 0, -8, 2**40)),
    ("preprocessing", "height", 20),
    *(("preprocessing", key, value) for key in ("stretch", "least_std") for value in (None, False, "1", [1], -1, 99)),
    *(("preprocessing", key, float("nan")) for key in ("height", "stretch", "least_std")),
    *(("calibration", "temperature", value) for value in ("MISSING", None, True, "1", 0, -1, 1000, float("inf"))),
    # whole numbers of JSON have no end, and no float comes near these
    *((s, key, 10**400) for s, key in (("calibration", "temperature"), ("language", "ngrams"))),
    *(("preprocessing", key, -(10**400)) for key in ("height", "stretch")),
    ("calibration", "ranges", [[0, 10**400]]),
    ("vocabulary", None, ""),
    ("vocabulary", None, "abca"),
]


def broken_header(section: str, key: str | None, value: Any) -> dict[str, Any]:
    header = copy.deepcopy(CRNN(CONFIG).to_header())
    place, name = (header, section) if key is None else (header[section], key)
    if value == "MISSING":
        del place[name]
    else:
        place[name] = value
    return header


@pytest.mark.parametrize(("section", "key", "value"), FAULTS)
def test_each_fault_of_a_header_is_named(section: str, key: str | None, value: Any) -> None:
    with pytest.raises(ValueError, match=key or section):
        CRNN.from_header(broken_header(section, key, value))


@pytest.mark.parametrize(("section", "value"), [("surprise", {}), ("training", "MISSING")])
def test_an_unknown_or_missing_section_is_refused(section: str, value: Any) -> None:
    with pytest.raises(ValueError, match=section):
        CRNN.from_header(broken_header(section, None, value))


@pytest.mark.parametrize("characters", ["a\n", "a\ud800", "\u212b"], ids=ascii)
def test_a_fault_within_the_vocabulary_is_named(characters: str) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        CRNN.from_header(broken_header("vocabulary", None, characters))


@backbones
def test_what_is_saved_comes_back(backbone: str, tmp_path: Path) -> None:
    network, lines = random_network(backbone), random_lines([64, 33])
    network.save_pretrained(tmp_path / "full", dtype=torch.float32)
    again = CRNN.from_pretrained(tmp_path / "full")
    assert not again.training
    assert again.config == network.config
    for before, after in zip(logits_of(network, lines), logits_of(again, lines), strict=True):
        assert torch.equal(before, after)
    network.save_pretrained(tmp_path / "half", dtype=torch.float16)
    half = CRNN.from_pretrained(tmp_path / "half")
    half.save_pretrained(tmp_path / "again")  # in float16, as it was loaded
    files = [(tmp_path / folder / "model.safetensors").read_bytes() for folder in ("half", "again")]
    assert files[0] == files[1]
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}
    for before, after in zip(logits_of(network, lines), logits_of(half, lines), strict=True):
        assert torch.allclose(before, after, atol=0.05)


def test_a_whole_number_temperature_is_saved_the_same_again(tmp_path: Path) -> None:
    CRNN(CRNNConfig(CONFIG.vocabulary, "tiny", temperature=1)).save_pretrained(tmp_path / "first")
    CRNN.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    headers = [read_header(tmp_path / folder / "model.safetensors") for folder in ("first", "second")]
    assert headers[0]["sha256"] == headers[1]["sha256"]


@pytest.mark.parametrize(
    ("network", "reads"),
    [
        (CRNN(CRNNConfig(Vocabulary("ab"), "tiny")), 'ocr = OCR.from_pretrained("user/mine")'),
        (LineNet(LineNetConfig("tiny")), 'ocr = OCR(detector="user/mine")'),
    ],
)
def test_the_card_of_a_network_shows_first_how_to_read_with_it(network: CRNN | LineNet, reads: str) -> None:
    card = network.model_card("user/mine")
    first, second = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    assert first == f'from simpleocr import OCR\n\n{reads}\nprint(ocr("photo.jpg").text)\n'
    assert f'{type(network).__name__}.from_pretrained("user/mine")' in second
