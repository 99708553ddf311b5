"""What tests of training runs share: lines of digits, the arguments of a run of seconds, one that was never stopped."""

import csv
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file

from simpleocr.vocabulary import VOCABULARIES
from training import train
from training.train import main
from training.trainee import learning_rate

EIGHT = ["3141", "59265", "35", "8979", "3238", "462", "64338", "327"]
TEXTS = [*EIGHT, *["9502", "884", "1971", "69", "39937", "510"]]
DIGITS = VOCABULARIES["digits"]
BASE = [
    "--backbone",
    "tiny",
    "--vocabulary",
    "digits",
    "--mixed_precision",
    "no",
    "--threads",
    "1",
    "--batch_size",
    "4",
]
SHORT = ["--max_steps", "12", "--eval_every", "4", "--save_every", "4"]
MANY = [str(number) for number in range(1000, 1040)]


@pytest.fixture
def no_pickle(apart: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No cache outside, no network, no pickle; torch's threads as they were."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle")

    monkeypatch.setattr(torch, "save", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def draw(text: str) -> Image.Image:
    image = Image.new("L", (14 * len(text) + 8, 32), 255)
    ImageDraw.Draw(image).text((4, 3), text, fill=0, font=ImageFont.load_default(24))
    return image


def write_lines(folder: Path, texts: list[str]) -> Path:
    folder.mkdir(parents=True)
    for i, text in enumerate(texts):
        draw(text).save(folder / f"{i}.png")
    rows = "".join(f"{i}.png,{text}\n" for i, text in enumerate(texts))
    (folder / "metadata.csv").write_text(f"file_name,text\n{rows}")
    return folder


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(
    path: Path, texts: list[str], pictures: list[bytes], sizes: list[tuple[int, int]] | None = None
) -> Path:
    columns: dict[str, list[Any]] = {"image": [{"bytes": data, "path": None} for data in pictures], "text": list(texts)}
    if sizes:
        columns |= {"width": [w for w, _ in sizes], "height": [h for _, h in sizes]}
    kinds = {"image": datasets.Image(), "text": datasets.Value("string")}
    kinds |= {name: datasets.Value("int32") for name in ("width", "height") if sizes}
    datasets.Dataset.from_dict(columns, features=datasets.Features(kinds)).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen lines of digits: four batches of an epoch."""
    return write_lines(tmp_path_factory.mktemp("corpus") / "lines", TEXTS)


def arguments(corpus: Path, out: Path, *more: str) -> list[str]:
    return ["--dataset", str(corpus), "--out", str(out), *BASE, *more]


def log_of(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def refusal(argv: list[str]) -> str:
    """The one sentence that main() ends with."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    message = str(caught.value)
    assert message.startswith("training.train: ")
    return message


class StopError(Exception):
    """Stands for a kill, in the same process."""


def run_to(step: int, argv: list[str]) -> None:
    """Trains, and stops before the gradient of `step`."""

    def rate(now: int, steps: int, peak: float) -> float:
        if now == step:
            raise StopError
        return learning_rate(now, steps, peak)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "learning_rate", rate)
        with pytest.raises(StopError):
            main(argv)


@pytest.fixture(scope="module")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve steps, three epochs, without a stop."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    threads = torch.get_num_threads()
    main(arguments(corpus, out, *SHORT))
    torch.set_num_threads(threads)
    return out


def assert_same_run(out: Path, unbroken: Path) -> None:
    for model in ("best", "final"):
        files = [folder / model / "model.safetensors" for folder in (out, unbroken)]
        assert files[0].read_bytes() == files[1].read_bytes(), model
    ours, theirs = load_file(out / "last.safetensors"), load_file(unbroken / "last.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert log_of(out) == log_of(unbroken)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    for split, texts in (("train", TEXTS), ("validation", EIGHT[:3])):
        write_parquet(
            folder / f"{split}-00000-of-00001.parquet",
            texts,
            [png(draw(t)) for t in texts],
            [draw(t).size for t in texts],
        )
    return folder


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Fourteen lines whose sizes are told, so that two broken ones are met only in training."""
    pictures = [png(draw(text)) for text in TEXTS]
    pictures[3], pictures[8] = b"nonsense", pictures[8][:-40]
    return write_parquet(tmp_path / "broken.parquet", TEXTS, pictures, [draw(text).size for text in TEXTS])
