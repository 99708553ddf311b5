"""A model folder that was changed anywhere is refused, or is what it was: whoever reads it, torch or ONNX Runtime."""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from simpleocr import CRNN, ModelError
from simpleocr.modelfile import read_tensors
from simpleocr.onnx_runtime import OnnxCRNN
from simpleocr.shapes import crnn_shapes
from tests.test_inference import trained

opened: list[str] = []


def watch(event: str, _: object) -> None:
    if event in ("pickle.find_class", "os.system", "subprocess.Popen"):
        opened.append(event)


def flip(data: bytearray, rng: random.Random, start: int, end: int) -> None:
    """One bit, one byte, or a few of them."""
    for _ in range(rng.choice((1, 1, 1, 4, 32))):
        at = rng.randrange(start, end)
        data[at] = data[at] ^ (1 << rng.randrange(8)) if rng.random() < 0.5 else rng.randrange(256)


def cut(data: bytearray, rng: random.Random, start: int, end: int) -> None:
    at = rng.randrange(start, end)
    del data[at : at + rng.choice((1, 8, 1000, len(data)))]


def insert(data: bytearray, rng: random.Random, start: int, end: int) -> None:
    at = rng.randrange(start, end)
    data[at:at] = rng.randbytes(rng.choice((1, 8, 1000)))


def swap(data: bytearray, rng: random.Random, start: int, end: int) -> None:
    """Two stretches of the file in each other's place."""
    size = min(rng.choice((1, 4, 64)), (end - start) // 2)
    a, b = rng.randrange(start, end - size), rng.randrange(start, end - size)
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def digits(data: bytearray, rng: random.Random, start: int, end: int) -> None:
    """A number of the header becomes another."""
    places = [i for i in range(start, min(end, start + 30_000)) if chr(data[i]).isdigit()]
    if places:
        data[rng.choice(places)] = ord(rng.choice("0123456789-.e"))


WAYS: list[Callable[[bytearray, random.Random, int, int], None]] = [flip, flip, flip, cut, insert, swap, digits]


def check(folder: Path, count: int, seed: int) -> None:
    network = trained("tiny")
    network.save_pretrained(folder, dtype=torch.float16)
    file = folder / "model.safetensors"
    good = file.read_bytes()
    table = 8 + int.from_bytes(good[:8], "little")
    metadata = good.index(b"__metadata__")
    tensors = read_tensors(file, crnn_shapes(network.config))
    sys.addaudithook(watch)
    opened.clear()
    rng = random.Random(seed)
    parts = [(0, 8), (8, table), (metadata, min(table, metadata + 600)), (table, len(good))]
    said: list[str] = []
    for number in range(count):
        data = bytearray(good)
        rng.choice(WAYS)(data, rng, *rng.choice(parts))
        file.write_bytes(data)
        started = time.perf_counter()
        try:
            if number % 2:
                state = {k: v.numpy() for k, v in CRNN.from_pretrained(folder).state_dict().items()}
                vocabulary = CRNN.from_pretrained(folder).vocabulary
            else:
                vocabulary, state = OnnxCRNN.load(file).vocabulary, read_tensors(file, crnn_shapes(network.config))
        except ModelError as error:
            said.append(str(error))
        else:  # a change that changes nothing: white space, a byte replaced by itself
            assert vocabulary == network.vocabulary
            assert all(np.array_equal(state[name], tensor) for name, tensor in tensors.items())
        assert time.perf_counter() - started < 1 + (number == 0) * 5  # the first imports ONNX Runtime
    assert len(said) > 0.8 * count
    assert all(str(file) in message and "\n" not in message for message in said)
    assert opened == []
    # beside the file, nothing is believed
    file.write_bytes(good)
    (folder / "config.json").write_bytes(rng.randbytes(100))
    assert torch.equal(CRNN.from_pretrained(folder).stem.weight, torch.from_numpy(tensors["stem.weight"]))


def test_300_mutations_of_a_model_folder(tmp_path: Path) -> None:
    check(tmp_path, 300, 1)


@pytest.mark.slow
def test_2000_mutations_of_a_model_folder(tmp_path: Path) -> None:
    check(tmp_path, 2000, 2)
