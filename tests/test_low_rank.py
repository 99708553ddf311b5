"""low_rank and training.low_rank: what lies in few dimensions costs less, and says the same wherever it is run."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.export import export_onnx
from simpleocr.inference import for_inference
from simpleocr.low_rank import factors
from simpleocr.modelfile import ModelError
from simpleocr.onnx_runtime import OnnxCRNN
from simpleocr.preprocessing import Lines
from simpleocr.vocabulary import Vocabulary
from tests.test_inference import trained
from training.low_rank import KeptRanks, main, rank_of, to_low_rank
from training.ranges import with_ranges

SECOND = "stages.3.0.second"  # of tiny, 32 x 32 x 3 x 3
GOLDEN = [74.761185, 42.017513, 74.76138, 41.95383, 74.761765, 41.828915]  # another basis makes stored ranges wrong


def lines(count: int = 6) -> list[Lines]:
    random = np.random.default_rng(5)
    return [random.standard_normal((1, 32, 40 + 9 * i), dtype=np.float32) for i in range(count)]


def of_rank(rank: int, depth: int = 64, inputs: int = 32) -> np.ndarray:
    random = np.random.default_rng(rank)
    rows = random.standard_normal((depth, rank)) @ random.standard_normal((rank, inputs * 9))
    return rows.reshape(depth, inputs, 3, 3).astype(np.float32)


@pytest.mark.parametrize(("rank", "computed"), [(1, 16), (16, 16), (17, 32), (32, 32)])
def test_two_convolutions_do_what_one_does(rank: int, computed: int) -> None:
    weight = of_rank(rank)
    found = factors(weight)
    assert found is not None
    narrow, wide = found
    assert narrow.shape == (computed, 32, 3, 3)
    assert wide.shape == (64, computed, 1, 1)
    assert np.allclose(np.einsum("drab,rikl->dikl", wide, narrow), weight, atol=1e-4)
    picture = torch.randn(1, 32, 4, 20)
    one = torch.nn.functional.conv2d(picture, torch.from_numpy(weight), padding=1)
    two = torch.nn.functional.conv2d(picture, torch.from_numpy(narrow), padding=1)
    two = torch.nn.functional.conv2d(two, torch.from_numpy(wide))
    assert torch.allclose(one, two, atol=1e-2 * float(one.std()))


def test_training_keeps_the_dimensions() -> None:
    network = trained("tiny")
    to_low_rank(network, SECOND, 16, lines())
    convolution = dict(network.named_modules())[SECOND]
    assert isinstance(convolution, torch.nn.Conv2d)
    kept = KeptRanks(network)
    assert len(kept) == 1
    before = convolution.weight.detach().clone()
    with torch.no_grad():
        convolution.weight.add_(0.1 * torch.randn_like(convolution.weight))
    assert factors(convolution.weight.detach().numpy()) is None
    kept.restore()
    after = convolution.weight.detach()
    assert not torch.allclose(after, before, atol=1e-3), "it learns"
    found = factors(after.half().float().numpy())
    assert found is not None
    assert len(found[0]) == 16
    mean = ((before + after) / 2).numpy()
    assert factors(mean) is not None, "an average of both lies in the same dimensions"


def test_a_rank_is_found_in_float16_and_none_where_there_is_none() -> None:
    rounded = of_rank(32).astype(np.float16).astype(np.float32)
    found = factors(rounded)
    assert found is not None
    assert len(found[0]) == 32
    assert factors(np.random.default_rng(0).standard_normal((64, 32, 3, 3)).astype(np.float32)) is None
    assert factors(of_rank(60)) is None, "two would cost more than one"
    assert factors(np.zeros((8, 8, 3, 3), dtype=np.float32)) is None, "nothing to win"
    assert factors(np.zeros((64, 32, 3, 3), dtype=np.float32)) is None
    broken = of_rank(16)
    broken[3, 2, 1, 0] = np.nan
    assert factors(broken) is None


def test_what_more_than_rounding_changed_is_not_lost() -> None:
    random = np.random.default_rng(4)
    weight = of_rank(32)
    assert factors(weight + 0.003 * weight.std() * random.standard_normal(weight.shape)) is None
    weight[5] = 1e-3 * random.standard_normal(weight[5].shape)  # one output with small weights of its own
    assert factors(weight) is None
    stored = of_rank(31)
    stored[5] = 1e-3 * random.standard_normal(stored[5].shape)
    found = factors(stored)
    assert found is None or np.allclose(np.einsum("drab,rikl->dikl", found[1], found[0])[5], stored[5], atol=1e-5)


def test_the_basis_is_the_one_that_ranges_in_model_files_are_of() -> None:
    rows = np.outer(np.arange(1, 65), np.cos(np.arange(288))) + np.outer(np.sin(np.arange(64)), np.sin(np.arange(288)))
    found = factors(rows.reshape(64, 32, 3, 3).astype(np.float32))
    assert found is not None
    narrow, _ = found
    assert narrow.shape == (16, 32, 3, 3)
    assert np.allclose(narrow[:3, 0, 0, :2].ravel(), GOLDEN, rtol=1e-4)


def test_the_dimensions_go_equally_far_and_are_the_same_whatever_computed_them() -> None:
    random = np.random.default_rng(2)
    # one dimension that says nearly all, as in any trained network
    rows = (random.standard_normal((64, 16)) * np.geomspace(30, 0.3, 16)) @ random.standard_normal((16, 288))
    weight = rows.reshape(64, 32, 3, 3).astype(np.float32)
    found = factors(weight)
    assert found is not None
    size = np.linalg.norm(found[0].reshape(16, -1), axis=1)
    assert size.max() < 3 * size.min()
    nearby = factors(weight + 1e-7 * random.standard_normal(weight.shape).astype(np.float32))
    assert nearby is not None
    assert np.allclose(found[0], nearby[0], atol=1e-3 * np.abs(found[0]).max())


def test_what_varies_most_is_kept() -> None:
    network = trained("tiny")
    seen: list[torch.Tensor] = []
    norm = network.get_submodule(f"{SECOND}_norm")
    handle = norm.register_forward_hook(lambda _m, _i, out: seen.append(out.detach()))
    with torch.no_grad():
        for one in lines():
            network(torch.from_numpy(one[None]))
    before = torch.cat([out.movedim(1, -1).flatten(0, -2) for out in seen]).numpy()
    kept = to_low_rank(network, SECOND, 16, lines())
    seen.clear()
    with torch.no_grad():
        for one in lines():
            network(torch.from_numpy(one[None]))
    handle.remove()
    after = torch.cat([out.movedim(1, -1).flatten(0, -2) for out in seen]).numpy()
    # numpy's principal components are another implementation of what is meant
    centred = before - before.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    expected = before.mean(axis=0) + centred @ directions[:16].T @ directions[:16]
    assert np.allclose(after, expected, atol=1e-4)
    assert kept == pytest.approx(float((sizes[:16] ** 2).sum() / (sizes**2).sum()), abs=1e-6)


@pytest.mark.usefixtures("exact")
def test_every_runtime_computes_less_and_reads_the_same(tmp_path: Path) -> None:
    network = trained("tiny")
    to_low_rank(network, SECOND, 16, lines())
    pictures = [Image.fromarray(np.clip(128 + 60 * one[0], 0, 255).astype(np.uint8)) for one in lines()]
    with_ranges(network, pictures)
    network.save_pretrained(tmp_path, dtype=torch.float16)
    path = tmp_path / "model.safetensors"
    stored = CRNN.from_pretrained(path).eval()
    fast = for_inference(stored)
    assert isinstance(fast.get_submodule(SECOND), torch.nn.Sequential)
    exact, floats, wholes = stored.log_probs(lines()), OnnxCRNN.load(path), OnnxCRNN.load(path, quantized=True)
    for reader, atol in ((fast, 1e-3), (floats, 1e-3), (wholes, 0.2)):
        for wanted, found in zip(exact, reader.log_probs(lines()), strict=True):
            assert np.abs(wanted - found).max() < atol
    coarse = for_inference(stored.to(torch.bfloat16))
    assert isinstance(coarse.get_submodule(SECOND), torch.nn.Conv2d), "its roundings have every rank"
    counts = []
    for name, one in (("low", path), ("full", full(tmp_path / "full"))):
        export_onnx(one, tmp_path / f"{name}.onnx")
        counts.append(sum(node.op_type == "Conv" for node in onnx.load(tmp_path / f"{name}.onnx").graph.node))
    assert counts[0] == counts[1] + 1


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("name", ["stages.1.0.first", "stages.2.0.first", "stages.3.0.second"])
def test_strides_and_padding_stay(name: str, tmp_path: Path) -> None:
    network = trained("small")
    weight = network.get_submodule(name).weight
    assert isinstance(weight, torch.nn.Parameter)
    low = 0.003 * of_rank(16, *weight.shape[:2])
    weight.data = torch.from_numpy(low)
    network.save_pretrained(tmp_path, dtype=torch.float32)
    fast, other = for_inference(network), OnnxCRNN.load(tmp_path / "model.safetensors")
    assert isinstance(fast.get_submodule(name), torch.nn.Sequential)
    for one in lines():
        (wanted,) = network.log_probs([one])
        for reader in (fast, other):
            assert np.abs(wanted - reader.log_probs([one])[0]).max() < 1e-3
    for wanted, found in zip(network.log_probs(lines()), fast.log_probs(lines()), strict=True):
        assert np.abs(wanted - found).max() < 1e-3, "in a batch of several widths"


def full(folder: Path) -> Path:
    trained("tiny").save_pretrained(folder)
    return folder / "model.safetensors"


def test_ranges_of_before_are_refused_after_it_and_after_training(tmp_path: Path) -> None:
    network = with_ranges(trained("tiny"), [Image.new("L", (60, 32), 90)])
    of_full = network.config.ranges
    to_low_rank(network, SECOND, 16, lines())
    assert not network.config.ranges
    network.config = replace(network.config, ranges=of_full)
    network.save_pretrained(tmp_path / "low")
    with pytest.raises(ModelError, match="ranges are fewer"):
        OnnxCRNN.load(tmp_path / "low" / "model.safetensors", quantized=True)
    of_low = with_ranges(network, [Image.new("L", (60, 32), 90)]).config.ranges
    assert len(of_low) == len(of_full) + 1
    again = trained("tiny")
    again.config = replace(again.config, ranges=of_low)
    again.save_pretrained(tmp_path / "again")
    with pytest.raises(ModelError, match="ranges are more"):
        OnnxCRNN.load(tmp_path / "again" / "model.safetensors", quantized=True)


def test_from_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder := tmp_path / "set").mkdir()
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 255, (30, 60 + 9 * i), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    (folder / "metadata.csv").write_text("file_name,text\n" + "".join(f"{i}.png,a\n" for i in range(3)))
    CRNN(CRNNConfig(Vocabulary("abc"), "tiny")).eval().save_pretrained(tmp_path / "model")
    given = ["--model", str(tmp_path / "model"), "--dataset", str(folder), "--out", str(tmp_path / "low")]
    main([*given, "--ranks", f"{SECOND}=16"])
    assert f"{SECOND}: " in capsys.readouterr().out
    weight = CRNN.from_pretrained(tmp_path / "low").get_submodule(SECOND).weight
    assert isinstance(weight, torch.Tensor)
    found = factors(weight.detach().numpy())
    assert found is not None
    assert len(found[0]) == 16
    with pytest.raises(SystemExit, match="no convolution"):
        main([*given, "--ranks", "stages.9.0.second=16"])
    with pytest.raises(SystemExit, match="no convolution"):
        main([*given, "--ranks", "rnn=16"])
    for rank in (32, 12, 0):
        with pytest.raises(SystemExit, match="a multiple of 16 up to 16"):
            main([*given, "--ranks", f"{SECOND}={rank}"])
    with pytest.raises(SystemExit, match="2"):
        main([*given, "--ranks", SECOND])
    with pytest.raises(SystemExit, match=r"training\.low_rank: "):
        main([*given[:-2], "--split", "test", "--out", str(tmp_path / "x"), "--ranks", f"{SECOND}=16"])
    with pytest.raises(argparse.ArgumentTypeError):
        rank_of("a=-1")
